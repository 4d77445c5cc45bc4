"""Remove Docker for good, once the migration is committed: its packages and its data.

Nothing else goes with it: a transaction that would take another package is refused, and the data directory is deleted only
on request and never across a mount. What Docker leaves in the network is in docker_network.py, the rest in
docker_leftovers.py.
"""

import json
import os
import re
import shutil
import stat
from typing import Dict, Iterable, List

from . import commands, docker_units, files, package_manager_apt, second_containerd, systemd
from .errors import NodeError

# What Docker Engine is packaged as: Debian and Ubuntu, Docker's own repository, Microsoft's and older names.
PACKAGES = (
    "docker.io",
    "docker-cli",
    "docker-ce",
    "docker-ce-cli",
    "docker-ce-rootless-extras",
    "docker-buildx-plugin",
    "docker-compose-plugin",
    "docker-model-plugin",
    "docker-scan-plugin",
    "moby-engine",
    "moby-cli",
    "moby-buildx",
    "moby-compose",
    "docker-engine",
    "docker-engine-selinux",
    "cri-dockerd",
)
# SUSE's, Fedora's, Amazon's and Red Hat's. On Debian "docker" is a program for a window manager's dock.
RPM_PACKAGES = (
    "docker",
    "docker-client",
    "docker-common",
    "docker-bash-completion",
    "docker-zsh-completion",
    "docker-fish-completion",
    "docker-rootless-extras",
    "docker-buildx",
    "docker-compose",
)
# Packages that Docker's brought along and a Kubernetes node needs: marked as wanted, or a later autoremove takes them.
KEEP = (
    "containerd",
    "containerd.io",
    "moby-containerd",
    "runc",
    "moby-runc",
    "iptables",
    "iptables-nft",
    "nftables",
    "ebtables",
    "conntrack",
    "conntrack-tools",
    "ethtool",
    "socat",
    "containernetworking-plugins",
    "cni-plugins",
    "kubernetes-cni",
    "cri-tools",
    "kubelet",
    "container-selinux",
)
PROGRAMS = ("dockerd", "cri-dockerd")
CONTAINERS = "containers"
DATA_NAMES = {"image", "overlay2", "buildkit", "volumes", "network"}
ZYPP_AUTOMATIC = "/var/lib/zypp/AutoInstalled"
# Left by Debian's docker.io when it is removed; its purge would run it and delete all of Docker's data
# (debian/docker.io.prerm and .postrm).
NUKE_SCRIPT = "nuke-graph-directory.sh"
APT_OPTIONS = (
    "-o",
    "APT::Get::AutomaticRemove=false",
    "-o",
    "Dpkg::Use-Pty=0",
    "-o",
    "DPkg::Lock::Timeout=%d" % package_manager_apt.LOCK_WAIT,
)


# Pure


def removed_by(text: str) -> List[str]:
    """Return the packages that `apt-get -s` says it would remove or purge."""
    return sorted({line.split()[1].split(":")[0] for line in text.splitlines() if re.match(r"(Remv|Purg) \S", line)})


def also_changed_by(text: str) -> List[str]:
    """Return the packages that `apt-get -s` would install or change: a removal may pull in a replacement."""
    return sorted({line.split()[1].split(":")[0] for line in text.splitlines() if re.match(r"Inst \S", line)})


def without_names(text: str, names: List[str]) -> str:
    """Return zypper's list of packages that came as requirements, without ``names``; comments and order stay."""
    return "".join(line for line in text.splitlines(True) if line.strip() not in names)


def mounts_below(directory: str, mountinfo: str) -> List[str]:
    """Return the mount points below ``directory`` (not itself) in the text of /proc/self/mountinfo."""
    points = []
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
            if point != directory and point.startswith(directory.rstrip("/") + "/"):
                points.append(point)
    return sorted(set(points))


def in_words(size: int) -> str:
    """Return a number of bytes as ``3.4 GB`` (10^9, as df -H and disk makers count)."""
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return ("%d %s" if unit == "bytes" else "%.1f %s") % (value, unit)


# Packages


def installed() -> List[str]:
    """Return Docker's packages that are installed, or removed with their configuration left; whatever brought dockerd, too."""
    found = []
    if commands.find("dpkg-query"):
        found = [name for name in PACKAGES if _dpkg_status(name) in ("installed", "config-files")]
    elif commands.find("rpm"):
        found = [name for name in PACKAGES + RPM_PACKAGES if _has_rpm(name)]
    owners = {_owner(path) for path in programs()} - {""}
    bundled = sorted(owners & set(KEEP))
    if bundled:
        raise NodeError(
            "dockerd belongs to the package %s, which this node needs; nothing was removed. Remove Docker by hand."
            % ", ".join(bundled)
        )
    return found + sorted(owners - set(found))


def programs() -> List[str]:
    """Return the paths of Docker's daemons on this node, whoever brought them."""
    return [path for path in (commands.find(name) for name in PROGRAMS) if path]


