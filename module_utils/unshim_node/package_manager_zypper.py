"""Packages of openSUSE and SLES, by zypper. The functions: package_manager.py. Return codes and output: zypper(8)."""

import re
from typing import Dict, List
from xml.etree import ElementTree

from . import commands, files
from .errors import NodeError
from .package_manager import Transaction, rpm_installed, run_locked, without_epoch_0

NAME = "zypper"
RELEASE = "zypper removelock %s"
LOCKS = "/etc/zypp/locks"
LOCKED = 7  # ZYPPER_EXIT_ZYPP_LOCKED
# Of zypper's codes above 100, those that say that it did what was asked: an update or a reboot is due, a repository was
# skipped. 104 is "not found", 107 "a package's script failed".
DONE = (0, 100, 101, 102, 103, 106)


def is_here() -> bool:
    return commands.find("zypper") is not None and commands.find("rpm") is not None


def installed(names: List[str]) -> Dict[str, str]:
    """Return the installed version of each of ``names``, "" if it is not installed."""
    return rpm_installed(names)


def unfinished() -> Dict[str, str]:
    """Return {}: RPM has no half-installed packages that a command could complete."""
    return {}


def finish() -> None:
    """Do nothing: see :func:`unfinished`."""


def available(name: str, version: str) -> bool:
    """Return whether the metadata that is there knows ``name`` in ``version`` ("": in any)."""
    argv = ["zypper", "--non-interactive", "--no-refresh", "--xmlout", "search", "--match-exact", "--details"]
    result = run_locked(argv + ["--type", "package", name], _is_locked, _said, good=DONE + (104,))
    found = parse_search(result.out).get(name, [])
    return version in found if version else bool(found)


def parse_search(text: str) -> Dict[str, List[str]]:
    """Return the versions by name that ``zypper --xmlout search --details`` found in repositories."""
    found = {}  # type: Dict[str, List[str]]
    for solvable in _solvables(text, "solvable-list"):
        if solvable.get("repository") != "(System Packages)":
            found.setdefault(solvable.get("name", ""), []).append(without_epoch_0(solvable.get("edition", "")))
    return found


def update_lists() -> None:
    """Read the repositories anew. A key that nobody has accepted yet is not accepted here."""
    _run(["refresh"])


def simulate(wanted: Dict[str, str]) -> Transaction:
    """Return what installing ``wanted`` (name -> version or "") would do.

    Raises:
        NodeError: zypper cannot do it, in its words.
    """
    argv = ["zypper", "--non-interactive", "--no-refresh", "--xmlout"] + _install(wanted, ["--dry-run"])
    result = run_locked(argv, _is_locked, _said, good=DONE + (4, 104))
    if result.rc in (4, 104):
        raise NodeError(
            "zypper cannot install %s: %s. Nothing was changed. Check the node's repositories (`zypper repos`)."
            % (" ".join(_specs(wanted)), _said(result).rstrip("."))
        )
    transaction = parse_transaction(result.out)
    known = set(transaction.installed) | set(transaction.changed)
    other = [name for name, version in installed(sorted(wanted)).items() if not version and name not in known]
    if other:
        raise NodeError(
            "zypper would not install %s, but %s in its place; nothing was changed. Ask for that package instead "
            "(unshim_containerd_package)." % (", ".join(other), ", ".join(sorted(transaction.installed)) or "nothing")
        )
    return transaction


def parse_transaction(text: str) -> Transaction:
    """Return the transaction in the output of ``zypper --xmlout install --dry-run``."""
    transaction = Transaction({}, {}, [])
    for solvable in _solvables(text, "to-install"):
        transaction.installed[solvable.get("name", "")] = without_epoch_0(solvable.get("edition", ""))
    for kind in ("to-upgrade", "to-downgrade", "to-reinstall", "to-change-arch", "to-change-vendor"):
        for solvable in _solvables(text, kind):
            new = without_epoch_0(solvable.get("edition", ""))
            old = without_epoch_0(solvable.get("edition-old", "") or new)
            transaction.changed[solvable.get("name", "")] = (old, new)
    for solvable in _solvables(text, "to-remove"):
        transaction.removed.append(solvable.get("name", ""))
    return transaction


def install(wanted: Dict[str, str]) -> None:
    """Install ``wanted`` (name -> version or ""); RPM keeps every configuration file that was changed."""
    _run(["--no-refresh"] + _install(wanted, []))


def is_download_failure(message: str) -> bool:
    """Return False: zypper reads the lists anew by itself when they are old."""
    return False


def held(names: List[str]) -> List[str]:
    """Return those of ``names`` that are locked."""
    return parse_locks((files.read_bytes(LOCKS) or b"").decode("utf-8", "replace"), names)


def parse_locks(text: str, names: List[str]) -> List[str]:
    """Return those of ``names`` that /etc/zypp/locks names, ``solvable_name: NAME`` in each of its paragraphs."""
    locked = re.findall(r"(?m)^solvable_name:\s*(\S+)\s*$", text)
    return [name for name in names if name in locked]


def cannot_hold() -> str:
    """Return "": zypper can always hold packages."""
    return ""


def hold(names: List[str]) -> None:
    """Lock the packages: nobody upgrades or removes them until the lock is removed."""
    _run(["addlock"] + names)


def release(names: List[str]) -> None:
    """Take the locks off."""
    _run(["removelock"] + names)


def _install(wanted, options):
    if any(wanted.values()):
        options = options + ["--oldpackage"]  # only a version that was asked for may be lower than the installed one
    return ["install", "--no-recommends", "--no-force-resolution"] + options + _specs(wanted)


def _specs(wanted):
    return ["%s=%s" % (name, version) if version else name for name, version in sorted(wanted.items())]


def _solvables(text, parent):
    """Return the packages below each element ``parent``; a message before or after the document does no harm."""
    start, end = text.find("<?xml"), text.rfind("</stream>")
    try:
        root = ElementTree.fromstring(text[start : end + len("</stream>")])
    except ElementTree.ParseError as error:
        raise NodeError("zypper's answer is not understood (%s); run its command by hand to see it." % error) from None
    return [
        solvable
        for element in root.iter(parent)
        for solvable in element.iter("solvable")
        if solvable.get("kind", solvable.get("type", "package")) == "package"
    ]


def _is_locked(result):
    return result.rc == LOCKED


def _said(result):
    """What zypper complains of: in XML its error messages and the problems it would ask about, else its last lines."""
    if result.out.startswith("<?xml"):
        end = result.out.rfind("</stream>")
        try:
            root = ElementTree.fromstring(result.out[: end + len("</stream>")])
        except ElementTree.ParseError:
            return commands.last_lines(result.out, 3)
        said = [one.text or "" for one in root.iter("message") if one.get("type") in ("error", "warning")]
        said += [
            (one.text or "").strip().splitlines()[0]
            for one in root.iter("description")
            if "Problem" in (one.text or "")
        ]
        return "; ".join(" ".join(text.split()) for text in said if text.strip()) or commands.last_lines(result.err, 3)
    return "; ".join(commands.last_lines(result.err or result.out, 4).splitlines())


def _run(arguments):
    return run_locked(["zypper", "--non-interactive"] + arguments, _is_locked, _said, good=DONE)
