"""The part of a plan that concerns where containerd keeps its data, and whether there is room for the images.

Docker's data-root, or a disk mounted at it, says where an administrator wanted images to lie. containerd follows it where
its own disk cannot hold them; else it stays, since what is in its data directory, the containers of a Docker that shares the
daemon included, cannot go along. The change is made at the switch, when nothing runs in containerd any more; the images are
in the new directory by then (unshim_node.second_containerd), so config.toml is changed twice: without the root in the
stage prepare, with it in the stage switch.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace

from . import containerd_config
from .facts import Facts, Mount
from .plan_draft import Draft
from .plan_images import human_size
from .plan_model import FileChange

DEFAULT = "/var/lib/containerd"
DOCKER_DEFAULT = "/var/lib/docker"
NOTE = "containerd_root"  # the journal's: {"path", "images": {id: [name]}}, what is in a root that is not in use yet
DROP_IN = "/etc/systemd/system/containerd.service.d/unshim-root.conf"

# An image is written twice, as content and unpacked: layers from Docker come uncompressed, so both are its size.
SPACE_FACTOR = 2
SPARE_SPACE = 256 << 20  # bytes; what containerd_images keeps free
# The kubelet evicts pods when less of the images' file system is free (imagefs.available, kubernetes
# pkg/kubelet/apis/config/v1beta1/defaults_linux.go), and collects images from 85 % on (imageGCHighThresholdPercent).
FREE_SHARE = 0.15

# File systems of this machine's own disks on which overlayfs works. ZFS does not carry it before 2.2.
DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "jfs", "reiserfs")
NOT_DISKS = (
    "tmpfs",
    "ramfs",
    "overlay",
    "squashfs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "lustre",
    "9p",
)
# Directories that mean something else to containerd or Docker.
TAKEN = ("/opt/containerd", "/run/containerd", "/etc/containerd", "/var/lib/docker/containerd")


def mount_of(facts: Facts, path: str) -> Mount | None:
    """Return the file system that ``path`` is on, or will be on; None if that was not seen."""
    known = facts.mounts.get(path)
    if known is not None and known.path:
        return known
    points = {mount.path or name: mount for name, mount in facts.mounts.items()}
    point = max((point for point in points if _is_inside(path, point)), key=len, default=None)
    return None if point is None else points[point]


def current_root(draft: Draft) -> str:
    """Return the data directory that containerd is configured with."""
    try:
        data = containerd_config.parse(draft.facts.files[containerd_config.PATH].content or "")
    except (KeyError, containerd_config.ConfigError):
        data = {}
    return draft.facts.containerd.root or containerd_config.root(data) or DEFAULT


def docker_root(draft: Draft) -> str:
    """Return Docker's data directory: what it says, what it is set to, else its default."""
    for value in (draft.facts.docker.root, draft.daemon_json.get("data-root"), draft.daemon_json.get("graph")):
        if isinstance(value, str) and value.startswith("/"):
            return _plain(value)
    return DOCKER_DEFAULT


def _plain(path: str) -> str:
    return posixpath.normpath(path) if path.startswith("/") and not path.startswith("//") else path


