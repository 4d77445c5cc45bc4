"""The version tables, asked as the planner asks them."""

import re
from pathlib import Path

import pytest

from unshim import compat
from unshim.facts import Containerd, Facts, OperatingSystem, Package

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.mark.parametrize(
    "text, version",
    [
        ("1.6.20~ds1", (1, 6, 20)),
        ("v1.20.2", (1, 20, 2)),
        ("1.7.27-3.1.el9", (1, 7, 27)),
        ("2.2.1-0ubuntu1~22.04.2", (2, 2, 1)),
        ("5:20.10.24~3-0~debian-bookworm", (20, 10, 24)),
        ("1.25", (1, 25, 0)),
        ("", None),
        ("unknown", None),
        ("7", None),
    ],
)
def test_versions(text, version):
    assert compat.parse_version(text) == version


# What upstream says works and does not: dockershim's kubelets, the CRI v1 line, containerd 2.
@pytest.mark.parametrize(
    "kubelet, containerd, works",
    [
        ("1.16.0", "1.4.13", True),
        ("1.20.2", "1.4.13", True),
        ("1.20.2", "1.6.20", True),
        ("1.22.17", "1.7.24", True),
        ("1.22.17", "2.0.0", False),
        ("1.20.2", "2.1.9", False),
        ("1.23.0", "2.0.0", True),
        ("1.25.9", "1.5.11", True),
        ("1.26.0", "1.5.18", False),
        ("1.26.0", "1.6.0", True),
        ("1.34.1", "2.1.9", True),
    ],
)
def test_which_kubelet_runs_on_which_containerd(kubelet, containerd, works):
    bad = compat.incompatibility(kubelet, containerd)
    assert (bad is None) is works
    if bad:
        assert kubelet in bad[0]
        assert containerd in bad[0]
        assert ("1.4 to 1.7" if kubelet < "1.23" else "containerd 1.6 or newer") in bad[1]


@pytest.mark.parametrize(
    "kubelet, containerd, tested",
    [
        ("1.36.0", "1.7.28", False),
        ("1.36.0", "2.1.9", False),
        ("1.36.0", "2.2.0", True),
        ("1.36.0", "2.4.0", True),
        ("1.35.0", "1.7.27", False),
        ("1.35.0", "1.7.28", True),
        ("1.34.0", "1.6.20", True),
    ],
)
def test_what_upstream_tests(kubelet, containerd, tested):
    assert (compat.untested(kubelet, containerd) == "") is tested


@pytest.mark.parametrize(
    "flag, kubelet, state",
    [
        ("network-plugin", "1.23.17", "valid"),
        ("network-plugin", "1.24.0", "fatal"),
        ("container-runtime", "1.23.0", "valid"),
        ("container-runtime", "1.24.0", "ignored"),
        ("container-runtime", "1.27.0", "fatal"),
        ("container-runtime-endpoint", "1.36.0", "valid"),
        ("pod-infra-container-image", "1.34.2", "valid"),
        ("pod-infra-container-image", "1.35.0", "fatal"),
        ("v", "1.20.0", "unknown"),
    ],
)
def test_flags(flag, kubelet, state):
    assert compat.flag_state(flag, kubelet) == state


def test_flags_are_as_a_real_kubelet_takes_them():
    """Recorded by tests/data/kubelet/record.sh."""
    lines = (DATA / "kubelet" / "flags-1.20.2.txt").read_text().splitlines()
    kubelets = dict(line.split() for line in lines)
    assert set(kubelets) == {row.name for row in compat.KUBELET_FLAGS}
    for name, kind in kubelets.items():
        assert (compat.flag_state(name, "1.20.2") == "fatal") is (kind == "unknown"), name
        if kind in ("boolean", "value"):
            assert compat.flag_is_boolean(name) is (kind == "boolean"), name


def test_every_row_about_a_flag_names_its_source():
    assert [row.name for row in compat.KUBELET_FLAGS if not row.source] == []


