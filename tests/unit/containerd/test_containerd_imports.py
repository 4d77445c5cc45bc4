"""The whole that config.toml and its imports make, compared with what real containerds made of the same files."""

import json
from pathlib import Path

import pytest

from unshim import containerd_imports
from unshim.containerd_config import PATH, ConfigError, ContainerdSettings, parse, render
from unshim.facts import File
from unshim.runtimes import Runtime

DATA = Path(__file__).resolve().parents[2] / "data" / "containerd" / "imports"
DUMPS = sorted((DATA / "dumps").glob("*.json"))
CONF_D = "/etc/containerd/conf.d"


def load(version, root, *imports):
    text = (DATA / root).read_text()
    files = {f"{CONF_D}/{name}": File(f"{CONF_D}/{name}", "file", (DATA / name).read_text()) for name in imports}
    if root == "missing-import.toml":
        files[f"{CONF_D}/gone.toml"] = File(f"{CONF_D}/gone.toml")
    return text, containerd_imports.load(PATH, text, files, version)


def leaves(data, above=()):
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def set_by(text):
    """Return every setting of CRI plugins in a file, as rows of what is wanted."""
    plugins = {name: table for name, table in parse(text).get("plugins", {}).items() if "cri" in name.split(".")}
    return [(("plugins", *keys), value) for keys, value in leaves(plugins)]


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_the_whole_is_what_containerd_itself_makes_of_it(path):
    record = json.loads(path.read_text())
    _, whole = load(record["containerd"], record["root"], *record["imports"])
    if record["root"] == "short-name.toml":
        assert "disabled plugin" in record["error"]  # plan_containerd takes the name out of the list
        return
    assert any(trouble.blocks for trouble in whole.troubles) is (
        bool(record["error"]) or path.stem == "2.1.9-2-nvidia-3"
    )
    if record["error"]:
        return
    plugins = whole.data.get("plugins", {})
    for keys, value in leaves({name: table for name, table in plugins.items() if "cri" in name.split(".")}):
        if keys[:1] == ("io.containerd.grpc.v1.cri",) and record["containerd"].startswith("2."):
            continue  # a table of version 2 among those of version 3: nobody reads it
        if record["containerd"].startswith("1.4") and (keys[-1] == "config_path" or "options" in keys):
            continue  # it does not know the first and does not print the others
        assert containerd_imports.value(record["plugins"], keys) == value, keys


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_what_is_hidden_is_what_containerd_does_not_have(path):
    record = json.loads(path.read_text())
    if record["error"] or record["containerd"].startswith("1.4"):
        return
    text, whole = load(record["containerd"], record["root"], *record["imports"])
    hidden = {one.keys[1:] for one in containerd_imports.hidden(whole, set_by(text), record["containerd"])}
    data = parse(text)
    wanted = containerd_imports.migrated(data) if record["containerd"].startswith("2.") else data
    missing = {
        keys
        for keys, value in leaves({n: t for n, t in wanted.get("plugins", {}).items() if "cri" in n.split(".")})
        if containerd_imports.value(record["plugins"], keys) != value
    }
    assert hidden == missing


def test_what_unshim_writes_into_a_file_of_version_2_counts_in_every_containerd():
    text = (DATA / "hand-written.after.toml").read_text()
    for version in ("1.6.20", "1.7.24", "2.1.9"):
        plugins = json.loads((DATA / "dumps" / f"{version}-hand-written.json").read_text())["plugins"]
        runtime, images = (
            (plugins["io.containerd.grpc.v1.cri"],) * 2
            if version < "2"
            else (plugins["io.containerd.cri.v1.runtime"], plugins["io.containerd.cri.v1.images"])
        )
        containerd = runtime["containerd"]
        assert containerd["default_runtime_name"] == "nvidia"
        assert {name: table["options"].get("BinaryName", "") for name, table in containerd["runtimes"].items()} == {
            "runc": "",
            "crun": "/usr/bin/crun",
            "nvidia": "/usr/bin/nvidia-container-runtime",
        }
        assert all(table["options"]["SystemdCgroup"] is True for table in containerd["runtimes"].values())
        specs = {table["base_runtime_spec"] for table in containerd["runtimes"].values()}
        assert specs == {"/etc/containerd/unshim-base-spec.json"}
        assert (images if version >= "2" else containerd)["snapshotter"] == "btrfs"
        assert images["registry"]["config_path"] == "/etc/containerd/certs.d"
        assert images["max_concurrent_downloads"] == 6
        assert runtime["enable_selinux"] is True
        sandbox = images["pinned_images"]["sandbox"] if version >= "2" else images["sandbox_image"]
        assert sandbox == "k8s.gcr.io/pause:3.2"
        cni = runtime["cni"]
        assert (cni["bin_dirs"] if version >= "2" else [cni["bin_dir"]]) == ["/opt/cni/bin"]
        # And what the administrator wrote.
        assert runtime["max_container_log_line_size"] == 32768
    assert "# from the driver container" in text


