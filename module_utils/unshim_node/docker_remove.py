"""Remove Docker for good, once the migration is committed: its packages, bridge, firewall chains, sockets and data.

Nothing else goes with it: a transaction that would take another package is refused, firewall rules are deleted one by
one and never flushed, and the data directory is deleted only on request and never across a mount.
"""

import contextlib
import json
import os
import re
import shutil
from typing import Dict, List, NamedTuple, Tuple

from . import commands, docker_units, second_containerd, systemd
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
    "docker-scan-plugin",
    "moby-engine",
    "moby-cli",
    "moby-buildx",
    "moby-compose",
    "docker-engine",
    "cri-dockerd",
)
# Packages that Docker's brought along and a Kubernetes node needs: marked as wanted, or a later autoremove takes them.
KEEP = (
    "containerd",
    "containerd.io",
    "moby-containerd",
    "runc",
    "moby-runc",
    "iptables",
    "nftables",
    "ebtables",
    "conntrack",
    "ethtool",
    "socat",
    "containernetworking-plugins",
    "kubernetes-cni",
    "cri-tools",
    "kubelet",
)
SOCKETS = ("/run/docker.sock", "/run/cri-dockerd.sock", "/var/run/dockershim.sock")
BRIDGE = "docker0"
# Left by Debian's docker.io when it is removed; its purge would run it and delete all of Docker's data
# (debian/docker.io.prerm and .postrm).
NUKE_SCRIPT = "nuke-graph-directory.sh"
APT_OPTIONS = ("-o", "APT::Get::AutomaticRemove=false", "-o", "Dpkg::Use-Pty=0")

Rule = NamedTuple("Rule", [("table", str), ("arguments", Tuple[str, ...])])


# Pure


def removed_by(text: str) -> List[str]:
    """Return the packages that `apt-get -s` says it would remove or purge."""
    return sorted({line.split()[1].split(":")[0] for line in text.splitlines() if re.match(r"(Remv|Purg) \S", line)})


def also_changed_by(text: str) -> List[str]:
    """Return the packages that `apt-get -s` would install or change: a removal may pull in a replacement."""
    return sorted({line.split()[1].split(":")[0] for line in text.splitlines() if re.match(r"Inst \S", line)})


def is_docker_chain(name: str) -> bool:
    return name == "DOCKER" or re.match(r"DOCKER-[A-Z0-9-]+$", name) is not None


def firewall_rules(text: str) -> Tuple[List[Rule], List[str]]:
    """Return (iptables calls that take Docker's chains away, the chains that stay because somebody uses them).

    Args:
        text: what `iptables-save` prints.

    Removed are jumps to Docker's chains, the rules dockerd itself puts beside them for docker0 (libnetwork
    drivers/bridge/setup_ip_tables.go), and the chains, emptied rule by rule. DOCKER-USER is where an administrator puts
    a firewall: with a rule of theirs in it, it stays, with the jump to it.
    """
    table = ""
    rules: List[Tuple[str, List[str]]] = []
    chains: List[Tuple[str, str]] = []
    kept: List[Tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":") and is_docker_chain(line[1:].split()[0]):
            chains.append((table, line[1:].split()[0]))
        elif line.startswith("-A "):
            rules.append((table, _words(line)))
    for table, chain in chains:
        if chain == "DOCKER-USER" and any(
            where == table and words[1] == chain and words[2:] != ["-j", "RETURN"] for where, words in rules
        ):
            kept.append((table, chain))
    # A chain that a kept one jumps to stays too: iptables deletes none that is in use. The list grows as it is read.
    for where, chain in kept:
        for table, words in rules:
            target = (table, _target(words))
            if (table, words[1]) == (where, chain) and target in chains and target not in kept:
                kept.append(target)
    gone = [one for one in chains if one not in kept]
    calls = []
    for table, words in rules:
        chain, target = words[1], _target(words)
        in_gone = (table, chain) in gone
        jumps = (table, target) in gone
        if in_gone or jumps or _is_bridge_rule(table, words):
            calls.append(Rule(table, ("-D",) + tuple(words[1:])))
    calls.extend(Rule(table, ("-X", chain)) for table, chain in gone)
    return calls, [chain for _, chain in kept]


