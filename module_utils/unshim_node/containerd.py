"""containerd as a service: check a configuration, load what the kernel needs, and say why CRI does not answer."""

import errno
import os
import re
from typing import Dict, List, Optional

from . import commands, files, systemd
from .errors import NodeError

UNIT = "containerd.service"
CONFIG = "/etc/containerd/config.toml"
DEFAULT_ROOT = "/var/lib/containerd"
# Enough to find the file that a message is about; what is read from configuration for a plan goes through a TOML parser.
IMPORTS = re.compile(r"^imports\s*=\s*\[(.*?)\]", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"""["']([^"']+)["']""")


def check_config(text: str) -> None:
    """Let the installed containerd read ``text`` as its configuration, before it replaces the one in use.

    Raises:
        NodeError: containerd rejects it.
    """
    with files.temporary(text.encode("utf-8"), ".toml") as path:
        said = rejection(path)
    if said:
        raise NodeError(
            "The installed containerd rejects the new configuration, so nothing was changed: %s"
            % said.replace(path, "the new configuration")
        )


def rejection(path: str) -> str:
    """Return why the installed containerd cannot read a file as its configuration, "" if it can."""
    result = commands.run(["containerd", "--config", path, "config", "dump"], timeout=30, check=False)
    if not result.rc:
        return ""
    return commands.last_lines(result.err or result.out, 3) or "it returned %d and printed nothing" % result.rc


def rejected_files(path: str = CONFIG) -> List[str]:
    """Return, for each file that containerd reads and cannot, its path and why; 1.x does not name it by itself.

    Args:
        path: of its configuration; the files that this one imports are looked at, too.
    """
    try:
        data = files.read_bytes(path)
    except OSError as error:
        return ["%s: %s" % (path, error.strerror)]
    if data is None:
        return ["%s: %s" % (path, os.strerror(errno.ENOENT))]
    text = data.decode("utf-8", "replace")
    patterns = [one for array in IMPORTS.findall(text) for one in QUOTED.findall(array)]
    # A relative one is meant from the directory of the file that imports it.
    imported = [found for one in patterns for found in files.matching(os.path.join(os.path.dirname(path), one))]
    # With an imported file that is broken, the one that imports it is rejected as well.
    for paths in (sorted(imported), [path]):
        said = {one: rejection(one) for one in paths}
        if any(said.values()):
            return ["%s: %s" % (one, why) for one, why in said.items() if why]
    return []


def check_socket(socket: str) -> None:
    """Make sure that containerd, once stopped, could listen on ``socket`` again.

    Raises:
        NodeError: a directory or another file has its place; containerd removes only a socket it finds there.
    """
    kind = files.kind(socket)
    if kind not in ("socket", ""):  # not there is well
        raise NodeError(
            "%s is %s, so containerd could not start again: it listens there. Nothing was changed. Remove it (`%s %s`), and "
            "whatever put it there, such as a container that mounts it, and run again."
            % (socket, *(("a directory", "rmdir") if kind == "directory" else ("no socket", "rm")), socket)
        )


def plugin_line(socket: str) -> str:
    """Return what `ctr plugins ls` says of the CRI plugin."""
    try:
        result = commands.run(["ctr", "--address", socket, "plugins", "ls"], timeout=15, check=False)
    except NodeError as error:
        return error.message
    if result.rc != 0:
        return "no answer (%s)" % commands.last_lines(result.err, 1)
    lines = [" ".join(line.split()) for line in result.out.splitlines() if re.search(r"\bcri\b", line)]
    return "; ".join(lines) or "no CRI plugin is loaded, as when the configuration disables it"


def why_not(socket: str, since: float) -> str:
    """Return the evidence for a CRI service that does not answer: the plugin's state, and the log since a Unix time."""
    return "`ctr plugins ls`: %s\nThe log of %s:\n%s" % (
        plugin_line(socket),
        UNIT,
        systemd.telling_log(UNIT, since=since, lines=8),
    )


def is_unit_file(path: str) -> bool:
    """Return whether systemd reads ``path``."""
    return bool(re.match(r"/(etc|run|usr/lib|lib|usr/local/lib)/systemd/", path))


