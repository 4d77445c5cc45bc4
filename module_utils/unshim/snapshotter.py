"""Which snapshotter containerd can use on the file system its data is on, seen from Docker's storage driver.

Images are unpacked anew, so a driver of Docker's needs no counterpart, except where the file system itself is one: Btrfs and
ZFS have a snapshotter each. Everything else becomes overlayfs, which is containerd's default, where the file system bears
it. Sources: containerd docs/snapshotters, plugins/snapshots/overlay/overlayutils/check.go (d_type, upper layers on overlay),
docs.docker.com/engine/storage/drivers/select-storage-driver, mkfs.xfs(8) (ftype).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .facts import Mount

DEFAULT = "overlayfs"
# Docker's drivers that are of one file system, and containerd's snapshotter of the same; any other driver becomes DEFAULT.
SAME_FILE_SYSTEM = {"btrfs": "btrfs", "zfs": "zfs"}


@dataclass(frozen=True)
class Choice:
    """``name``: the snapshotter, "" for containerd's default. ``problem``: why the node cannot be moved like this.
    ``note``: what the operator should know."""

    name: str = ""
    problem: str = ""
    remedy: str = ""
    note: str = ""


def choose(driver: str, directory: str, mount: Mount | None, plugins: Mapping[str, str]) -> Choice:
    """Return the snapshotter to use.

    Args:
        driver: Docker's storage driver.
        directory: where containerd's data is, or will be.
        mount: the file system it is on; None if it was not seen.
        plugins: containerd's snapshotters and their state; {} if it was not asked, or with its data elsewhere.
    """
    filesystem = mount.filesystem if mount else ""
    same = SAME_FILE_SYSTEM.get(driver, "")
    if same and filesystem == driver and plugins.get(same, "ok") == "ok":
        return Choice(same)
    note = ""
    if same and filesystem == driver:
        note = f"{directory} is on {filesystem}, but containerd's snapshotter {same} does not work there ({plugins[same]}); overlayfs is used"
    elif same:
        note = f"Docker's storage driver is {driver}, but {directory} is on {filesystem or 'another file system'}; overlayfs is used there"
    # containerd's own check does not see this one: its state is "ok", and no container starts (seen on 1.6).
    if filesystem in ("overlay", "overlayfs"):
        if driver == "vfs":
            return Choice(
                "native",
                note=f"{directory} is on an overlay file system, where only containerd's snapshotter native works: as Docker's "
                "vfs, it copies whole images",
            )
        return Choice(
            problem=f"{directory} is on an overlay file system, where overlayfs cannot put its layers",
            remedy=f'Mount a disk or a volume at {directory}; or set snapshotter = "native", which copies whole images, in '
            "containerd's config.toml.",
        )
    if plugins.get(DEFAULT) == "ok":  # containerd tried it at its start
        return Choice(note=note)
    if filesystem == "xfs" and mount is not None and mount.ftype == "0":
        return Choice(
            problem=f"{directory} is on an XFS that was made with ftype=0, on which overlayfs does not work",
            remedy=f"Mount a file system made with ftype=1 at {directory}, and plan again.",
        )
    state = plugins.get(DEFAULT, "ok")
    if state != "ok":
        return Choice(
            problem=f"containerd's snapshotter overlayfs does not work in {directory} ({filesystem or 'file system not seen'}): "
            f"its state is {state}",
            remedy="`ctr plugins ls -d id==overlayfs` says why; put containerd's data on a file system that it supports.",
        )
    return Choice(note=note)
