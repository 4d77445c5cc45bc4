"""probe.sh run for real, by every POSIX shell this machine has, on this machine."""

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from shlex import quote

import pytest

from unshim import observe
from unshim.registries import LoginSearch

SHELLS = [("dash",), ("bash", "--posix"), ("busybox", "sh"), ("mksh",), ("yash",), ("ksh",)]
HERE = [shell for shell in SHELLS if shutil.which(shell[0])]


@cache
def run(shell, environment=(), user=None):
    """Run the script once; what is asked twice is answered from memory."""
    done = subprocess.run(
        [*shell, "-c", observe.probe_script()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **dict(environment)},
        user=user,
        timeout=60,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode(), done.returncode


@pytest.mark.parametrize("shell", HERE, ids=" ".join)
def test_every_shell_sees_this_machine(shell):
    text, errors, code = run(shell)
    assert (errors, code) == ("", 0)
    facts = observe.parse(text)
    assert facts.hostname == os.uname().nodename
    assert facts.uid == os.getuid()
    assert facts.os.architecture == os.uname().machine
    assert facts.os.kernel == os.uname().release
    assert facts.os.id
    assert facts.os.init
    assert facts.mounts["/"].path == "/"
    assert facts.mounts["/"].size > 0


def test_shells_agree():
    seen = []
    for shell in HERE:
        facts = observe.parse(run(shell)[0])
        seen.append((facts.os, facts.packages, facts.files, facts.kernel, facts.cni_plugins))
    assert all(other == seen[0] for other in seen)


def test_the_script_is_the_same_however_it_is_handed_over():
    """pyinfra and docker exec hand it over as standard input; main reads from /dev/null, so nothing eats the script."""
    done = subprocess.run(
        ["sh", "-s"], input=observe.probe_script().encode(), capture_output=True, timeout=60, check=True
    )
    assert observe.parse(done.stdout.decode("utf-8", "surrogateescape")).uid == os.getuid()


def test_a_script_that_arrives_cut_off_prints_nothing():
    script = observe.probe_script()
    cut = script[: script.rindex("main <")]
    done = subprocess.run(["sh", "-c", cut], capture_output=True, timeout=60, check=False)
    assert done.stdout == b""


def test_docker_settings_of_the_user_lead_nowhere():
    """Docker is asked at its socket on this node, whatever the user's environment says."""
    text, _, _ = run(("sh",), (("DOCKER_HOST", "tcp://192.0.2.1:2375"), ("DOCKER_CONTEXT", "elsewhere")))
    plain, _, _ = run(("sh",))
    assert observe.parse(text).docker.answers == observe.parse(plain).docker.answers


def test_localized_output_does_not_reach_the_parser():
    facts = observe.parse(run(("sh",), (("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8"), ("LANGUAGE", "de")))[0])
    plain = observe.parse(run(("sh",))[0])
    assert facts.packages == plain.packages


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_what_it_may_see():
    facts = observe.parse(run(("sh",), user=pwd.getpwnam("nobody").pw_uid)[0])
    assert facts.uid == pwd.getpwnam("nobody").pw_uid
    assert facts.files["/root/.docker/config.json"].kind == "unreadable"


def call(snippet, before=lambda script: script, user=None):
    """Run a snippet with the functions of probe.sh, but not its main."""
    script = before(observe.probe_script())
    script = script[: script.rindex("main <")] + "unset IFS; files_done=$NEWLINE; exec 2>/dev/null\n" + snippet
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=30, check=False, user=user)
    return done.stdout.decode("utf-8", "surrogateescape")


def look_at(path, **how):
    """The facts of one file, by way of the script and the parser."""
    text = call(
        f"printf '@@unshim-probe 1\\n'; file {quote(str(path))}; show_files; printf '@@unshim-probe-end\\n'", **how
    )
    facts = observe.parse(text)
    return facts.files[str(path)], facts.not_seen


@pytest.mark.parametrize("hidden", [[], ["base64"], ["base64", "openssl"]], ids=["base64", "openssl", "od"])
def test_file_contents_arrive_whole_with_any_encoder(hidden, tmp_path):
    content = bytes(range(1, 128)) * 40 + "ünïcode, no newline at the end".encode()
    (tmp_path / "a b.toml").write_bytes(content)
    hide = "".join(f'[ "$1" = {name} ] && return 1; ' for name in hidden)
    file, _ = look_at(tmp_path / "a b.toml", before=lambda script: script.replace("has() { ", "has() { " + hide))
    assert file.content == content.decode()
    assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_mode_and_owner_are_those_of_the_file_behind_a_link(tmp_path):
    (tmp_path / "real").write_text("x\n")
    (tmp_path / "real").chmod(0o4640)
    (tmp_path / "link").symlink_to("real")
    file, _ = look_at(tmp_path / "link")
    assert (file.kind, file.target, file.content, file.mode) == ("symlink", str(tmp_path / "real"), "x\n", "4640")
    assert file.owner == pwd.getpwuid(os.getuid()).pw_name


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    kinds = {name: look_at(tmp_path / name)[0].kind for name in ("dangling", "folder", "pipe", "absent")}
    assert kinds == {"dangling": "symlink", "folder": "directory", "pipe": "other", "absent": "missing"}


