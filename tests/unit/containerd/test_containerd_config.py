"""config.toml: what is wanted is set in the file's schema, and everything else stays."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.containerd_config import (
    ConfigError,
    ContainerdSettings,
    address,
    cni_directories,
    default_runtime,
    has_deprecated_default_runtime,
    ignored_tables,
    legacy_registry_keys,
    parse,
    registry_config_path,
    render,
    runtimes,
    sandbox_image,
    snapshotter,
)
from unshim.runtimes import Runtime

DATA = Path(__file__).resolve().parents[2] / "data" / "containerd"
WANTED = ContainerdSettings("k8s.gcr.io/pause:3.2", True, "/opt/cni/bin", "/etc/cni/net.d", "/etc/containerd/certs.d")
EXISTING = {
    "none": None,
    "debian 12's package": (DATA / "debian-12.toml").read_text(),
    "containerd.io's package": (DATA / "docker-containerd.io.toml").read_text(),
    "crlf": 'version = 2\r\n# mine\r\n[plugins."io.containerd.grpc.v1.cri"]\r\n  max_concurrent_downloads = 9 # nine\r\n',
    "one dotted line": 'version = 2\nplugins."io.containerd.grpc.v1.cri".sandbox_image = "x"\n',
    "an inline table": 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\ncni = { bin_dir = "/x", max_conf_num = 2 } # why\n',
    "cri disabled by its id": 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.zfs"]\n',
    "another runtime": (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\n  default_runtime_name = "nvidia"\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]\n  BinaryName = "/usr/bin/nvidia-container-runtime"\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]\n  runtime_type = "io.containerd.kata.v2"\n'
    ),
    "out of order": (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".cni]\nconf_dir = "/c"\n[metrics]\naddress = "127.0.0.1:1338"\n'
        '[plugins."io.containerd.grpc.v1.cri"]\nenable_selinux = true\n'
    ),
}


def wanted_of(data, version):
    cri = data["plugins"].get("io.containerd.cri.v1.runtime") or data["plugins"]["io.containerd.grpc.v1.cri"]
    return {
        "sandbox": sandbox_image(data),
        "cni": cni_directories(data),
        "registry": registry_config_path(data),
        "runc": cri["containerd"]["runtimes"]["runc"],
        "disabled": [name for name in data.get("disabled_plugins", []) if "cri" in name],
    }


@pytest.mark.parametrize("version", ["1.4.13", "1.6.20~ds1", "1.7.24", "2.0.5", "2.1.9", "2.3.4"])
@pytest.mark.parametrize("name", EXISTING)
def test_says_what_is_wanted_and_stays(name, version):
    before = EXISTING[name]
    after = render(before, version, WANTED)
    data = parse(after)
    assert wanted_of(data, version) == {
        "sandbox": "k8s.gcr.io/pause:3.2",
        "cni": ("/opt/cni/bin", "/etc/cni/net.d"),
        "registry": "/etc/containerd/certs.d",
        "runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}},
        "disabled": [],
    }
    assert render(after, version, WANTED) == after
    for line in (before or "").splitlines():
        if line.lstrip().startswith("#") or "# why" in line or "# nine" in line:
            assert line.split("#")[1] in after


def kept(before, after, path=()):
    """Yield the settings of ``before`` that ``after`` lacks or has with another value."""
    for key, value in before.items():
        if isinstance(value, dict) and isinstance(after.get(key), dict):
            yield from kept(value, after[key], (*path, key))
        elif after.get(key) != value:
            yield (*path, key)


@pytest.mark.parametrize(
    "name, changed",
    [
        ("debian 12's package", {"bin_dir"}),
        ("crlf", set()),
        ("an inline table", {"bin_dir"}),
        ("another runtime", set()),
        ("out of order", {"conf_dir"}),
        ("cri disabled by its id", {"disabled_plugins"}),
    ],
)
def test_everything_else_stays(name, changed):
    before = EXISTING[name]
    after = render(before, "1.6.20", WANTED)
    assert {path[-1] for path in kept(tomllib.loads(before), tomllib.loads(after))} == changed


def test_every_runc_gets_the_kubelets_cgroup_driver():
    data = parse(render(EXISTING["another runtime"], "1.7.24", WANTED))
    runtimes = data["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
    assert runtimes["nvidia"]["options"] == {"BinaryName": "/usr/bin/nvidia-container-runtime", "SystemdCgroup": True}
    assert runtimes["kata"] == {"runtime_type": "io.containerd.kata.v2"}


def test_line_ends_stay():
    after = render(EXISTING["crlf"], "1.6.20", WANTED)
    assert after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize("version, schema", [("1.4.13", 2), ("2.0.5", 3), ("2.3.4", 3)])
def test_a_new_file_has_the_schema_of_its_reader(version, schema):
    assert parse(render(None, version, WANTED))["version"] == schema


def test_a_file_of_version_3_on_2_1_has_one_list_of_plugin_directories():
    before = 'version = 3\n[plugins."io.containerd.cri.v1.runtime".cni]\n  bin_dir = "/usr/lib/cni"\n'
    cni = parse(render(before, "2.1.9", WANTED))["plugins"]["io.containerd.cri.v1.runtime"]["cni"]
    assert cni == {"bin_dirs": ["/opt/cni/bin"], "conf_dir": "/etc/cni/net.d"}
    cni = parse(render(before, "2.0.5", WANTED))["plugins"]["io.containerd.cri.v1.runtime"]["cni"]
    assert cni == {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"}


def test_registries_of_the_old_form_keep_config_path_out():
    # containerd refuses to load CRI with both ("mirrors cannot be set when config_path is provided").
    before = (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://m"]\n'
    )
    data = parse(render(before, "1.6.20", WANTED))
    assert legacy_registry_keys(data) == ("registry.mirrors",)
    assert registry_config_path(data) == ""


def test_the_users_own_registry_directory_stays():
    before = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/srv/hosts"\n'
    assert registry_config_path(parse(render(before, "1.6.20", WANTED))) == "/srv/hosts"


@pytest.mark.parametrize(
    "text, version, line, message",
    [
        ("version = 2\n[plugins\n", "1.6.20", 2, "not valid TOML"),
        ("version = 3\n", "1.7.24", 1, "reads up to version 2"),
        ("version = 4\n", "2.2.0", 1, "reads up to version 3"),
        ("\n[plugins.cri]\nsandbox_image = 'x'\n", "1.6.20", 2, "version 1"),
        ('disabled_plugins = ["aufs"]\n', "1.6.20", 1, "aufs"),
        ('version = 2\nplugins = "x"\n', "1.6.20", 0, "not a table"),
        (
            'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runtime.v1.linux"\n',
            "1.6.20",
            0,
            "runtime.v1.linux",
        ),
    ],
)
def test_what_cannot_be_edited_is_refused(text, version, line, message):
    with pytest.raises(ConfigError, match=message) as caught:
        render(text, version, WANTED)
    assert caught.value.line == line


FULL = ContainerdSettings(
    "k8s.gcr.io/pause:3.2",
    True,
    "/opt/cni/bin",
    "/etc/cni/net.d",
    "/etc/containerd/certs.d",
    runtimes=(
        Runtime("crun", options={"BinaryName": "/usr/bin/crun"}),
        Runtime("kata", "io.containerd.kata.v2", {"ConfigPath": "/etc/kata.toml"}),
    ),
    default_runtime="crun",
    base_runtime_spec="/etc/containerd/unshim-base-spec.json",
    snapshotter="zfs",
    enable_selinux=True,
    max_concurrent_downloads=6,
)


@pytest.mark.parametrize("version", ["1.6.20", "2.1.9"])
def test_dockers_runtimes_get_what_every_runtime_needs(version):
    data = parse(render(None, version, FULL))
    spec = "/etc/containerd/unshim-base-spec.json"
    assert runtimes(data) == {
        "runc": {
            "runtime_type": "io.containerd.runc.v2",
            "base_runtime_spec": spec,
            "options": {"SystemdCgroup": True},
        },
        "crun": {
            "runtime_type": "io.containerd.runc.v2",
            "base_runtime_spec": spec,
            "options": {"BinaryName": "/usr/bin/crun", "SystemdCgroup": True},
        },
        "kata": {
            "runtime_type": "io.containerd.kata.v2",
            "base_runtime_spec": spec,
            "options": {"ConfigPath": "/etc/kata.toml"},
        },
    }
    assert (default_runtime(data), snapshotter(data)) == ("crun", "zfs")
    plugins = data["plugins"]
    if version < "2":
        cri = images = plugins["io.containerd.grpc.v1.cri"]
    else:
        cri, images = plugins["io.containerd.cri.v1.runtime"], plugins["io.containerd.cri.v1.images"]
    assert cri["enable_selinux"] is True
    assert images["max_concurrent_downloads"] == 6


def test_what_the_file_says_of_containers_stays():
    before = (
        "version = 2\n"
        '[plugins."io.containerd.grpc.v1.cri"]\n  max_concurrent_downloads = 9\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd]\n  snapshotter = "stargz"\n  default_runtime_name = "runc"\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]\n  runtime_type = "io.containerd.runc.v2"\n'
        '  base_runtime_spec = "/etc/own.json"\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]\n  BinaryName = "/opt/crun"\n'
    )
    data = parse(render(before, "1.6.20", FULL))
    assert runtimes(data)["crun"] == {
        "runtime_type": "io.containerd.runc.v2",
        "base_runtime_spec": "/etc/own.json",
        "options": {"BinaryName": "/opt/crun", "SystemdCgroup": True},
    }
    assert snapshotter(data) == "stargz"
    assert data["plugins"]["io.containerd.grpc.v1.cri"]["max_concurrent_downloads"] == 9
    assert default_runtime(data) == "crun"  # what pods had on Docker


@pytest.mark.parametrize(
    "text, decides",
    [
        (
            '[plugins."io.containerd.grpc.v1.cri".containerd.default_runtime]\nruntime_type = "io.containerd.runc.v1"\n',
            True,
        ),
        ('[plugins."io.containerd.grpc.v1.cri".containerd.default_runtime]\nruntime_type = ""\n', False),
        ("", False),
    ],
)
def test_the_default_runtime_of_old_is_seen(text, decides):
    assert has_deprecated_default_runtime(parse("version = 2\n" + text)) is decides


NAME = st.text("abcdefgh-0123.é\"' ", min_size=1, max_size=8)
OPTIONS = st.dictionaries(
    NAME.filter(lambda name: name != "SystemdCgroup"), st.one_of(NAME, st.booleans(), st.integers(0, 9))
)
SETTINGS = st.builds(
    ContainerdSettings,
    sandbox_image=NAME,
    systemd_cgroup=st.booleans(),
    cni_bin_dir=NAME,
    cni_conf_dir=NAME,
    registry_config_path=st.just("/etc/containerd/certs.d"),
    runtimes=st.lists(
        st.builds(Runtime, NAME, st.just("io.containerd.runc.v2"), OPTIONS), max_size=3, unique_by=lambda one: one.name
    ).map(tuple),
    default_runtime=NAME,
    base_runtime_spec=NAME,
    snapshotter=NAME,
    enable_selinux=st.booleans(),
    max_concurrent_downloads=st.integers(1, 99),
    pod_sysctls=st.lists(st.tuples(st.just("enable_unprivileged_icmp"), st.booleans()), max_size=1).map(tuple),
)


@given(
    SETTINGS,
    st.sampled_from(["1.4.13", "1.6.20", "1.7.24", "2.0.5", "2.1.9", "2.3.4"]),
    st.sampled_from(sorted(EXISTING)),
)
def test_what_is_written_is_read_back_and_nothing_else_changes(wanted, version, name):
    before = EXISTING[name]
    after = render(before, version, wanted)
    assert render(after, version, wanted) == after
    data = parse(after)
    old = parse(before or "")
    assert sandbox_image(data) == wanted.sandbox_image
    assert cni_directories(data) == (wanted.cni_bin_dir, wanted.cni_conf_dir)
    assert default_runtime(data) == wanted.default_runtime
    assert snapshotter(data) == (snapshotter(old) or wanted.snapshotter)
    made = runtimes(data)
    assert set(made) == {"runc", *runtimes(old), *(one.name for one in wanted.runtimes)}
    assert {table["base_runtime_spec"] for table in made.values()} == {wanted.base_runtime_spec}
    for runtime in wanted.runtimes:
        if runtime.name not in runtimes(old) and runtime.name != "runc":
            assert made[runtime.name]["options"] == {**runtime.options, "SystemdCgroup": wanted.systemd_cgroup}
    for comment in re.findall(r"#.*", before or ""):
        assert comment.rstrip("\r") in after
    ours = {
        "version",
        "disabled_plugins",
        "bin_dir",
        "conf_dir",
        "default_runtime_name",
        "sandbox_image",
        "enable_selinux",
    }
    assert {path[-1] for path in kept(old, data)} <= ours


KEY = st.sampled_from(
    ["version", "plugins", '"io.containerd.grpc.v1.cri"', "cni", "registry", "bin_dir", "disabled_plugins"]
)
LINE = st.one_of(
    st.builds("{} = {}".format, KEY, st.sampled_from(["2", "3", '"x"', "[]", '["cri"]', "{}", "true"])),
    st.builds("[{}]".format, st.lists(KEY, min_size=1, max_size=4).map(".".join)),
    st.builds("[[{}]]".format, KEY),
    st.just("# comment"),
)


@given(st.lists(LINE, max_size=8).map("\n".join), st.sampled_from(["1.6.20", "2.1.9", ""]))
def test_any_file_is_edited_or_refused(text, version):
    try:
        after = render(text, version, FULL)
    except ConfigError:
        return
    assert sandbox_image(parse(after)) == "k8s.gcr.io/pause:3.2"
    assert default_runtime(parse(after)) == "crun"
    assert render(after, version, FULL) == after


V4 = 'version = 4\n[grpc]\naddress = "/run/x.sock"\n[metrics]\naddress = ":1338"\n[debug]\nlevel = "info"\n'


def test_what_a_file_of_version_4_says_in_vain():
    data = parse(V4)
    assert ignored_tables(data) == ("[grpc]", "[metrics]")
    assert address(data) == ""
    own = '[plugins."io.containerd.server.v1.grpc"]\naddress = "/run/y.sock"\n'
    assert address(parse(V4 + own)) == "/run/y.sock"
    before = parse(V4.replace("version = 4", "version = 3"))
    assert (ignored_tables(before), address(before)) == ((), "/run/x.sock")
    assert ignored_tables(parse('version = 4\n[debug]\naddress = "/x"\n')) == ("[debug] address",)


def test_a_file_of_version_4_stays_one():
    after = render(V4, "2.3.4", FULL)
    assert after.startswith(V4)
    assert (sandbox_image(parse(after)), default_runtime(parse(after))) == (FULL.sandbox_image, "crun")


@pytest.mark.parametrize(
    "runtime_type, kept", [("io.containerd.runc.v2", False), ("io.containerd.runtime.v1.linux", True)]
)
def test_systemd_cgroup_with_which_cri_would_not_load(runtime_type, kept):
    existing = (
        'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  systemd_cgroup = true # as told\n'
        '[plugins."io.containerd.grpc.v1.cri".containerd]\n  default_runtime_name = "mine"\n'
        f'[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.mine]\n  runtime_type = "{runtime_type}"\n'
    )
    text = render(existing, "1.6.20", ContainerdSettings(systemd_cgroup=True))
    assert tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]["systemd_cgroup"] is kept
    assert "# as told" in text
    assert render(text, "1.6.20", ContainerdSettings(systemd_cgroup=True)) == text


SYSCTLS = (("enable_unprivileged_ports", True), ("enable_unprivileged_icmp", True))


@pytest.mark.parametrize(
    "version, plugin", [("1.6.20", "io.containerd.grpc.v1.cri"), ("2.1.9", "io.containerd.cri.v1.runtime")]
)
def test_sysctls_of_pods_are_set_where_the_schema_has_them(version, plugin):
    text = render(None, version, ContainerdSettings(pod_sysctls=SYSCTLS))
    assert {name: parse(text)["plugins"][plugin][name] for name, _ in SYSCTLS} == dict(SYSCTLS)
    assert render(text, version, ContainerdSettings(pod_sysctls=SYSCTLS)) == text


@pytest.mark.parametrize("on, said, after", [(True, "false", False), (True, "true", True), (False, "true", False)])
def test_sysctls_of_pods_that_the_file_sets_stay_unless_they_must_be_off(on, said, after):
    before = f'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  enable_unprivileged_ports = {said} # ours\n'
    wanted = ContainerdSettings(pod_sysctls=(("enable_unprivileged_ports", on),))
    text = render(before, "1.6.20", wanted)
    assert parse(text)["plugins"]["io.containerd.grpc.v1.cri"]["enable_unprivileged_ports"] is after
    assert "# ours" in text
