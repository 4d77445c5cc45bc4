"""What exited containers and a stopped Docker leave on a node beside packages, network and data: sockets, mounts, records.

Everything is found by name and looked at before it goes; what is in use, or not surely Docker's, stays.
"""

import contextlib
import fcntl
import os
import re
import shutil
import stat
from typing import Iterable, List, NamedTuple, Set, Tuple

from . import commands, docker_engine
from .errors import NodeError

# Docker's, cri-dockerd's and dockershim's own: their directories below /run and /var/lib, and their sockets.
SOCKETS = ("/run/docker.sock", "/run/cri-dockerd.sock", "/var/run/dockershim.sock")
FILES = ("/run/docker.pid",)
DIRECTORIES = ("/run/docker", "/var/lib/dockershim", "/var/lib/cri-dockerd")
# What containerd's shims leave of a container of Docker's that did not end in good order; below containerd's state and data.
SHIM_DIRECTORIES = ("io.containerd.runtime.v2.task/moby", "io.containerd.runtime.v1.linux/moby")
CONTAINERD_STATE = "/run/containerd"
CNI = "/var/lib/cni"
ACCEPTS = 0x10000  # __SO_ACCEPTCON of a listening socket in /proc/net/unix

Leftovers = NamedTuple(
    "Leftovers",
    [
        ("sockets", List[str]),
        ("mounts", List[str]),  # unmounted first, in this order
        ("directories", List[str]),  # and files
        ("cni", List[str]),  # records of addresses and networks of Docker's containers
        ("containers", List[str]),  # ids in containerd's namespace "moby"; none of them runs
    ],
)


# Pure


def listening(text: str) -> Set[str]:
    """Return the paths that somebody listens on, from the text of /proc/net/unix."""
    found = set()
    for line in text.splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) != 8:
            continue
        with contextlib.suppress(ValueError):  # an abstract socket's name may hold anything
            if int(fields[3], 16) & ACCEPTS:
                found.add(os.path.realpath(fields[7]))
    return found


def mount_points(text: str) -> List[Tuple[str, str]]:
    """Return (mount point, file system type) of each line of /proc/self/mountinfo, in order."""
    found = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) > 4 and rest.strip():
            found.append(
                (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), words[4]), rest.split()[0])
            )
    return found


def dockers_mounts(points: List[Tuple[str, str]], root: str) -> List[str]:
    """Return the mounts that dockerd made for containers and for itself, the last one first.

    Sources: moby daemon/graphdriver/overlay2 (its directory is bound to itself; "merged"), daemon/container_operations_unix
    ("mounts/shm", "mounts/secrets"), libnetwork/osl (netns), daemon/initlayer.

    Args:
        root: Docker's data directory, without symlinks.
    """
    root = re.escape(root.rstrip("/"))
    patterns = (
        (r"/(var/)?run/docker/netns/[^/]+$", ("nsfs", "proc")),
        (root + r"/(overlay2|overlay|fuse-overlayfs)/[^/]+/merged$", ("overlay", "fuse.fuse-overlayfs")),
        (root + r"/aufs/mnt/[^/]+$", ("aufs",)),
        (root + r"/containers/[0-9a-f]{64}/(mounts/)?(shm|secrets)$", ("tmpfs", "ramfs")),
        (root + r"/(overlay2|overlay|aufs|btrfs|zfs|plugins|fuse-overlayfs)$", ()),  # bound to itself: any type
    )
    return [
        point
        for point, kind in reversed(points)
        if any(re.match(pattern, point) and (not kinds or kind in kinds) for pattern, kinds in patterns)
    ]


# The node


def survey(root: str, containerd_root: str, containerd_socket: str, more_sockets: Iterable[str] = ()) -> Leftovers:
    """Return what is left now.

    Args:
        root: Docker's data directory.
        more_sockets: where cri-dockerd listened, if not at its usual place.

    Raises:
        NodeError: something of Docker's runs in containerd.
    """
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as stream:
        in_use = listening(stream.read())
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        points = mount_points(stream.read())
    shims = [os.path.join(base, name) for base in (CONTAINERD_STATE, containerd_root) for name in SHIM_DIRECTORIES]
    mounts = dockers_mounts(points, os.path.realpath(root))
    gone = set(mounts)
    directories = [path for path in DIRECTORIES if os.path.isdir(path)]
    directories += [path for path in shims if os.path.isdir(path) and os.listdir(path)]
    return Leftovers(
        sockets=stale_sockets(tuple(SOCKETS) + tuple(more_sockets), in_use),
        mounts=mounts,
        directories=[path for path in FILES if os.path.isfile(path)]
        + [path for path in directories if not _mounted_below(path, points, gone)],
        cni=cni_records(CNI, docker_ids(root)),
        containers=idle_containers(containerd_socket),
    )