WANTED = ContainerdSettings(
    "k8s.gcr.io/pause:3.2",
    True,
    "/opt/cni/bin",
    "/etc/cni/net.d",
    "/etc/containerd/certs.d",
    runtimes=(
        Runtime("nvidia", options={"BinaryName": "/usr/bin/nvidia-container-runtime"}),
        Runtime("crun", options={"BinaryName": "/usr/bin/crun"}),
    ),
    default_runtime="nvidia",
    base_runtime_spec="/etc/containerd/unshim-base-spec.json",
    snapshotter="btrfs",
    enable_selinux=True,
    max_concurrent_downloads=6,
)


def test_a_file_by_hand_gets_lines_and_loses_none():
    before, after = ((DATA / name).read_text() for name in ("hand-written.toml", "hand-written.after.toml"))
    assert render(before, "1.6.20", WANTED) == after
    lines = iter(after.splitlines())
    assert all(line in lines for line in before.splitlines())  # in their order


def test_a_pattern_that_matches_nothing_is_nothing():
    _, whole = load("1.6.20", "root-2.toml")
    assert whole.troubles == []
    assert len(whole.files) == 1


@pytest.mark.parametrize(
    "version, imports, there, read",
    [
        ("1.6.20", '["conf.d/*.toml"]', f"{CONF_D}/a.toml", False),  # from its working directory, /
        ("2.1.9", '["conf.d/*.toml"]', f"{CONF_D}/a.toml", True),
        ("1.6.20", '["conf.d/a.toml"]', f"{CONF_D}/a.toml", True),
        ("1.6.20", '["/etc/containerd/conf.d/*.toml"]', f"{CONF_D}/below/a.toml", False),
        ("1.6.20", '["/etc/containerd/conf.d/*.toml"]', f"{CONF_D}/a.toml.bak", False),
    ],
)
def test_imports_are_found_as_each_release_finds_them(version, imports, there, read):
    files = {there: File(there, "file", "oom_score = 7\n")}
    whole = containerd_imports.load(PATH, f"version = 2\nimports = {imports}\n", files, version)
    assert (whole.data.get("oom_score") == 7) is read


def test_imports_of_imports_come_after_all_imports_of_the_root():
    files = {
        f"/c/{name}.toml": File(f"/c/{name}.toml", "file", text)
        for name, text in {
            "a": 'imports = ["c.toml", "/etc/containerd/config.toml"]\nroot = "/a"\n',
            "b": 'root = "/b"\n',
            "c": 'root = "/c"\n',
        }.items()
    }
    whole = containerd_imports.load(PATH, 'version = 2\nimports = ["/c/a.toml", "/c/b.toml"]\n', files, "1.6.20")
    assert [path for path, _ in whole.files] == [PATH, "/c/a.toml", "/c/b.toml", "/c/c.toml"]
    assert whole.data["root"] == "/c"


@pytest.mark.parametrize("version, blocks", [("1.4.13", False), ("1.6.20", True), ("1.7.24", True), ("2.1.9", False)])
def test_an_import_that_is_named_and_not_there(version, blocks):
    _, whole = load(version, "missing-import.toml")
    assert [(trouble.id, trouble.blocks) for trouble in whole.troubles] == [("containerd-import-missing", blocks)]


def test_an_import_that_is_no_toml_is_told_with_its_line():
    files = {"/x.toml": File("/x.toml", "file", "version = 2\n[x\n")}
    whole = containerd_imports.load(PATH, 'version = 2\nimports = ["/x.toml"]\n', files, "1.6.20")
    assert whole.troubles[0].message.startswith("/x.toml:2: it is not valid TOML")
    with pytest.raises(ConfigError):
        containerd_imports.load(PATH, "[x\n", {}, "1.6.20")


def test_from_2_3_on_an_import_may_not_be_newer():
    _, whole = load("2.3.4", "root-2.toml", "nvidia-3.toml")
    assert [trouble.id for trouble in whole.troubles] == ["containerd-import-newer"]
    text, whole = load("2.3.4", "root-3.toml", "nvidia-2.toml")
    assert whole.troubles == []
    assert set(containerd_imports.runtimes(whole)) == {"runc", "crun", "nvidia"}
    assert containerd_imports.hidden(whole, set_by(text), "2.3.4") == []


def test_an_import_that_disables_cri_is_named():
    files = {f"{CONF_D}/x.toml": File(f"{CONF_D}/x.toml", "file", 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n')}
    text = f'version = 2\nimports = ["{CONF_D}/*.toml"]\n'
    whole = containerd_imports.load(PATH, text, files, "1.6.20")
    assert containerd_imports.disabling(whole) == f"{CONF_D}/x.toml"
    assert whole.data["disabled_plugins"] == ["io.containerd.grpc.v1.cri"]