@pytest.mark.parametrize(
    "content",
    [
        "# mine\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
        "apiVersion: v1\nkind: Config\nusers: []\n",
        "users:\n- user:\n    client-key-data: QQ==\n",
    ],
    ids=["private key", "kubeconfig", "client key"],
)
def test_secrets_stay_on_the_node(content, tmp_path):
    (tmp_path / "any.conf").write_text(content)
    file, _ = look_at(tmp_path / "any.conf")
    assert (file.kind, file.content, file.sha256) == ("file", None, "")
    assert file.mode


def test_a_file_too_big_for_a_configuration_is_not_read(tmp_path):
    (tmp_path / "big").write_bytes(b"x" * (2**20 + 1))
    file, not_seen = look_at(tmp_path / "big")
    assert file.content is None
    assert not_seen == (f"{tmp_path}/big: 1048577 bytes, more than a configuration file has",)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_what_another_user_may_not_read_is_unreadable_and_not_missing():
    nobody = pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").write_text("x")
        (folder / "closed").chmod(0o600)
        (folder / "inner").mkdir(0o700)
        (folder / "inner" / "file").write_text("x")
        kinds = [
            look_at(folder / path, user=nobody)[0].kind for path in ("closed", "inner/file", "inner/absent", "absent")
        ]
    assert kinds == ["unreadable", "unreadable", "unreadable", "missing"]


@pytest.mark.parametrize(
    "arguments, value",
    [
        ("--cni-bin-dir=/a,/b --v=2", "/a,/b"),
        ("--cni-bin-dir /a --v=2", "/a"),
        ("--cni-bin-dir=/a --cni-bin-dir=/b", "/b"),
        ("--my-cni-bin-dir=/a --cni-bin-dirs=/b", ""),
    ],
)
def test_flags_of_the_kubelet(arguments, value):
    assert call(f"kubelet_arguments=$(printf '%s\\n' {arguments}); flag cni-bin-dir").strip() == value


def test_flags_are_found_in_the_files_where_the_kubelet_does_not_run(tmp_path):
    (tmp_path / "env").write_text(
        "KUBELET_EXTRA_ARGS=\"--v=2 --config '/a b' --cni-bin-dir=/a\"\nOTHER=--kubeconfig=/k\n"
    )
    snippet = f"kubelet_files() {{ echo {tmp_path}/env; }}; kubelet_arguments=$(arguments_of '' kubelet_files); flag cni-bin-dir; flag kubeconfig"
    assert call(snippet).split() == ["/a", "/k"]


def test_every_static_pod_is_read_whatever_its_file_is_called(tmp_path):
    for name in ("a.yaml", "b.yml", "c.yaml.bak", ".hidden.yaml"):
        (tmp_path / name).write_text("kind: Pod\n")
    snippet = f"kubelet_files() {{ :; }}; kubelet_arguments='--pod-manifest-path={tmp_path}'; show_kubelet_files"
    text = call(f"printf '@@unshim-probe 1\\n'; {snippet}; show_files; printf '@@unshim-probe-end\\n'")
    seen = [path for path in observe.parse(text).files if path.startswith(str(tmp_path))]
    assert sorted(seen) == [f"{tmp_path}/{name}" for name in ("a.yaml", "b.yml", "c.yaml.bak")]


LOGIN_FILES = {
    """{
\t"auths": {
\t\t"https://index.docker.io/v1/": {
\t\t\t"auth": "c2VjcmV0OnNlY3JldA=="
\t\t},
\t\t"reg.example:5000" :
{"username": "secret", "password": "a\\": {secret"}
\t},
\t"credsStore": "secretservice"
}""": ("auths", "https://index.docker.io/v1/", "reg.example:5000", "credsStore"),
    '{"auths":{"u:secret@reg":{"identitytoken":"secret"}},"credHelpers":{"r.example":"secret"}}': (
        "auths",
        "credHelpers",
    ),
    "secret": (),
}


@pytest.mark.parametrize("content, names", LOGIN_FILES.items())
def test_of_registry_logins_only_the_registries_leave_the_node(tmp_path, content, names):
    path = tmp_path / "config.json"
    path.write_text(content)
    text = call(f"printf '@@unshim-probe 1\\n'; logins {path}; show_files; printf '@@unshim-probe-end\\n'")
    assert "secret" not in text.replace(str(tmp_path), "")
    facts = observe.parse(text)
    assert facts.registry_logins == {str(path): names}
    assert (facts.files[str(path)].kind, facts.files[str(path)].content) == ("file", None)


