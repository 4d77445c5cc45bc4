"""Which processes the probe takes for daemons: real ones, started here under a daemon's name."""

import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from unshim import observe


def processes(name):
    script = observe.probe_script()
    script = script[: script.rindex("main <")] + f"unset IFS; DAEMONS={name}; find_daemons; processes {name}\n"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return [int(pid) for pid in done.stdout.split()]


@contextmanager
def running(folder, name, *arguments):
    """A process called ``name`` with these arguments: a shell by that name, which waits for its input."""
    program = folder / name
    shutil.copy(shutil.which("dash") or "/bin/sh", program)
    with subprocess.Popen([program, "-c", "read end", *arguments], stdin=subprocess.PIPE) as process:
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != name:
            assert process.poll() is None
        try:
            yield process.pid
        finally:
            process.stdin.close()


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("dockerd", ["-H", "fd://", "--containerd=/run/containerd/containerd.sock"]),
        ("dockerd", ["--config-file=/etc/docker/daemon.json"]),
        ("containerd", ["--config", "/etc/containerd/config.toml"]),
        ("kubelet", ["-v", "2", "--version-skew=1"]),
        ("kubelet", ["--config=/var/lib/kubelet/config.yaml"]),
        ("cri-dockerd", ["--network-plugin=cni"]),
    ],
)
def test_a_daemon_is_found(tmp_path, name, arguments):
    with running(tmp_path, name, *arguments) as pid:
        assert pid in processes(name)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("dockerd", ["--version"]),  # what the probe itself runs
        ("kubelet", ["--version"]),
        ("containerd", ["--version"]),
        ("containerd", ["config", "default"]),
        ("containerd", ["--config", "/etc/containerd/config.toml", "config", "dump"]),
        ("containerd", ["--address", "/run/containerd/containerd.sock", "publish", "--topic", "x"]),  # a shim's
        ("dockerd", ["-v"]),
        ("dockerd", ["--validate", "--config-file", "/etc/docker/daemon.json"]),
    ],
)
def test_one_that_only_answers_a_question_is_none(tmp_path, name, arguments):
    """Another probe at the same time, or a person: dockerd --version was taken for a Docker that systemd does not know."""
    with running(tmp_path, name, *arguments) as pid:
        assert pid not in processes(name)


def test_one_that_has_ended_is_none(tmp_path):
    """Nobody has asked for its end yet, so it still has its name, but no command line any more."""
    program = tmp_path / "dockerd"
    shutil.copy(shutil.which("true"), program)
    ended = subprocess.Popen([program])
    state = Path(f"/proc/{ended.pid}/stat")
    while ") Z " not in state.read_text():
        pass
    try:
        assert Path(f"/proc/{ended.pid}/comm").read_text() == "dockerd\n"
        assert ended.pid not in processes("dockerd")
    finally:
        ended.wait()


def test_two_probes_at_once_do_not_see_each_other(tmp_path):
    """One asks for the version while the other looks for a daemon; the slow answer is what a busy node gives."""
    dockerd = tmp_path / "dockerd"
    dockerd.write_text("#!/bin/sh\nread end\n")
    dockerd.chmod(0o755)
    script = observe.probe_script()
    snippet = script[: script.rindex("main <")] + "unset IFS; find_timeout; t dockerd --version\n"
    with subprocess.Popen(
        ["sh", "-c", snippet], stdin=subprocess.PIPE, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ) as asking:
        try:
            while not (found := _descendant(asking.pid, "dockerd")):
                assert asking.poll() is None
            assert found not in processes("dockerd")
        finally:
            asking.stdin.close()


def _descendant(pid, name):
    """A process below ``pid`` that is called so by now; others come and go meanwhile."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == name:
                return int(child)
            found = _descendant(child, name)
            if found:
                return found
    return None
