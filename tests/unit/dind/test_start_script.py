"""start.sh as dash and BusyBox's ash read it, on made-up /proc and /sys/fs/cgroup trees, with a stand-in for dockerd.

What dockerd does with these arguments is shown on the lab (tests/dind); what is shown here is what it is told, in places that the
lab does not have: cgroup v2 with and without a namespace.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

START = Path(__file__).parents[3] / "module_utils/unshim/dind/start.sh"
SHELLS = [["sh"]] + ([["busybox", "sh"]] if shutil.which("busybox") else [])

POD = "/kubepods/burstable/pod1/abc"
SLICE = "/kubepods.slice/kubepods-burstable.slice/cri-containerd-abc.scope"
DATA_MOUNT = "100 90 8:1 /volumes/dind-data /var/lib/docker rw - ext4 /dev/sda1 rw\n"

HELP = "      --mtu int    Set the MTU\n"
NEW_HELP = HELP + "      --default-network-opt mapmap   Default network options\n"


class Place:
    """A container as start.sh sees it."""

    def __init__(self, root: Path):
        self.root = root
        self.proc, self.cgroups, self.net = root / "proc", root / "cgroup", root / "net"
        self.bin, self.sockets = root / "bin", root / "sockets"
        for directory in (
            self.proc / "self",
            self.proc / "net",
            self.cgroups,
            self.net / "eth0",
            self.bin,
            self.sockets,
        ):
            directory.mkdir(parents=True)
        self.interface_mtu(1450)
        (self.proc / "net/route").write_text(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
            "eth1\t0000F40A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
            "eth0\t00000000\t0101F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        )
        self.v1(POD, POD)
        self.dockerd(NEW_HELP)

    def interface_mtu(self, mtu):
        (self.net / "eth0/mtu").write_text(f"{mtu}\n")

    def v1(self, own, mounted):
        (self.proc / "self/cgroup").write_text(f"5:cpu,cpuacct:{own}\n4:memory:{own}\n1:name=systemd:{own}\n0::/\n")
        self._mounts(f"30 29 0:26 {mounted} {self.cgroups}/memory rw - cgroup cgroup rw,memory\n")

    def v2(self, own, mounted):
        (self.proc / "self/cgroup").write_text(f"0::{own}\n")
        self._mounts(f"30 29 0:26 {mounted} {self.cgroups} rw - cgroup2 cgroup rw\n")
        group = self.cgroups / own.removeprefix(mounted).lstrip("/")
        group.mkdir(parents=True, exist_ok=True)
        for directory in {self.cgroups, group}:
            (directory / "cgroup.controllers").write_text("cpu memory pids\n")
        (group / "cgroup.procs").write_text("1\n7\n")
        return group

    def _mounts(self, line):
        (self.proc / "self/mountinfo").write_text(
            "29 1 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n" + line + DATA_MOUNT
        )

    def dockerd(self, help_text, script="exit 0"):
        self.program("dockerd", f"case $1 in --help) cat <<'E'\n{help_text}E\nexit 0;; esac\n{script}")

    def program(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def environment(self, **extra):
        return {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "DIND_PROC": str(self.proc),
            "DIND_CGROUPS": str(self.cgroups),
            "DIND_NET": str(self.net),
            "DIND_SOCKETS": str(self.sockets),
            "DIND_CONFIG": str(self.root),
            **extra,
        }


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def start(request, place):
    def run(verb, **extra):
        return subprocess.run(
            [*request.param, START, verb], env=place.environment(**extra), text=True, capture_output=True, check=False,
            timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture
def arguments(start):
    def of(**extra):
        done = start("arguments", **extra)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return of


def test_the_mtu_is_that_of_the_default_routes_interface_for_docker0_and_user_networks(place, arguments):
    place.interface_mtu(1376)
    found = arguments()
    assert "--mtu=1376" in found
    assert "--default-network-opt=bridge=com.docker.network.driver.mtu=1376" in found


def test_a_given_mtu_goes_before_it(arguments):
    assert "--mtu=1300" in arguments(DIND_MTU="1300")


def test_an_old_dockerd_is_not_given_what_it_does_not_know_and_that_is_said(place, start):
    place.dockerd(HELP)
    done = start("arguments")
    assert "--mtu=1450" in done.stdout and "default-network-opt" not in done.stdout
    assert "-o com.docker.network.driver.mtu=1450" in done.stderr


@pytest.mark.parametrize(
    ("version", "own", "mounted", "parent"),
    [
        ("v2", SLICE, "/", f"{SLICE}/docker"),  # privileged, without a namespace: the escape of moby/moby#45378
        ("v2", "/", "/", "/docker"),  # a namespace of its own
        ("v1", POD, POD, "/docker"),  # its own part is mounted
        ("v1", POD, "/", f"{POD}/docker"),  # the machine's is
        ("v1", "/", "/", "/docker"),
        ("v1", f"{POD}/inner", POD, "/inner/docker"),
    ],
)
def test_containers_of_dockerd_are_below_its_own_cgroup(version, own, mounted, parent, place, arguments):
    getattr(place, version)(own, mounted)
    assert f"--cgroup-parent={parent}" in arguments()


def test_it_listens_on_the_socket_only(place, arguments):
    hosts = [word for word in arguments() if word.startswith("--host")]
    assert hosts == [f"--host=unix://{place.sockets}/docker.sock"]


def test_with_certificates_it_listens_with_tls_and_asks_clients_for_theirs(place, arguments, tmp_path):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    found = arguments(DIND_TLS=str(tmp_path))
    assert "--tlsverify" in found and f"--tlscacert={tmp_path}/ca.pem" in found
    assert [word for word in found if "tcp" in word] == ["--host=tcp://0.0.0.0:2376"]


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
def test_without_one_of_its_certificates_it_does_not_start(missing, start, tmp_path):
    for name in {"ca.pem", "cert.pem", "key.pem"} - {missing}:
        (tmp_path / name).write_text("x")
    for verb in ("arguments", "run"):
        done = start(verb, DIND_TLS=str(tmp_path))
        assert done.returncode != 0 and missing in done.stderr


def test_without_a_volume_on_its_data_it_does_not_start(place, start):
    text = (place.proc / "self/mountinfo").read_text()
    (place.proc / "self/mountinfo").write_text(text.replace(DATA_MOUNT, ""))
    done = start("run")
    assert done.returncode == 1 and "no volume is mounted on /var/lib/docker" in done.stderr


def test_dockerd_is_no_likelier_to_be_killed_than_its_containers(place, running):
    (place.proc / "self/oom_score_adj").write_text("969\n")
    running(SHELLS[0])
    assert (place.proc / "self/oom_score_adj").read_text() == "0\n"


def test_the_group_of_the_socket(arguments):
    assert "--group=123" in arguments(DIND_GROUP="123")


def test_limits_are_no_higher_than_its_own(arguments):
    (limit,) = (word for word in arguments() if "default-ulimit" in word)
    soft, hard = map(int, limit.rpartition("=")[2].split(":"))
    assert 0 < soft <= 65536 and soft <= hard <= 1048576


@pytest.fixture
def running(request, place):
    """Start it with a dockerd that runs until it is told to end; its mount and iptables do nothing."""
    place.program("mount", "exit 0")
    for tool in ("iptables-nft", "iptables-legacy"):
        place.program(tool, "exit 0")
    place.dockerd(
        NEW_HELP,
        f'echo "$@" >{place.root}/told; trap "echo ended >{place.root}/ended; exit 3" TERM; while :; do sleep 0.1; done',
    )
    processes = []

    def begin(shell, **extra):
        process = subprocess.Popen(
            [*shell, START, "run"], env=place.environment(**extra), stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        processes.append(process)
        deadline = time.monotonic() + 20
        while not (place.root / "told").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                # Who still has the pipe open would keep it from being read to its end.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                pytest.fail(process.stderr.read())
            time.sleep(0.05)
        return process

    yield begin
    for process in processes:
        end_group_of(process)
        assert members(process.pid) == [], "what the test has started is still there"


def members(group):
    """Return the processes of a group that have not ended, by what the kernel says."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(of) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


