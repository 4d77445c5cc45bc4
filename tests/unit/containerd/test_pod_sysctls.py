"""Which Docker and which containerd set what in a pod's network, by version and kernel."""

import json
from pathlib import Path

import pytest

from unshim import pod_sysctls

DUMPS = Path(__file__).resolve().parents[2] / "data" / "containerd" / "imports" / "dumps"
PORTS, PING = "enable_unprivileged_ports", "enable_unprivileged_icmp"


@pytest.mark.parametrize(
    "docker, kernel, remap, keys",
    [
        ("20.10.24+dfsg1", "6.1.0-17-amd64", False, [PORTS, PING]),
        ("26.1.5+dfsg1", "4.18.0-513.el8.x86_64", False, [PORTS, PING]),
        ("20.10.13", "5.4.0", False, [PORTS, PING]),
        ("20.10.12", "5.4.0", False, [PORTS]),  # moby#42736 is not in it
        ("20.10.5+dfsg1", "5.10.0-33-amd64", False, [PORTS]),
        ("19.03.15", "5.4.0", False, []),
        ("20.10.24", "4.11.0", False, [PORTS, PING]),
        ("20.10.24", "4.10.17", False, [PING]),
        ("26.1.4", "3.10.0-1160.el7.x86_64", False, [PING]),
        ("26.1.4", "2.6.32", False, []),
        ("26.1.4", "5.4.0", True, [PORTS]),  # a group of the node's cannot be named there
        ("", "5.4.0", False, []),
        ("26.1.4", "", False, []),
    ],
)
def test_what_docker_sets(docker, kernel, remap, keys):
    assert [option.key for option in pod_sysctls.set_by_docker(docker, kernel, remap)] == keys


@pytest.mark.parametrize(
    "containerd, kernel, known, default, off",
    [
        ("1.5.18", "5.4.0", False, False, False),
        ("1.6.0", "3.10.0", True, False, False),
        ("1.7.24~ds1", "5.4.0", True, False, False),
        ("2.0.0", "4.11.0", True, True, False),
        ("2.1.9", "4.10.0", True, True, True),
        ("2.1.9", "", True, True, False),
        ("", "3.10.0", True, False, False),
    ],
)
def test_what_containerd_does(containerd, kernel, known, default, off):
    assert pod_sysctls.is_known(containerd) is known
    assert pod_sysctls.is_default(containerd) is default
    assert pod_sysctls.must_be_off(containerd, kernel) is off


def test_containerds_say_so_themselves():
    """Recorded dumps of real ones, of files that say nothing of it."""
    seen = {}
    for path in sorted(DUMPS.glob("*-2.json")):
        record = json.loads(path.read_text())
        version, plugins = record["containerd"], record["plugins"]
        if record["error"]:
            continue
        cri = plugins.get("io.containerd.cri.v1.runtime") or plugins["io.containerd.grpc.v1.cri"]
        for option in pod_sysctls.OPTIONS:
            assert (option.key in cri) is pod_sysctls.is_known(version), path.name
            assert cri.get(option.key, False) is pod_sysctls.is_default(version), path.name
        seen[version.split(".")[1]] = version
    assert len(seen) == 4, seen