@pytest.mark.parametrize(
    "kubelet, image",
    [
        ("1.16.0", "k8s.gcr.io/pause:3.1"), ("1.17.17", "k8s.gcr.io/pause:3.1"), ("1.18.0", "k8s.gcr.io/pause:3.2"),
        ("v1.20.2", "k8s.gcr.io/pause:3.2"), ("1.21.0", "k8s.gcr.io/pause:3.4.1"), ("1.22.16", "k8s.gcr.io/pause:3.5"),
        ("1.22.17", "registry.k8s.io/pause:3.5"), ("1.23.14", "k8s.gcr.io/pause:3.6"),
        ("1.23.15", "registry.k8s.io/pause:3.6"), ("1.24.8", "k8s.gcr.io/pause:3.7"),
        ("1.24.9", "registry.k8s.io/pause:3.7"), ("1.25.0", "registry.k8s.io/pause:3.8"),
        ("1.30.9", "registry.k8s.io/pause:3.9"), ("1.33.0", "registry.k8s.io/pause:3.10"),
        ("1.36.0", "registry.k8s.io/pause:3.10.1"), ("?", ""),
    ],
)  # fmt: skip
def test_default_sandbox_images(kubelet, image):
    assert compat.default_sandbox_image(kubelet) == image


def test_only_dockershims_flags_are_taken_out():
    kept = (
        "container-runtime-endpoint",
        "container-runtime",
        "pod-infra-container-image",
        "v",
        "dockerless",
        "node-ip",
    )
    assert [name for name in kept if compat.dockershim_reason(name)] == []
    gone = (
        "network-plugin",
        "docker-endpoint",
        "docker-exec-handler",
        "experimental-dockershim-root-directory",
        "docker",
    )
    assert [name for name in gone if not compat.dockershim_reason(name)] == []


@pytest.mark.parametrize("kubelet", [f"1.{minor}.0" for minor in range(16, 37)])
def test_what_is_refused_names_a_containerd_that_works(kubelet):
    releases = ["1.4.13", "1.5.18", "1.6.20", "1.7.24", "2.0.5", "2.1.9", "2.2.0", "2.3.4"]
    works = [release for release in releases if compat.incompatibility(kubelet, release) is None]
    assert works
    for release in set(releases) - set(works):
        _, remedy = compat.incompatibility(kubelet, release)
        named = re.findall(r"\d+\.\d+", remedy)
        assert any(release.startswith(named[0]) for release in works), remedy


@pytest.mark.parametrize(
    "containerd, newest",
    [("1.4.13", 2), ("1.6.20", 2), ("1.7.24", 2), ("2.0.0", 3), ("2.1.9", 3), ("2.2.0", 3), ("2.3.0", 4)],
)
def test_the_newest_file_a_containerd_reads(containerd, newest):
    assert compat.newest_schema(containerd) == newest


@pytest.mark.parametrize("containerd, schema", [("1.4.13", 2), ("1.7.24", 2), ("2.0.0", 3), ("2.3.4", 3), ("", 2)])
def test_config_schema(containerd, schema):
    assert compat.config_schema(containerd) == schema


@pytest.mark.parametrize(
    "id, like, support",
    [
        ("debian", (), "yes"),
        ("ubuntu", ("debian",), "yes"),
        ("linuxmint", ("ubuntu", "debian"), "yes"),
        ("rocky", ("rhel", "centos", "fedora"), "yes"),
        ("fedora", (), "yes"),
        ("amzn", ("fedora",), "yes"),
        ("sles", ("suse",), "yes"),
        ("alpine", (), "no"),
        ("arch", (), "no"),
        ("flatcar", ("coreos",), "no"),
        ("", (), "no"),
    ],
)
def test_operating_systems(id, like, support):
    assert compat.operating_system(OperatingSystem(id=id, id_like=like)).support == support


DEBIAN = OperatingSystem(id="debian", package_manager="apt")


def node(*packages, containerd=""):
    return Facts(
        os=DEBIAN,
        packages={package.name: package for package in packages},
        containerd=Containerd(installed=bool(containerd), version=containerd),
    )


def test_the_installed_containerd_is_never_upgraded_unasked():
    choice = compat.choose(node(Package("containerd", "1.6.20~ds1-1", "2.1.9-1"), containerd="1.6.20~ds1"), "", "")
    assert (choice.package, choice.installed, choice.wanted, choice.version) == (
        "containerd", "1.6.20~ds1-1", "1.6.20~ds1-1", "1.6.20~ds1",
    )  # fmt: skip


def test_an_upgrade_that_was_asked_for():
    choice = compat.choose(node(Package("containerd", "1.6.20-1", "1.7.24-1"), containerd="1.6.20"), "", "1.7.24-1")
    assert (choice.installed, choice.wanted, choice.version) == ("1.6.20-1", "1.7.24-1", "1.7.24-1")


def test_the_candidate_where_none_is_installed():
    choice = compat.choose(node(Package("containerd", "", "1.6.20-1")), "", "")
    assert (choice.installed, choice.wanted, choice.problem) == ("", "1.6.20-1", "")


