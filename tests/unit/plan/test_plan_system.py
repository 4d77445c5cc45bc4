"""What a node is made of: releases that have ended, kernels without what containerd needs, cgroup controllers."""

from datetime import UTC, date, datetime

import pytest

from unshim import os_releases, plan, plan_system
from unshim.compat import OPERATING_SYSTEMS
from unshim.facts import OperatingSystem
from unshim.plan_model import Settings


def at(day):
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def findings(facts, **settings):
    return {finding.id: finding for finding in plan.make(facts, Settings(**settings), "w1").findings}


@pytest.mark.parametrize(
    "id, version, name, ended, extended",
    [
        ("debian", "11", "Debian GNU/Linux 11 (bullseye)", "2026-08-31", None),
        ("ubuntu", "18.04", "Ubuntu 18.04.6 LTS", "2023-05-31", "2028-04-01"),
        ("ubuntu", "20.10", "Ubuntu 20.10", "2021-07-22", None),
        ("rhel", "7.9", "Red Hat Enterprise Linux Server 7.9 (Maipo)", "2024-06-30", "2029-05-31"),
        ("centos", "7", "CentOS Linux 7 (Core)", "2024-06-30", None),
        ("centos", "8", "CentOS Linux 8", "2021-12-31", None),
        ("centos", "8", "CentOS Stream 8", "2024-05-31", None),
        ("centos", "9", "CentOS Stream 9", "2027-05-31", None),
        ("rocky", "8.10", "Rocky Linux 8.10 (Green Obsidian)", "2029-05-31", None),
        ("amzn", "2", "Amazon Linux 2", "2026-06-30", None),
        ("amzn", "2018.03", "Amazon Linux AMI 2018.03", "2023-12-31", None),
        ("sles", "15.5", "SUSE Linux Enterprise Server 15 SP5", "2024-12-31", "2027-12-31"),
        ("opensuse-leap", "15.6", "openSUSE Leap 15.6", "2026-04-30", None),
        ("fedora", "41", "Fedora Linux 41 (Server Edition)", "2025-12-15", None),
    ],
)
def test_a_release_is_found_by_what_it_calls_itself(id, version, name, ended, extended):
    row = os_releases.release(OperatingSystem(id=id, version_id=version, pretty_name=name))
    assert (str(row.ended), row.extended and str(row.extended)) == (ended, extended)


@pytest.mark.parametrize(
    "id, version", [("linuxmint", "21"), ("debian", ""), ("debian", "99"), ("ubuntu", "20"), ("", "7")]
)
def test_nothing_is_said_of_a_release_that_no_table_has(id, version):
    assert os_releases.release(OperatingSystem(id=id, id_like=("debian", "ubuntu"), version_id=version)) is None


def test_the_table_is_sound():
    seen = [(id, row.version) for row in os_releases.RELEASES for id in row.ids]
    assert len(seen) == len(set(seen)) > 80
    known = {id for row in OPERATING_SYSTEMS for id in row.ids} | {"centos-stream"}
    for row in os_releases.RELEASES:
        assert set(row.ids) <= known
        assert date(2009, 1, 1) < row.ended < date(2040, 1, 1)
        assert (row.extended is None) == (row.by == "")
        assert row.extended is None or row.extended > row.ended


@pytest.mark.parametrize(
    "day, told",
    [
        ("2023-05-31", None),
        ("2023-06-01", "go on until 2028-04-01"),
        ("2028-04-01", "go on until"),
        ("2028-04-02", "ended on 2028-04-01"),
    ],
)
def test_the_nodes_own_clock_decides(worker, day, told):
    changes = {"time": at(day), "os": {"id": "ubuntu", "version_id": "18.04", "pretty_name": "Ubuntu 18.04.6 LTS"}}
    found = findings(worker(changes)).get("os-end-of-life")
    assert (found is None) is (told is None)
    if told:
        assert found.severity == "warn"
        assert "Ubuntu 18.04.6 LTS has got no security updates since 2023-05-31" in found.message
        assert told in found.message