def _is_inside(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _overlap(one: str, other: str) -> bool:
    return _is_inside(one, other) or _is_inside(other, one)


def moved_already(draft: Draft) -> dict[str, tuple[str, ...]]:
    """Return the images, by id, that the journal says are in the root that containerd will use from the switch on."""
    note = _note(draft)
    images = note.get("images") if note else None
    if not isinstance(images, dict):
        return {}
    return {str(id): tuple(str(name) for name in names) for id, names in images.items() if isinstance(names, list)}


def _note(draft: Draft) -> dict[str, object]:
    notes = draft.journal.get("notes")
    note = notes.get(NOTE) if isinstance(notes, dict) else None
    return note if isinstance(note, dict) and isinstance(note.get("path"), str) else {}


def choose_containerd_root(draft: Draft) -> None:
    """Settle where containerd's data will be, and make sure that the images have room there.

    To be called once it is known which images move: the note in the journal is compared with them here.
    """
    draft.containerd_root_now = now = current_root(draft)
    wanted = _wanted(draft, now)
    draft.containerd_root = wanted if wanted != now else ""
    if draft.containerd_root:
        if draft.containerd_root == _note(draft).get("path"):
            there = moved_already(draft)
            draft.images[:] = [move for move in draft.images if not set(move.names) <= set(there.get(move.id, ()))]
        _check_tasks(draft)
        _note_selinux(draft)
    _check_space(draft, draft.containerd_root or now)


def _wanted(draft: Draft, now: str) -> str:
    """Return the directory that the operator, an earlier run or the numbers say."""
    asked = draft.settings.containerd_root
    if asked:
        return _as_asked(draft, now, _plain(asked))
    if now != DEFAULT or draft.settings.goal == "provision":
        return now  # somebody has decided that
    noted = _note(draft).get("path")
    if isinstance(noted, str) and draft.state != "committed":
        return noted  # the images are there; what is free now says less than what was free then
    return _by_the_numbers(draft, now)


def _as_asked(draft: Draft, now: str, asked: str) -> str:
    if asked == now:
        return now
    name = f"unshim_containerd_root is {draft.settings.containerd_root}"
    docker = docker_root(draft)
    mount = mount_of(draft.facts, asked)
    problem = remedy = ""
    if not asked.startswith("/") or asked in ("/", "//"):
        problem, remedy = (
            f"{name}, which is not the full path of a directory",
            "Set it to one, such as /data/containerd.",
        )
    elif draft.settings.goal == "migrate" and _overlap(asked, docker):
        problem = f"{name}, and Docker keeps its data in {docker}: removing Docker's would remove containerd's"
        remedy = "Set it to a directory beside Docker's."
    elif _overlap(asked, now):
        problem = f"{name}, and containerd's data is in {now} now: one would lie in the other"
        remedy = "Set it to a directory beside that."
    elif asked in TAKEN:
        problem, remedy = f"{name}, which containerd or Docker uses for something else", "Set it to another directory."
    elif mount is not None and (mount.filesystem in NOT_DISKS or mount.filesystem.startswith("fuse")):
        problem = (
            f"{name}, which is on a file system of type {mount.filesystem}: images would not survive there or not run"
        )
        remedy = "Set it to a directory on a disk of this node."
    elif mount is not None and mount.read_only:
        problem, remedy = f"{name}, which is on a read-only file system", "Set it to another directory."
    elif _is_imported(draft):
        problem = (
            f"{name}, but a file that {containerd_config.PATH} imports sets root = {draft.facts.containerd.root!r}"
        )
        remedy = "Change it there, and leave unshim_containerd_root empty."
    if problem:
        draft.block("containerd-root-unusable", problem, remedy)
        return now
    return asked


def _is_imported(draft: Draft) -> bool:
    """Return whether the root comes from an imported file, which would override what config.toml says."""
    try:
        data = containerd_config.parse(draft.facts.files[containerd_config.PATH].content or "")
    except (KeyError, containerd_config.ConfigError):
        return False
    said = draft.facts.containerd.root
    return bool(data.get("imports")) and bool(said) and said != (containerd_config.root(data) or DEFAULT)


def _by_the_numbers(draft: Draft, now: str) -> str:
    docker = docker_root(draft)
    ours, theirs = mount_of(draft.facts, now), mount_of(draft.facts, docker)
    if ours is None or theirs is None or _same(ours, theirs):
        return now
    size = sum(move.size for move in draft.images)
    left = ours.available - SPACE_FACTOR * size
    enough = ours.available >= SPACE_FACTOR * size + SPARE_SPACE and left >= FREE_SHARE * ours.size
    numbers = (
        f"{_disk(theirs)} with Docker's {docker} has {human_size(theirs.available)} free of {human_size(theirs.size)}, "
        f"{_disk(ours)} with {now} has {human_size(ours.available)} of {human_size(ours.size)}"
    )
    if enough:
        draft.note(
            "containerd-root-stays",
            f"containerd keeps its data in {now}, which has room for the images; {numbers}",
            "To have it on Docker's disk, set unshim_containerd_root to a directory there.",
        )
        return now
    place = _place(docker, theirs)
    why = ""
    if theirs.filesystem not in DISKS or theirs.ftype == "0":
        kind = f"{theirs.filesystem} without ftype" if theirs.ftype == "0" else theirs.filesystem or "unknown"
        why = f"its file system ({kind}) is none that containerd can use as it is"
    elif theirs.read_only:
        why = "it is read-only"
    elif theirs.available - SPACE_FACTOR * size < max(left, SPARE_SPACE):
        why = "there is no more room"
    elif not place:
        why = "it is mounted at Docker's own directory, which goes with Docker"
    if why:
        draft.warn(
            "containerd-root-stays",
            f"containerd keeps its data in {now}, although the images, {human_size(size)}, leave little room there: {numbers}; "
            f"that disk is not used for containerd, for {why}",
            f"Mount {theirs.device or 'that disk'} at a second place too and set unshim_containerd_root to a new directory there, "
            "outside of Docker's; or make room."
            if why.startswith("it is mounted")
            else "Make room, or set unshim_containerd_root to a directory on a disk that has it.",
        )
        return now
    draft.note("containerd-root-moves", f"containerd's data goes to {place}, where the space is: {numbers}")
    return place


def _place(docker: str, mount: Mount) -> str:
    """Return a directory on Docker's disk and outside of Docker's own, "" if there is none."""
    beside = posixpath.join(posixpath.dirname(docker), "containerd")
    choices = [beside] if mount.path == "/" else [posixpath.join(mount.path, "containerd"), beside]
    for choice in choices:
        inside = _is_inside(choice, mount.path) and choice != mount.path
        if inside and not _overlap(choice, docker) and choice not in TAKEN:
            return choice
    return ""


def _same(one: Mount, other: Mount) -> bool:
    return one.path == other.path or (one.device == other.device and one.device.startswith("/"))


def _disk(mount: Mount) -> str:
    return f"{mount.device or mount.filesystem} at {mount.path}"


def _check_tasks(draft: Draft) -> None:
    """Block where containerd runs containers that a change of its root would cut off from it."""
    containerd = draft.facts.containerd
    running = dict(containerd.other_tasks)
    if containerd.k8s_tasks:
        running["k8s.io"] = containerd.k8s_tasks
    if draft.settings.goal == "provision" and containerd.moby_tasks:
        running["moby"] = containerd.moby_tasks  # at a switch Docker's are stopped by then
    if running:
        draft.block(
            "containerd-root-in-use",
            f"containerd's data is to go from {draft.containerd_root_now} to {draft.containerd_root}, but it runs containers "
            f"that would be lost to it: {', '.join(f'{count} in namespace {name}' for name, count in sorted(running.items()))}",
            "Stop them (`ctr -n NAMESPACE tasks ls`), or set unshim_containerd_root to "
            f"{draft.containerd_root_now} so that it stays.",
        )


def _note_selinux(draft: Draft) -> None:
    """Warn where files below a new directory may get a label that containers may not read."""
    if {"rhel", "fedora", "centos"} & {draft.facts.os.id, *draft.facts.os.id_like}:
        draft.warn(
            "containerd-root-label",
            f"if SELinux is enforced here, containers may read {draft.containerd_root} only with the label of {DEFAULT}",
            f"Run `semanage fcontext -a -e {DEFAULT} {draft.containerd_root}` on the node before it is prepared.",
        )


def _check_space(draft: Draft, root: str) -> None:
    """Block where Docker, which writes layers before it sends them, or containerd has no room for the images."""
    size = sum(move.size for move in draft.images)
    target, source = mount_of(draft.facts, root), mount_of(draft.facts, docker_root(draft))
    if not size or target is None:
        return
    many = f"the {len(draft.images)} images to move" if len(draft.images) > 1 else "the image to move"
    need = SPACE_FACTOR * size + SPARE_SPACE
    remedy = "Make room, for example with `docker image prune`, or enlarge the file system."
    if target.available < need:
        elsewhere = ""
        if source is not None and not _same(source, target) and source.available > target.available:
            elsewhere = f"; {human_size(source.available)} are free on {_disk(source)}, where Docker's data is"
            remedy = (
                "Make room, or set unshim_containerd_root to a directory on a disk that has it, outside of Docker's."
            )
        draft.block(
            "not-enough-space",
            f"{many} need {human_size(need)} in {root}, {human_size(target.available)} are free on {_disk(target)}{elsewhere}",
            remedy,
        )
        return
    if source is not None and not _same(source, target) and source.available < size + SPARE_SPACE:
        draft.block(
            "not-enough-space",
            f"Docker writes images below {docker_root(draft)} before it hands them out: {many} need "
            f"{human_size(size + SPARE_SPACE)} there, {human_size(source.available)} are free on {_disk(source)}",
            remedy,
        )
        return
    left = target.available - SPACE_FACTOR * size
    if left < FREE_SHARE * target.size and draft.settings.goal == "migrate":
        draft.warn(
            "image-disk-nearly-full",
            f"the images leave {human_size(left)} of {human_size(target.size)} free on {_disk(target)}, where {root} is; with less than "
            f"{FREE_SHARE:.0%} free the kubelet removes images and evicts pods",
            "Make room, for example with `docker image prune`, or enlarge the file system.",
        )


def plan_root_change(draft: Draft) -> None:
    """Plan the root in config.toml: at the switch, or at once on a node without Kubernetes.

    To be called when the rest of config.toml is planned.
    """
    root = draft.containerd_root
    if not root or draft.containerd.lists_absent:
        return
    stage = "prepare" if draft.settings.goal == "provision" else "switch"
    file = draft.file(containerd_config.PATH)
    path = file.target if file.kind == "symlink" and file.target else containerd_config.PATH
    planned = next((change for change in draft.files if change.path == path and change.stage == "prepare"), None)
    before = planned.after if planned else draft.text(containerd_config.PATH)
    if before is None and file.kind != "missing":
        return  # it blocks already
    try:
        after = containerd_config.with_root(before, draft.containerd.version, root)
    except containerd_config.ConfigError as error:
        draft.block(
            "containerd-config-unusable",
            f"{containerd_config.PATH}: {error.message}",
            f'Set root = "{root}" there by hand before its first table, or leave unshim_containerd_root empty.',
        )
        return
    reason = f"its data goes from {draft.containerd_root_now} to {root}"
    if planned and stage == "prepare":
        draft.files[draft.files.index(planned)] = replace(planned, after=after, reason=f"{planned.reason}; {reason}")
    elif before != after:
        mode, owner, group = (
            (planned.mode, planned.owner, planned.group)
            if planned
            else (file.mode if file.kind == "file" else "", file.owner, file.group)
        )
        draft.files.append(
            FileChange(
                path,
                stage,
                reason,
                before,
                after,
                mode or "0644",
                owner or "root",
                group or "root",
                "containerd_config",
            )
        )
    mount = mount_of(draft.facts, root)
    if mount is not None and mount.path != "/":
        text = f"# Written by unshim: containerd's data is on a disk of its own.\n[Unit]\nRequiresMountsFor={root}\n"
        draft.change(DROP_IN, stage, "it must not start before that disk is mounted", text, "containerd_config")