def _dpkg_status(name):
    result = commands.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name], timeout=60, check=False)
    return result.out.strip() if result.rc == 0 else ""


def _has_rpm(name):
    return commands.run(["rpm", "-q", name], timeout=60, check=False).rc == 0


def _owner(path):
    """Return the package a file belongs to, "" if it belongs to none."""
    if commands.find("dpkg-query"):
        for candidate in (path, os.path.realpath(path)):
            result = commands.run(["dpkg-query", "-S", candidate], timeout=60, check=False)
            if result.rc == 0:
                return result.out.split(":")[0].strip()
        return ""
    result = commands.run(["rpm", "-qf", "--qf", "%{NAME}\n", path], timeout=60, check=False)
    return result.out.split()[0] if result.rc == 0 and result.out.split() else ""


def check_packages(packages: List[str]) -> None:
    """Make sure that removing ``packages`` takes and changes nothing else.

    Raises:
        NodeError: naming what it would.
    """
    if not packages:
        return
    if not commands.find("dpkg-query"):
        # rpm removes exactly what it is told, or refuses with the names of what needs it; dnf and zypper would take along
        # what needs it, and dnf what it needed.
        try:
            commands.run(["rpm", "-e", "--test"] + packages, timeout=120)
        except commands.CommandFailed as error:
            raise NodeError(
                "Removing %s would break other packages; nothing was removed: %s. Remove those by hand, or leave Docker "
                "as it is." % (", ".join(packages), "; ".join(commands.last_lines(error.message).splitlines()))
            ) from error
        return
    text = commands.run(_apt("purge", packages, simulate=True), timeout=120).out
    more = sorted(set(removed_by(text)) - set(packages)) + also_changed_by(text)
    if more:
        raise NodeError(
            "Removing %s would also remove or change %s; nothing was removed. Look at `apt-get -s purge %s` and remove "
            "by hand what should go." % (", ".join(packages), ", ".join(more), " ".join(packages)),
            {"would_also_change": more},
        )


def keep_packages(check_mode: bool) -> List[str]:
    """Mark the installed ones of KEEP as wanted for their own sake and return those that were not."""
    if commands.find("apt-mark"):
        here = [name for name in KEEP if _dpkg_status(name) == "installed"]
        automatic = commands.run(["apt-mark", "showauto"] + here, timeout=60).out.split() if here else []
        mark = ["apt-mark", "manual"]
    elif commands.find("rpm"):
        here = [name for name in KEEP if _has_rpm(name)]
        automatic, mark = _automatic_rpms(here)
    else:
        return []
    if automatic and not check_mode:
        if mark:
            commands.run(mark + automatic, timeout=120)
        else:
            _unlist(automatic)
    return automatic


def _automatic_rpms(here):
    """Return (those of ``here`` that came as a requirement, the command that marks them as wanted)."""
    for program, verb in (("dnf5", "user"), ("dnf", "install")):
        if commands.find(program):
            if os.path.basename(os.path.realpath(commands.find(program))) == "dnf5":
                verb = "user"
            argv = [program, "-q", "-C", "repoquery", "--installed", "--qf", "%{name} %{reason}\\n"] + here
            rows = (
                [line.split(None, 1) for line in commands.run(argv, timeout=120, check=False).out.splitlines()]
                if here
                else []
            )
            reasons = {row[0]: row[1].strip().lower() for row in rows if len(row) == 2}
            automatic = [
                name for name in here if reasons.get(name) in ("dependency", "weak dependency", "weak-dependency")
            ]
            return automatic, [program, "-y", "-C", "mark", verb]
    if os.path.exists(ZYPP_AUTOMATIC):
        with open(ZYPP_AUTOMATIC, encoding="utf-8") as stream:
            listed = {line.strip() for line in stream}
        return [name for name in here if name in listed], []
    return [], []  # yum 3 removes requirements only where its configuration says so, and rpm never does


def _unlist(names):
    """Take packages out of zypper's list of those that came as requirements; zypper itself has no command for it."""
    with open(ZYPP_AUTOMATIC, encoding="utf-8") as stream:
        text = without_names(stream.read(), names)
    state = os.stat(ZYPP_AUTOMATIC)
    files.write_atomically(
        ZYPP_AUTOMATIC, text.encode("utf-8"), stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid
    )


def remove_packages(packages: List[str], data_root: str) -> None:
    if not packages:
        return
    if not commands.find("dpkg-query"):
        commands.run(["rpm", "-e"] + packages, timeout=600)
        return
    # In two steps: between removal and purge lies the script with which Debian's purge deletes Docker's data.
    for action in ("remove", "purge"):
        commands.run(_apt(action, packages), timeout=900, env=package_manager_apt.ENVIRONMENT)
        for root in {data_root, "/var/lib/docker"}:
            path = os.path.join(root, NUKE_SCRIPT)
            if os.path.lexists(path):
                os.unlink(path)


