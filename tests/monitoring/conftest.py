"""What the tests of monitoring run: Debian's Prometheus, node_exporter and containerds, unpacked and not installed."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import debian_trees
from containerd_process import ContainerdProcess


@pytest.fixture(scope="session")
def prometheus():
    return debian_trees.unpacked("prometheus", "bookworm", "prometheus", "prometheus-node-exporter") / "usr/bin"


@pytest.fixture(scope="session")
def tools():
    """runc and a static busybox. One runc for every containerd: those of newer suites need a newer libc than this machine's."""
    return debian_trees.unpacked("tools", "bookworm", "busybox-static", "runc")


@pytest.fixture(scope="session", params=debian_trees.RELEASES)
def release(request):
    return request.param


@pytest.fixture(scope="module")
def containerd(release, tools):
    """A containerd of a release that runs, with an image and what a kubelet needs; only root can start containers."""
    if os.getuid() != 0:
        pytest.skip("only root can run containerd")
    # A path of a socket has room for 107 bytes.
    process = ContainerdProcess(debian_trees.containerd(release), Path(tempfile.mkdtemp(prefix="unshim-")), tools)
    try:
        process.start()
        process.import_image()
        yield process
    finally:
        process.remove()