def needs_restart(change: dict) -> bool:
    """Return whether containerd reads the file only when it starts.

    Registries' hosts.toml are read at each pull, and the CNI directory is watched.
    """
    path = change["path"]
    return (change.get("role") == "containerd_config" and not is_unit_file(path)) or "/containerd.service" in path


def configured_root(text: Optional[str]) -> str:
    """Return the data directory that a config.toml sets before its first table, "" for containerd's default."""
    for line in (text or "").splitlines():
        if line.lstrip().startswith("["):
            break
        match = re.match(r"""\s*root\s*=\s*["']([^"']*)["']""", line)
        if match:
            return match.group(1)
    return ""


def running_tasks(socket: str) -> Optional[Dict[str, int]]:
    """Return how many tasks run in each of containerd's namespaces that has some; None if it does not say so of each."""
    try:
        names = commands.run(["ctr", "--address", socket, "namespaces", "ls", "--quiet"], timeout=30)
    except commands.CommandFailed:
        return None
    found: Dict[str, int] = {}
    for name in names.out.split():
        try:
            tasks = commands.run(["ctr", "--address", socket, "--namespace", name, "tasks", "ls"], timeout=30)
        except commands.CommandFailed:
            return None  # silence is not idleness: one shim that hangs is enough for it
        count = sum(line.split()[-1:] == ["RUNNING"] for line in tasks.out.splitlines())
        if count:
            found[name] = count
    return found


def refuse_tasks(socket: str, before: str, after: str) -> None:
    """Make sure that nothing runs in containerd, whose data directory is about to change.

    Raises:
        NodeError: with what runs; containerd would know nothing of it afterwards. Or it is up and does not tell.
    """
    tasks = running_tasks(socket)
    if tasks is None and systemd.show(UNIT)["ActiveState"] == "active":
        raise NodeError(
            "containerd's data directory is to change from %s to %s, but containerd does not tell what runs in it. Nothing "
            "was changed. See what `ctr namespaces ls` and `ctr -n NAMESPACE tasks ls` say, restart containerd if they hang, "
            "and run again." % (before or DEFAULT_ROOT, after or DEFAULT_ROOT)
        )
    if tasks:
        raise NodeError(
            "containerd's data directory is to change from %s to %s, but it runs containers, which would be lost to it: "
            "%s. Nothing was changed. Stop them (`ctr -n NAMESPACE tasks ls`) and run again."
            % (
                before or DEFAULT_ROOT,
                after or DEFAULT_ROOT,
                ", ".join("%d in namespace %s" % (count, name) for name, count in sorted(tasks.items())),
            ),
            {"running": tasks},
        )


# The kernel


def module_is_there(name: str) -> bool:
    """Return whether a kernel module is loaded or built in."""
    name = name.replace("-", "_")
    if files.kind("/sys/module/" + name) == "directory":
        return True
    if name == "br_netfilter":
        return files.kind("/proc/sys/net/bridge") == "directory"
    return name in (files.read_bytes("/proc/filesystems") or b"").decode("ascii", "replace").split()


def load_module(name: str) -> str:
    """Load a kernel module and return a warning where that cannot be done, else ""."""
    if commands.find("modprobe") is None:
        return "The kernel module %s is not there and the node has no modprobe to load it." % name
    result = commands.run(["modprobe", "--", name], timeout=30, check=False)
    if result.rc == 0:
        return ""
    return "The kernel module %s cannot be loaded: %s." % (name, commands.last_lines(result.err, 1))


def sysctl_path(name: str) -> str:
    """Return the file of a sysctl; as for sysctl(8), a name that holds a slash is separated by slashes."""
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def sysctl(name: str) -> str:
    """Return a sysctl's value with single spaces, or None if this kernel has none such."""
    data = files.read_bytes(sysctl_path(name))
    return None if data is None else " ".join(data.decode("utf-8", "replace").split())


def set_sysctl(name: str, value: str) -> str:
    """Set a sysctl in the running kernel and return a warning where that cannot be done, else ""."""
    said = files.write_kernel(sysctl_path(name), value)
    return "The sysctl %s cannot be set to %s: %s." % (name, value, said) if said else ""