@pytest.mark.parametrize("time", [0.0, -1.0, float("inf"), float("nan"), 1e18])
def test_a_clock_that_is_wrong_says_nothing(worker, time):
    made = findings(worker({"time": 0, "os": {"id": "centos", "version_id": "7"}}))
    assert "os-end-of-life" not in made
    day = os_releases.day(time)
    assert day is None or day.year <= 1970


@pytest.mark.parametrize(
    "kernel, too_old",
    [
        ("3.10.0-327.el7.x86_64", True),  # RHEL 7.2
        ("3.10.0-514.el7.x86_64", False),  # 7.3
        ("3.10.0-1160.119.1.el7.x86_64", False),
        ("3.10.0-514.generic", True),  # the number is Red Hat's only in a kernel of Red Hat's
        ("3.16.0-4-amd64", True),
        ("3.19.8", True),
        ("4.0.0", False),
        ("4.1.12-124.48.6.el7uek.x86_64", False),
        ("4.15.0-213-generic", False),
        ("6.1.0-lab", False),
        ("10.0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_kernels_for_overlayfs(kernel, too_old):
    assert plan_system.is_too_old(kernel) is too_old


OLD = {
    "os": {"kernel": "3.16.0-4-amd64"},
    "docker": {"storage_driver": "devicemapper"},
    "containerd": {"snapshotters": None},
}
WITHOUT = {
    "kernel": {"modules_absent": ["overlay"]},
    "docker": {"storage_driver": "devicemapper"},
    "containerd": {"snapshotters": None},
}


@pytest.mark.parametrize("changes, id", [(OLD, "kernel-too-old"), (WITHOUT, "kernel-module-absent")])
def test_a_kernel_that_cannot_put_layers_over_each_other_blocks(worker, changes, id):
    found = findings(worker(changes))
    assert found[id].severity == "block"
    assert found[id].remedy
    # Where it is seen to work, that counts, and not a version.
    for works in ({"containerd": {"snapshotters": {"overlayfs": "ok"}}}, {"docker": {"storage_driver": "overlay2"}}):
        seen = plan.make(worker({**changes, **works}), Settings(), "w1")
        assert id not in {finding.id for finding in seen.blockers}


def test_where_layers_are_put_otherwise_overlayfs_does_not_matter(worker):
    own = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd]\nsnapshotter = "native"\n'
    changes = {**OLD, "files": {"/etc/containerd/config.toml": {"content": own}}}
    assert "kernel-too-old" in findings(worker(OLD))
    assert "kernel-too-old" not in findings(worker(changes))


def test_a_kernel_without_br_netfilter_is_a_warning(worker):
    found = findings(worker({"kernel": {"modules_absent": ["br_netfilter"]}}))["kernel-module-absent"]
    assert (found.severity, "br_netfilter" in found.message) == ("warn", True)


ALL = ["cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "hugetlb", "pids"]


@pytest.mark.parametrize(
    "cgroup, controllers, missing",
    [
        ("v1", ALL, ""),
        ("hybrid", ALL, ""),
        ("v1", [name for name in ALL if name not in ("memory", "hugetlb")], "memory"),
        ("hybrid", [name for name in ALL if name not in ("cpuset", "pids")], "cpuset, pids"),
        ("v2", ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"], ""),
        ("v2", ["cpu", "io", "pids"], "cpuset, memory"),
        ("v2", [], "cpu, cpuset, memory, pids"),
        ("v2", None, ""),
        ("", [], ""),
    ],
)
@pytest.mark.parametrize("goal", ["migrate", "provision"])
def test_controllers(worker, cgroup, controllers, missing, goal):
    found = findings(worker({"kernel": {"cgroup": cgroup, "controllers": controllers}}), goal=goal)
    said = found.get("cgroup-controller-missing")
    assert (said.message.split("controller ")[1].split(" (")[0] if said else "") == missing
    assert said is None or said.severity == "warn"