def stale_sockets(paths: Iterable[str], in_use: Set[str]) -> List[str]:
    """Return those of ``paths`` that are sockets and that nobody listens on; a link to another program's is none of ours."""
    found = {}
    for path in paths:
        place = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(place).st_mode) and place not in in_use:
                found[place] = True
    return sorted(found)


def _mounted_below(directory, points, gone):
    real = os.path.realpath(directory)
    return any(point not in gone and (point == real or point.startswith(real + "/")) for point, _ in points)


def docker_ids(root: str) -> Set[str]:
    """Return the ids of the containers in Docker's data directory."""
    with contextlib.suppress(OSError):
        return {name for name in os.listdir(os.path.join(root, "containers")) if re.match(r"[0-9a-f]{64}$", name)}
    return set()


def cni_records(directory: str, ids: Set[str]) -> List[str]:
    """Return the files in which host-local and libcni keep what one of the containers ``ids`` had.

    host-local: networks/NETWORK/ADDRESS, first line the container's id (plugins/ipam/host-local/backend/disk). libcni:
    cache/results/NETWORK-ID-INTERFACE, before 0.8 results/ (libcni/api.go).
    """
    found = []
    networks = os.path.join(directory, "networks")
    for place, _, names in os.walk(networks):
        for name in names:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                with open(os.path.join(place, name), encoding="ascii") as stream:
                    if stream.readline(200).strip() in ids:
                        found.append(os.path.join(place, name))
    for place in (os.path.join(directory, "cache", "results"), os.path.join(directory, "results")):
        with contextlib.suppress(OSError):
            for name in os.listdir(place):
                if ids.intersection(re.findall(r"[0-9a-f]{64}", name)):
                    found.append(os.path.join(place, name))
    return sorted(found)


def idle_containers(socket: str) -> List[str]:
    """Return the containers in namespace "moby"; [] where Docker's images are there, too, as those are data (Docker 29).

    Raises:
        NodeError: one of them runs.
    """
    if not (os.path.exists(socket) and commands.find("ctr")):
        return []
    running = docker_engine.left_running(socket, with_empty_shims=False)
    if running:
        raise NodeError(
            "Docker is stopped but this of it still runs, so nothing was removed: %s." % ", ".join(running),
            {"still_running": running},
        )
    if _ctr(socket, "images", "ls", "--quiet"):
        return []
    return _ctr(socket, "containers", "ls", "--quiet")


def _ctr(socket, *arguments):
    result = commands.run(
        ["ctr", "--address", socket, "--namespace", "moby"] + list(arguments), timeout=60, check=False
    )
    return result.out.split() if result.rc == 0 else []


def lines(found: Leftovers) -> List[str]:
    """Return what goes in words, a line each."""
    return (
        ["%s (socket)" % path for path in found.sockets]
        + ["%s (mount)" % path for path in found.mounts]
        + found.directories
        + ["%s (of a container of Docker's)" % path for path in found.cni]
        + ["container %s in containerd's namespace moby" % identity[:12] for identity in found.containers]
    )


def remove(found: Leftovers, containerd_socket: str) -> None:
    """Remove what :func:`survey` found.

    Raises:
        NodeError: naming what does not go.
    """
    for identity in found.containers:
        for what in (["tasks", "delete", "--force"], ["containers", "delete"]):
            _ctr(containerd_socket, *(what + [identity]))
    for path in found.mounts:
        commands.run(["umount", path], timeout=60)
    for path in found.sockets:
        with contextlib.suppress(FileNotFoundError):  # the package may have taken it
            os.unlink(path)
    for path in found.directories:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    for path in found.cni:
        with _locked(os.path.join(os.path.dirname(path), "lock")), contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def _locked(path):
    """Hold host-local's lock of a network, if it has one (backend/disk/lock.go: flock)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