def _words(line):
    """Split a line of iptables-save: only comments are quoted, with backslashes inside."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in found]


def _target(words):
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return ""


def _is_bridge_rule(table, words):
    rest = words[2:]
    if table == "filter" and words[1] == "FORWARD":
        return rest in (
            ["-o", BRIDGE, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
            ["-i", BRIDGE, "!", "-o", BRIDGE, "-j", "ACCEPT"],
            ["-i", BRIDGE, "-o", BRIDGE, "-j", "ACCEPT"],
        )
    if table == "nat" and words[1] == "POSTROUTING":
        return rest[:1] == ["-s"] and rest[2:] == ["!", "-o", BRIDGE, "-j", "MASQUERADE"]
    return False


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


# Packages


def installed() -> List[str]:
    """Return those of PACKAGES that are installed, or removed with their configuration left."""
    if commands.find("dpkg-query"):
        return [name for name in PACKAGES if _dpkg_status(name) in ("installed", "config-files")]
    if commands.find("rpm"):
        return [name for name in PACKAGES if commands.run(["rpm", "-q", name], timeout=60, check=False).rc == 0]
    return []


def _dpkg_status(name):
    result = commands.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name], timeout=60, check=False)
    return result.out.strip() if result.rc == 0 else ""


def check_packages(packages: List[str]) -> None:
    """Make sure that removing ``packages`` takes and changes nothing else.

    Raises:
        NodeError: naming what it would.
    """
    if not packages:
        return
    if not commands.find("dpkg-query"):
        # rpm removes exactly what it is told, or refuses with the names of what needs it.
        commands.run(["rpm", "-e", "--test"] + packages, timeout=120)
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
    if not commands.find("apt-mark"):
        return []
    here = [name for name in KEEP if _dpkg_status(name) == "installed"]
    automatic = commands.run(["apt-mark", "showauto"] + here, timeout=60).out.split() if here else []
    if automatic and not check_mode:
        commands.run(["apt-mark", "manual"] + automatic, timeout=60)
    return automatic


def remove_packages(packages: List[str], data_root: str) -> None:
    if not packages:
        return
    if not commands.find("dpkg-query"):
        commands.run(["rpm", "-e"] + packages, timeout=600)
        return
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    # In two steps: between removal and purge lies the script with which Debian's purge deletes Docker's data.
    for action in ("remove", "purge"):
        commands.run(_apt(action, packages), timeout=900, env=env)
        for root in {data_root, "/var/lib/docker"}:
            path = os.path.join(root, NUKE_SCRIPT)
            if os.path.lexists(path):
                os.unlink(path)


def _apt(action, packages, simulate=False):
    # A package on hold was held for the sake of a node that ran on Docker; everything else is checked not to change.
    options = ["-s"] if simulate else ["-y", "-q"]
    return ["apt-get"] + options + list(APT_OPTIONS) + ["--allow-change-held-packages", action] + list(packages)


# What Docker leaves behind


def firewall() -> Dict[str, Tuple[List[Rule], List[str]]]:
    """Return :func:`firewall_rules` for each of iptables and ip6tables that this node has."""
    found = {}
    for program in ("iptables", "ip6tables"):
        if commands.find(program + "-save"):
            result = commands.run([program + "-save"], timeout=60, check=False)
            if result.rc == 0:
                found[program] = firewall_rules(result.out)
    return found


def remove_firewall(program: str, rules: List[Rule]) -> None:
    for rule in rules:
        commands.run([program, "--wait", "-t", rule.table] + list(rule.arguments), timeout=60)


def bridge_is_idle() -> bool:
    """Return whether there is a docker0 and nothing is attached to it."""
    ports = "/sys/class/net/%s/brif" % BRIDGE
    return os.path.isdir(ports) and not os.listdir(ports)


def remove_bridge() -> None:
    commands.run(["ip", "link", "delete", BRIDGE, "type", "bridge"], timeout=60)


def stale_sockets() -> List[str]:
    found = {os.path.realpath(path) for path in SOCKETS if os.path.lexists(path)}
    return sorted(path for path in found if not os.path.isdir(path))


def remove_sockets(paths: List[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # stopping the unit, or the package, may have taken it
            os.unlink(path)


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


def check_data(root: str) -> None:
    """Make sure that deleting ``root`` deletes Docker's data and nothing else.

    Raises:
        NodeError: it does not look like Docker's, or something is mounted below it.
    """
    root = os.path.realpath(root)
    if not os.path.isdir(root):
        return
    names = set(os.listdir(root))
    if names and not ("containers" in names and names & {"image", "overlay2", "buildkit", "volumes", "network"}):
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
    for name in os.listdir(root):
        path = os.path.join(root, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    if not os.path.ismount(root):
        os.rmdir(root)


def unbar_units() -> None:
    """Take our masks and drop-ins away: a Docker that is installed again later must be able to start."""
    for unit in docker_units.UNITS:
        docker_units.unbar(unit)
    systemd.daemon_reload()
