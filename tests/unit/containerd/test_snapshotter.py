"""The snapshotter, by Docker's storage driver, the file system and what containerd says."""

import pytest

from unshim.facts import Mount
from unshim.snapshotter import choose

ROOT = "/var/lib/containerd"


def on(filesystem, ftype=""):
    return Mount("/", "/dev/sda1", filesystem, ftype=ftype)


@pytest.mark.parametrize("driver", ["overlay2", "overlay", "devicemapper", "aufs", "fuse-overlayfs", "overlayfs", ""])
@pytest.mark.parametrize("mount", [on("ext4"), on("xfs", "1"), on("xfs"), on("btrfs"), None])
def test_other_drivers_become_containerds_default(driver, mount):
    made = choose(driver, ROOT, mount, {"overlayfs": "ok", "native": "ok"})
    assert (made.name, made.problem, made.note) == ("", "", "")


@pytest.mark.parametrize("driver", ["btrfs", "zfs"])
def test_a_driver_of_the_file_system_itself_becomes_its_snapshotter(driver):
    assert choose(driver, ROOT, on(driver), {driver: "ok", "overlayfs": "ok"}).name == driver
    assert choose(driver, ROOT, on(driver), {}).name == driver  # containerd was not asked
    made = choose(driver, ROOT, on("ext4"), {driver: "skip", "overlayfs": "ok"})
    assert (made.name, made.problem) == ("", "")
    assert "ext4" in made.note
    made = choose(driver, ROOT, on(driver), {driver: "error", "overlayfs": "ok"})
    assert (made.name, made.problem) == ("", "")
    assert "does not work there (error)" in made.note


@pytest.mark.parametrize(
    "driver, mount, plugins, words",
    [
        ("overlay2", on("xfs", "0"), {}, "ftype=0"),
        ("devicemapper", on("xfs", "0"), {"overlayfs": "skip"}, "ftype=0"),
        ("overlay2", on("overlay"), {}, "overlay file system"),
        ("overlay2", on("overlay"), {"overlayfs": "ok"}, "overlay file system"),
        ("overlay2", on("nfs4"), {"overlayfs": "error"}, "nfs4"),
        ("zfs", on("zfs"), {"zfs": "error", "overlayfs": "skip"}, "its state is skip"),
    ],
)
def test_a_file_system_that_bears_none_blocks(driver, mount, plugins, words):
    made = choose(driver, ROOT, mount, plugins)
    assert words in made.problem
    assert ROOT in made.problem
    assert made.remedy


def test_what_containerd_tried_itself_counts_more():
    assert choose("overlay2", ROOT, on("xfs", "0"), {"overlayfs": "ok"}).problem == ""
    assert choose("overlay2", ROOT, on("zfs"), {"overlayfs": "ok"}).problem == ""  # since ZFS 2.2


def test_vfs_on_an_overlay_becomes_native_which_copies_as_well():
    made = choose("vfs", ROOT, on("overlay"), {"overlayfs": "error", "native": "ok"})
    assert (made.name, made.problem) == ("native", "")
    assert "copies" in made.note