def _apt(action, packages, simulate=False):
    # A package on hold was held for the sake of a node that ran on Docker; everything else is checked not to change.
    options = ["-s"] if simulate else ["-y", "-q"]
    return ["apt-get"] + options + list(APT_OPTIONS) + ["--allow-change-held-packages", action] + list(packages)


# What must not notice


def bystanders(socket: str) -> Dict[str, str]:
    """Return the process ids of the kubelet, of containerd and of each of Kubernetes' containers, by name; "" if it does not run."""
    found = {}
    for unit in ("kubelet.service", "containerd.service"):
        pid = systemd.show(unit)["MainPID"]
        found[unit] = "" if pid == "0" else pid
    if os.path.exists(socket) and commands.find("ctr"):
        argv = ["ctr", "--address", socket, "--namespace", "k8s.io", "tasks", "ls"]
        for line in commands.run(argv, timeout=60, check=False).out.splitlines()[1:]:
            words = line.split()
            if len(words) >= 3 and words[2] == "RUNNING":
                found["container " + words[0][:12]] = words[1]
    return found


# The data directory


def data_root(noted: str) -> str:
    """Return Docker's data directory: as noted while Docker ran, else as daemon.json says, else the default."""
    if noted:
        return noted
    try:
        with open("/etc/docker/daemon.json", encoding="utf-8") as stream:
            settings = json.load(stream)
        return settings.get("data-root") or settings.get("graph") or "/var/lib/docker"
    except (OSError, ValueError, AttributeError):
        return "/var/lib/docker"


def data_size(root: str) -> int:
    """Return the bytes ``root`` takes on its own filesystem; 0 if it is not there."""
    if not os.path.isdir(root):
        return 0
    device = os.lstat(os.path.realpath(root)).st_dev
    seen = set()
    total = 0
    for directory, names, file_names in os.walk(os.path.realpath(root)):
        names[:] = [name for name in names if os.lstat(os.path.join(directory, name)).st_dev == device]
        for name in file_names + ["."]:
            try:
                state = os.lstat(os.path.join(directory, name))
            except OSError:
                continue
            if state.st_nlink == 1 or state.st_ino not in seen:
                seen.add(state.st_ino)
                total += state.st_blocks * 512
    return total


def has_data(root: str) -> bool:
    """Return whether :func:`delete_data` has something to delete; an empty mount point stays."""
    root = os.path.realpath(root)
    return os.path.isdir(root) and (bool(os.listdir(root)) or not os.path.ismount(root))


def containerd_root_below(root: str) -> str:
    """Return the data directory of a running containerd if it is ``root`` or lies below it, else "".

    Files are compared, not names: a disk may be mounted at several places.
    """
    for ours in second_containerd.roots_in_use():
        directory = ours
        while not os.path.samefile(directory, root):
            if directory == "/":
                break
            directory = os.path.dirname(directory)
        else:
            return ours
    return ""


def check_data(root: str, unmounted_first: Iterable[str] = ()) -> None:
    """Make sure that deleting ``root`` deletes Docker's data and nothing else.

    Raises:
        NodeError: it does not look like Docker's, or something is mounted below it.
    """
    root = os.path.realpath(root)
    if not os.path.isdir(root):
        return
    names = set(os.listdir(root))
    # "containers" goes last, so that a deletion that was cut short can be gone on with.
    if names and not (names == {CONTAINERS} or (CONTAINERS in names and names & DATA_NAMES)):
        raise NodeError(
            "%s does not look like Docker's data directory (no containers/ and image/ in it), so it is not deleted. "
            "Delete by hand what should go." % root
        )
    ours = containerd_root_below(root)
    if ours:
        raise NodeError(
            "containerd keeps its data in %s, which is inside of %s (on the same disk, if it does not look so), so that is not "
            "deleted. Delete by hand what should go." % (ours, root),
            {"containerd_root": ours},
        )
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        mounts = mounts_below(root, stream.read())
    mounts = [point for point in mounts if point not in set(unmounted_first)]
    if mounts:
        raise NodeError(
            "Something is mounted below %s, so it is not deleted: %s. Unmount it and run again."
            % (root, ", ".join(mounts)),
            {"mounts": mounts},
        )


def delete_data(root: str) -> None:
    """Delete what is in ``root``, and ``root`` itself unless it is a mount point. Symlinks are not followed."""
    check_data(root)
    root = os.path.realpath(root)
    if not os.path.isdir(root):
        return
    for name in sorted(os.listdir(root), key=lambda name: name == CONTAINERS):
        path = os.path.join(root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    if not os.path.ismount(root):
        os.rmdir(root)


def volumes(root: str) -> int:
    """Return how many volumes Docker has in ``root``."""
    try:
        place = os.path.join(root, "volumes")
        return sum(os.path.isdir(os.path.join(place, name)) for name in os.listdir(place))
    except OSError:
        return 0


def unbar_units() -> None:
    """Take our masks and drop-ins away: a Docker that is installed again later must be able to start."""
    for unit in docker_units.UNITS:
        docker_units.unbar(unit)
    systemd.daemon_reload()