def end_group_of(process):
    """End a shell with its stand-in for dockerd, which would outlive it: a killed shell passes nothing on."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    deadline = time.monotonic() + 5
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_the_stand_in_for_dockerd_is_ended_with_the_shell_that_started_it(place, running):
    process = running(SHELLS[0])
    assert len(members(process.pid)) > 1, "the stand-in is not in the group"
    process.kill()
    process.wait()
    assert members(process.pid) != [], "it ended by itself: the teardown of this file shows nothing"
    end_group_of(process)
    assert members(process.pid) == []


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_it_passes_the_end_on_to_dockerd_and_ends_with_its_code(shell, place, running):
    process = running(shell)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3
    assert (place.root / "ended").exists()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@pytest.mark.parametrize("told", [True, False])
def test_it_ends_with_the_job_only_where_it_was_told_to(told, shell, place, running):
    (place.sockets / "job-ended").write_text("")  # of the try before
    process = running(shell, **({"DIND_ENDS_WITH_JOB": "1"} if told else {}))
    time.sleep(1.5)
    assert process.poll() is None, "what was left of the try before ended it"
    (place.sockets / "job-ended").write_text("")
    if told:
        assert process.wait(20) == 3
    else:
        time.sleep(2.5)
        assert process.poll() is None


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_with_cgroup_v2_its_own_processes_are_moved_and_the_controllers_given_on(shell, place, running):
    group = place.v2(SLICE, "/")
    running(shell)
    # A file takes the last write; the kernel takes each.
    assert (group / "dind-init/cgroup.procs").read_text() == "7\n"
    assert (group / "cgroup.subtree_control").read_text() == "+cpu +memory +pids\n"
    assert not (place.cgroups / "dind-init").exists(), "the machine's own root was touched"


@pytest.mark.parametrize(("works", "chosen"), [(("nft", "legacy"), "nft"), (("legacy",), "legacy"), ((), "")])
def test_the_iptables_that_works_is_chosen(works, chosen, place, running):
    for tool in ("nft", "legacy"):
        place.program(f"iptables-{tool}", "exit 0" if tool in works else "exit 1")
    process = running(SHELLS[0])
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=20)[1]
    assert (f"iptables-{chosen}\n" in said) if chosen else "neither iptables-nft nor iptables-legacy works here" in said