def test_where_a_kubelet_looks_for_logins_is_what_the_planner_says():
    alone = call("kubelet_pid=; kubelet_arguments=; login_files").split()
    assert tuple(dict.fromkeys(alone)) == (*LoginSearch().paths, "/root/.docker/config.json")
    running = call("kubelet_pid=$$; kubelet_arguments=--root-dir=/k; cd /tmp; export HOME=/h; sh -c 'sleep 1 & wait' & "
                   "kubelet_pid=$!; sleep 0.2; login_files")  # fmt: skip
    assert tuple(dict.fromkeys(running.split())) == (
        *LoginSearch("/k", "/tmp", "/h").paths,
        "/root/.docker/config.json",
    )


def test_environment_files_of_a_unit(tmp_path):
    (tmp_path / "one.env").write_text("")
    (tmp_path / "two.env").write_text("")
    (tmp_path / "unit").write_text(
        f"[Service]\n#EnvironmentFile=/commented\nEnvironmentFile=-{tmp_path}/*.env\nEnvironmentFile = '/absent'\n"
        "EnvironmentFile=\nEnvironmentFile=/etc/%i\n"
    )
    seen = call(f"environment_files {tmp_path}/unit").split()
    assert seen == [f"{tmp_path}/one.env", f"{tmp_path}/two.env", "/absent"]


def test_environment_files_as_systemd_has_them(tmp_path):
    """A unit's %H is expanded by systemd alone; its word on the files is in the answer to systemctl show."""
    (tmp_path / "a.env").write_text("")
    (tmp_path / "b.env").write_text("")
    shown = (
        "@@unit docker.service\nEnvironmentFiles=/etc/default/docker (ignore_errors=yes)\n\n@@unit kubelet.service\n"
        f"Id=kubelet.service\nEnvironmentFiles=/etc/default/node-1 (ignore_errors=yes)\nEnvironmentFiles={tmp_path}/*.env (ignore_errors=no)\n\n"
    )
    seen = call(f"units={quote(shown)}; loaded_environment_files kubelet.service").split()
    assert seen == ["/etc/default/node-1", f"{tmp_path}/a.env", f"{tmp_path}/b.env"]


def test_docker_is_asked_where_the_kubelet_asks_it_if_nowhere_else():
    for arguments, socket in (
        ("--docker-endpoint=unix:///srv/docker.sock", "/srv/docker.sock"),
        ("--docker-endpoint=tcp://127.0.0.1:2375", "/absent.sock"),
        ("--v=2", "/absent.sock"),
    ):
        snippet = (
            f"DOCKER_SOCKET=/absent.sock; kubelet_arguments={quote(arguments)}; find_docker_socket; echo $DOCKER_SOCKET"
        )
        assert call(snippet).strip() == socket


@pytest.mark.parametrize(
    "imports, expected",
    [
        ('imports = ["/x/a.toml", "conf.d/b.toml"]', ["/x/a.toml", "{}/conf.d/b.toml"]),
        ("imports = ['/x/a.toml',\n  # '/x/old.toml',\n  '/x/b.toml',\n]", ["/x/a.toml", "/x/b.toml"]),
        ("version = 2\n[x]\nother_imports = ['/x/a.toml']", []),
    ],
)
def test_imports_of_a_containerd_configuration(imports, expected, tmp_path):
    (tmp_path / "config.toml").write_text(imports + '\nroot = "/var/lib/containerd"\n')
    assert call(f"imported_files {tmp_path}/config.toml").split() == [path.format(tmp_path) for path in expected]


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("unshare") is None, reason="only root can make a PID namespace")
def test_processes_of_containers_are_not_this_machines():
    """The dockerd of a Docker-in-Docker pod lives in a PID namespace of its own."""
    with (
        subprocess.Popen(["sleep", "60"]) as ours,
        subprocess.Popen(["unshare", "--fork", "--pid", "--kill-child", "sleep", "60"]) as parent,
    ):
        try:
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
            while not (nested := children.read_text().split()):
                assert parent.poll() is None
            while Path(f"/proc/{nested[0]}/comm").read_text() != "sleep\n":
                assert parent.poll() is None
            found = call("DAEMONS=sleep; find_daemons; processes sleep").split()
        finally:
            ours.kill()
            parent.kill()
    assert str(ours.pid) in found
    assert nested[0] not in found


def test_both_sides_name_the_same_packages():
    match = re.search(r"^PACKAGES='([^']*)'$", observe.probe_script(), re.MULTILINE)
    assert match is not None
    assert tuple(match.group(1).split()) == observe.PACKAGES


def test_it_fits_into_one_argument():
    """Linux takes 128 KiB in one argument; the script must fit even where its quotes are quoted twice."""
    assert len(quote(quote(observe.probe_script()))) < 128 * 1024
