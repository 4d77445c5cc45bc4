"""systemd units, by systemctl. Every failure names the unit and quotes the end of its log."""

import re
from typing import Dict, Iterable

from . import commands
from .errors import NodeError

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "MainPID",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "NeedDaemonReload",
    "KillMode",
)
START_TIMEOUT = 120  # s; longer than systemd's own default of 90, so that systemd's verdict comes first
LOG_LINES = 15  # shown
READ_LINES = 500  # looked through
LINE_LENGTH = 400
# klog (the kubelet) marks a line by its first letter, logrus (containerd) by level=.
LAST_WORDS = 3  # lines
NO_LOG = "(its log is empty)"
FATAL = re.compile(r"^F\d{4} |level=(fatal|panic)|^panic: |unknown (flag|shorthand)")
TELLING = re.compile(r"^E\d{4} |level=(error|warning)|\b(error|failed|exited)\b", re.IGNORECASE)


def show(unit: str) -> Dict[str, str]:
    """Return the unit's PROPERTIES by name; an unknown unit has LoadState "not-found"."""
    return show_all([unit])[unit]


def show_all(units: Iterable[str]) -> Dict[str, Dict[str, str]]:
    """Return the PROPERTIES of each unit, from one question to systemd.

    It answers in blocks in the order of the units, with an empty line between two (systemctl-show.c).
    """
    units = list(units)
    result = commands.run(["systemctl", "show", "--no-pager", "-p", ",".join(PROPERTIES), "--"] + units, timeout=30)
    blocks = result.out.split("\n\n") if len(units) > 1 else [result.out]
    if len(blocks) != len(units):
        raise NodeError(
            "systemctl told of %d units and was asked about %d: %s." % (len(blocks), len(units), ", ".join(units))
        )
    return {unit: _properties(blocks[place]) for place, unit in enumerate(units)}


def _properties(text: str) -> Dict[str, str]:
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: found.get(name, "") for name in PROPERTIES}  # an old systemd leaves out what it does not know


def exists(unit: str) -> bool:
    return show(unit)["LoadState"] not in ("not-found", "")


def active(unit: str) -> bool:
    """Return whether the unit runs; a unit on its way up or reloading counts, it has to be stopped all the same."""
    return show(unit)["ActiveState"] in ("active", "activating", "reloading")


def log(unit, lines=LOG_LINES, since=None, pid=None, own=False):
    """Return the last lines of the unit's log, or what prevented reading it.

    Args:
        since: a Unix time.
        pid: only what this process wrote.
        own: only what the unit's processes wrote, not what systemd says of it.
    """
    which = ["_SYSTEMD_UNIT=" + unit] if own else ["-u", unit]
    argv = ["journalctl", "--no-pager", "-q", "-o", "cat", "-n", str(lines)] + which
    if since is not None:
        argv.append("--since=@%d" % int(since))
    if pid:
        argv.append("_PID=%d" % pid)
    try:
        result = commands.run(argv, timeout=30, check=False)
    except NodeError as error:
        return "(no log: %s)" % error.message
    return result.out.strip("\n") or NO_LOG


def telling_log(unit, since=None, pid=None, lines=LOG_LINES):
    """Return those of the unit's last lines that tell of an error; if there are none, simply its last lines.

    Where its own processes said nothing that looks like one, their last words, and what systemd says of it.
    """
    own = log(unit, READ_LINES, since, pid, own=True)
    if own == NO_LOG:
        return telling_lines(log(unit, READ_LINES, since, pid), lines)
    if FATAL.search(own) or TELLING.search(own):
        return telling_lines(own, lines)
    return telling_lines(own, LAST_WORDS) + "\n" + telling_lines(log(unit, READ_LINES, since, pid), lines - LAST_WORDS)


def telling_lines(text, count=LOG_LINES):
    # A program's usage text, which is indented, is full of words such as "error".
    lines = [line[:LINE_LENGTH] for line in text.splitlines() if line.strip() and not line.startswith("  ")]
    fatal = [line for line in lines if FATAL.search(line)]
    telling = [line for line in lines if TELLING.search(line)]
    return "\n".join((fatal or telling or lines)[-count:])


def start(unit, timeout=START_TIMEOUT):
    """Start the unit if it is not active and return whether that was needed. A failed unit is reset first."""
    if show(unit)["ActiveState"] == "active":
        return False
    commands.run(["systemctl", "reset-failed", "--", unit], timeout=30, check=False)
    _change("start", unit, timeout)
    return True


def stop(unit, timeout=START_TIMEOUT):
    """Stop the unit and return whether it was running."""
    if not active(unit):
        return False
    _change("stop", unit, timeout)
    return True


def restart(unit, timeout=START_TIMEOUT):
    """Restart the unit, or start it. Returns True."""
    commands.run(["systemctl", "reset-failed", "--", unit], timeout=30, check=False)
    _change("restart", unit, timeout)
    return True


def enable(unit):
    """Enable the unit at boot and return whether that was needed."""
    if show(unit)["UnitFileState"] in ("enabled", "static", "alias", "generated", "indirect"):
        return False
    _change("enable", unit, 60)
    return True


def disable(unit):
    """Disable the unit at boot and return whether that was needed."""
    if show(unit)["UnitFileState"] not in ("enabled", "enabled-runtime"):
        return False
    _change("disable", unit, 60)
    return True


def mask(units):
    """Mask the units, all at once."""
    if units:
        _change("mask", units, 60)


def unmask(unit):
    """Unmask the unit and return whether that was needed."""
    state = show(unit)
    if not state["UnitFileState"].startswith("masked") and state["LoadState"] != "masked":
        return False
    _change("unmask", unit, 60)
    return True


def daemon_reload():
    """Make systemd read its unit files again."""
    commands.run(["systemctl", "daemon-reload"], timeout=90)


def _change(verb, units, timeout):
    """Ask systemctl to do something with a unit, or with several; the log of the first tells of a failure."""
    names = [units] if isinstance(units, str) else list(units)
    began = commands.now() - 1  # s; its log has whole seconds
    try:
        commands.run(["systemctl", verb, "--"] + names, timeout=timeout)
    except commands.CommandFailed as error:
        said = telling_log(names[0], since=began, lines=8)
        raise NodeError(
            "Cannot %s the unit %s: %s\nIts log says:\n%s" % (verb, ", ".join(names), error.message, said),
            {"unit": names[0], "unit_log": said.splitlines()},
        ) from error
