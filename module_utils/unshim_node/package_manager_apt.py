"""Packages on Debian and Ubuntu, by apt-get and dpkg. The functions: package_manager.py."""

import re
from typing import Dict, List

from . import commands, files
from .errors import NodeError
from .package_manager import LOCK_WAIT, Transaction, matching, run_locked

NAME = "apt"
RELEASE = "apt-mark unhold %s"
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    # Ubuntu's needrestart would restart Docker, the kubelet and whatever else it finds.
    "NEEDRESTART_SUSPEND": "1",
}
OPTIONS = [
    "-y",
    "--no-install-recommends",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "-o",
    "DPkg::Lock::Timeout=%d" % LOCK_WAIT,
]
LOCKED = re.compile(r"Could not get lock|Unable to lock|Unable to acquire the dpkg|is another process using it")
# apt-get prints these for a file it could not get; dpkg has not begun then.
NOT_FETCHED = re.compile(r"Failed to fetch|Unable to fetch some archives")
# `apt-get -s`: "Inst name [old version] (new version origin [arch])", "Remv name [version]"
ACTION = re.compile(r"^(Inst|Remv) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?")
# The second letter of `dpkg-query -W -f ${db:Status-Abbrev}`, from dpkg-query(1)
UNFINISHED = {"U": "unpacked", "F": "half configured", "W": "waiting for a trigger", "t": "with a pending trigger"}
UPDATES = "/var/lib/dpkg/updates"
BROKEN = "H"  # half installed: only the operator can tell whether to reinstall or remove


def is_here() -> bool:
    return commands.find("apt-get") is not None and files.kind("/var/lib/dpkg") == "directory"


def installed(names: List[str]) -> Dict[str, str]:
    """Return the installed version of each of ``names``, "" if it is not installed."""
    versions = {name: "" for name in names}
    if names:
        form = "${Package}\\t${Version}\\t${db:Status-Abbrev}\\n"
        for line in commands.run(["dpkg-query", "-W", "-f", form] + names, check=False).out.splitlines():
            name, version, status = (line.split("\t") + ["", ""])[:3]
            if len(status) > 1 and status[1] not in "nc" and name in versions:
                versions[name] = version
    return versions


def unfinished() -> Dict[str, str]:
    """Return packages whose installation was interrupted, each with how far it came.

    Raises:
        NodeError: one is half installed.
    """
    found = {}
    form = "${Package}\\t${db:Status-Abbrev}\\n"
    for line in commands.run(["dpkg-query", "-W", "-f", form], check=False).out.splitlines():
        name, _, status = line.partition("\t")
        letter = status[1:2]
        if letter == BROKEN:
            raise NodeError(
                "The package %s is half installed on this node. Repair it (`apt-get install --reinstall %s`) and run "
                "again." % (name, name),
                {"package": name},
            )
        if letter in UNFINISHED:
            found[name] = UNFINISHED[letter]
    # dpkg's own journal; apt then says "dpkg was interrupted, you must manually run 'dpkg --configure -a'".
    if not found and any(name.isdigit() for name in files.names(UPDATES)):
        found["dpkg"] = "interrupted"
    return found


def finish():
    """Let dpkg complete interrupted installations."""
    _apt(["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"])


def available(name: str, version: str) -> bool:
    """Return whether the package lists know ``name`` in ``version`` ("": in any)."""
    out = commands.run(["apt-cache", "madison", name], check=False).out
    versions = [line.split("|")[1].strip() for line in out.splitlines() if line.count("|") >= 2]
    return version in versions if version else bool(versions)


def update_lists():
    """Read the package lists anew."""
    _apt(["apt-get", "update", "-q"])


def simulate(wanted: Dict[str, str]) -> Transaction:
    """Return what installing ``wanted`` (name -> version or "") would do.

    Raises:
        NodeError: apt cannot do it, in apt's words.
    """
    argv = ["apt-get", "-s", "-o", "Debug::NoLocking=true"] + OPTIONS + ["install"] + _specs(wanted)
    result = commands.run(_with_downgrades(argv, wanted), timeout=120, check=False, env=ENVIRONMENT)
    if result.rc != 0:
        raise NodeError(
            "apt cannot install %s: %s. Nothing was changed. Check the node's package sources (`apt-cache policy %s`)."
            % (" ".join(_specs(wanted)), _said(result), " ".join(sorted(wanted)))
        )
    return parse_simulation(result.out)


def parse_simulation(text: str) -> Transaction:
    """Return the transaction that ``apt-get -s`` prints."""
    transaction = Transaction({}, {}, [])
    for line in text.splitlines():
        match = ACTION.match(line)
        if not match:
            continue
        verb, name, old, new = match.groups()
        name = name.split(":")[0]
        if verb == "Remv":
            transaction.removed.append(name)
        elif old:
            transaction.changed[name] = (old, new or "")
        else:
            transaction.installed[name] = new or ""
    return transaction


def install(wanted: Dict[str, str]) -> None:
    """Install ``wanted`` (name -> version or ""), keeping every configuration file that is there."""
    _apt(_with_downgrades(["apt-get", "-q"] + OPTIONS + ["install"] + _specs(wanted), wanted))


def is_download_failure(message: str) -> bool:
    """Return whether an error's message tells of a package that could not be downloaded."""
    return bool(NOT_FETCHED.search(message))


def held(names: List[str]) -> List[str]:
    """Return those of ``names`` that are on hold."""
    out = commands.run(["apt-mark", "showhold"], check=False).out.split()
    return [name for name in names if name in [one.split(":")[0] for one in out]]


def hold(names: List[str]) -> None:
    """Keep the packages from being upgraded by anybody else."""
    commands.run(["apt-mark", "hold"] + names, timeout=60)


def release(names: List[str]) -> None:
    """Take the holds off."""
    commands.run(["apt-mark", "unhold"] + names, timeout=60)


def cannot_hold() -> str:
    """Return "": dpkg can always hold packages."""
    return ""


def _specs(wanted):
    return ["%s=%s" % (name, version) if version else name for name, version in sorted(wanted.items())]


def _with_downgrades(argv, wanted):
    # Only a version that was asked for may be lower than the installed one.
    return argv + ["--allow-downgrades"] if any(wanted.values()) else argv


def _said(result):
    errors = [line[3:] for line in result.err.splitlines() if line.startswith("E: ")]
    return "; ".join(errors) or commands.last_lines(result.err) or commands.last_lines(result.out)


def _apt(argv):
    # Before apt 1.9.11 apt does not wait for the lock itself.
    run_locked(argv, matching(LOCKED), _said, env=ENVIRONMENT)