def test_dockers_own_package_is_kept():
    choice = compat.choose(node(Package("containerd.io", "1.7.27-1"), Package("containerd", "", "1.6.20")), "", "")
    assert choice.package == "containerd.io"


def test_a_package_that_would_remove_docker_is_refused():
    choice = compat.choose(node(Package("containerd.io", "1.7.27-1"), containerd="1.7.27"), "containerd", "")
    assert choice.problem_id == "containerd-package-conflict"
    assert "containerd.io" in choice.problem


def test_one_from_an_archive_is_not_a_package_managers():
    choice = compat.choose(node(Package("containerd", "", "1.6.20-1"), containerd="1.7.27"), "", "")
    assert (choice.package, choice.version) == ("", "1.7.27")


def test_none_to_be_had():
    assert compat.choose(node(Package("runc", "", "1.1.5-1")), "", "").problem_id == "no-containerd-package"


def test_a_node_without_package_lists_is_not_one_without_the_package():
    choice = compat.choose(node(Package("containerd"), Package("runc")), "", "")
    assert (choice.package, choice.lists_absent, choice.problem) == ("containerd", True, "")


def system(id, manager, *packages, containerd=None):
    return Facts(
        os=OperatingSystem(id=id, package_manager=manager),
        packages={package.name: package for package in packages},
        containerd=containerd or Containerd(),
    )


def test_the_red_hat_family_is_told_where_containerd_can_come_from():
    choice = compat.choose(system("rocky", "dnf", Package("runc", "", "1.1.5-1"), Package("containerd.io")), "", "")
    assert choice.problem_id == "no-containerd-package"
    assert "unshim_containerd_method to docker_repo or archive" in choice.remedy


def test_dockers_repository_brings_its_version_later():
    facts = system("rocky", "dnf", Package("runc", "", "1.1.5-1"), Package("containerd.io"))
    choice = compat.choose(facts, "", "", "docker_repo")
    assert (choice.package, choice.lists_absent, choice.problem) == ("containerd.io", True, "")
    assert compat.choose(facts, "", "1.6.33-3.1.el9", "docker_repo").version == "1.6.33-3.1.el9"


def test_dockers_package_never_replaces_the_distributions():
    facts = system("debian", "apt", Package("containerd", "1.6.20"), containerd=Containerd(installed=True))
    choice = compat.choose(facts, "", "", "docker_repo")
    assert choice.problem_id == "containerd-package-conflict" and "unshim_containerd_method" in choice.remedy


def test_archives():
    assert compat.choose(system("rocky", "dnf"), "", "", "archive", "2.1.9").version == "2.1.9"
    assert compat.choose(system("rocky", "dnf"), "", "", "archive").problem_id == "containerd-archive"
    ours = Containerd(installed=True, version="1.7.24", binary="/opt/unshim/containerd-1.7.24/bin/containerd")
    assert compat.choose(system("rocky", "dnf", containerd=ours), "", "", "archive", "2.1.9").version == "2.1.9"
    assert compat.choose(system("rocky", "dnf", containerd=ours), "", "", "archive").version == "1.7.24"


@pytest.mark.parametrize(
    "package, binary",
    [(Package("containerd.io", "1.6.33"), "/usr/bin/containerd"), (Package("runc"), "/opt/docker/containerd")],
)
def test_no_archive_beside_a_containerd_that_came_otherwise(package, binary):
    there = Containerd(installed=True, version="1.6.33", binary=binary)
    choice = compat.choose(system("rocky", "dnf", package, containerd=there), "", "", "archive", "2.1.9")
    assert choice.problem_id == "containerd-package-conflict"


@pytest.mark.parametrize(
    "id, manager, driven",
    [
        ("centos", "yum", True),
        ("rocky", "dnf", True),
        ("sles", "zypper", True),
        ("sles", "dnf", False),
        ("debian", "dnf", False),
    ],
)
def test_package_managers_that_are_driven(id, manager, driven):
    assert compat.drives(compat.operating_system(OperatingSystem(id=id)), manager) is driven


def test_fedora_coreos_is_no_fedora():
    assert compat.operating_system(OperatingSystem(id="fedora", variant_id="coreos")).support == "no"


@pytest.mark.parametrize("row", compat.OPERATING_SYSTEMS, ids=lambda row: row.ids[0])
def test_what_is_refused_says_what_is_missing(row):
    assert row.source and bool(row.reason) is (row.support == "no")
    assert row.support == "no" or (row.hold and row.kubelet_environment and row.containerd and row.cni_directory)
