"""Resource limits of containers: what Docker gave them, what containerd would give, and how to make both the same.

A container's process starts with the limits of the daemon that started it, but for those its OCI description sets. Docker
sets those of default-ulimits there; containerd sets what its base_runtime_spec says, which counts from 1.5 on: before,
limits were taken out again (containerd pkg/cri/server/container_create_linux.go, WithoutDefaultSecuritySettings). There
the daemon's unit must have them.

Sources: proc(5) for /proc/PID/limits, setrlimit(2), systemd.exec(5), moby daemon/oci_linux.go (WithRlimits), docker/go-units
ulimit.go for the names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from . import compat

Limit = tuple[int, int]  # soft, hard; in setrlimit's units
Limits = dict[str, Limit]

UNLIMITED = -1
_ROWS = (  # Docker's name, the name in /proc/PID/limits after "Max "
    ("core", "core file size"), ("cpu", "cpu time"), ("data", "data size"), ("fsize", "file size"), ("locks", "file locks"),
    ("memlock", "locked memory"), ("msgqueue", "msgqueue size"), ("nice", "nice priority"), ("nofile", "open files"),
    ("nproc", "processes"), ("rss", "resident set"), ("rtprio", "realtime priority"), ("rttime", "realtime timeout"),
    ("sigpending", "pending signals"), ("stack", "stack size"), ("as", "address space"),
)  # fmt: skip
NAMES = tuple(name for name, _ in _ROWS)
BY_PROC_NAME = {proc: name for name, proc in _ROWS}
SPEC = "/etc/containerd/unshim-base-spec.json"
DROP_IN = "/etc/systemd/system/containerd.service.d/unshim-limits.conf"
SPEC_COUNTS_FROM = (1, 5, 0)
# What containerd itself can live with. It holds some eight descriptors per container (its shim's connection, the FIFOs
# and log of its output), so a full node of 110 pods with 15 containers each stays below.
OWN_OPEN_FILES = 16384
SAFE_FOR_THE_DAEMON = ("core", "memlock", "nofile", "nproc", "stack")
_INFINITE = 1 << 63  # systemd before 229 writes infinity as the largest 64-bit number


def number(text: str) -> int:
    """Return a limit as /proc and systemctl print it; -1 for "unlimited" and "infinity"."""
    if text in ("unlimited", "infinity"):
        return UNLIMITED
    value = int(text)
    return UNLIMITED if value >= _INFINITE else value


def default_ulimits(value: Any) -> tuple[Limits, list[str]]:
    """Return Docker's default-ulimits as (limits, entries that are none): ``{"nofile": {"Name", "Soft", "Hard"}}``."""
    limits: Limits = {}
    odd: list[str] = []
    if value is None:
        return limits, odd
    if not isinstance(value, dict):
        return limits, [json.dumps(value)]
    for name, entry in value.items():
        soft, hard = (entry.get("Soft"), entry.get("Hard")) if isinstance(entry, dict) else (None, None)
        if name in NAMES and _is_number(soft) and _is_number(hard):
            limits[name] = (int(soft), int(hard))  # type: ignore[arg-type]
        else:
            odd.append(f"{name}: {json.dumps(entry)}")
    return limits, odd


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= UNLIMITED


def inherited(process: Mapping[str, Limit], unit: Mapping[str, Limit]) -> Limits:
    """Return what a container gets from containerd where nothing else is said.

    Args:
        process: of the running containerd.
        unit: of its unit, which counts once it is restarted; but a host may not grant what a unit asks for, so a hard
            limit of the process is the most there is.
    """
    found: Limits = dict(process)
    for name, (soft, hard) in unit.items():
        most = process[name][1] if name in process else UNLIMITED
        found[name] = (_lower(soft, most), _lower(hard, most))
    return found


def _lower(one: int, other: int) -> int:
    if UNLIMITED in (one, other):
        return max(one, other)
    return min(one, other)


def different(before: Mapping[str, Limit], after: Mapping[str, Limit]) -> Limits:
    """Return those of ``before`` that ``after`` does not have, where both are known."""
    return {name: limit for name, limit in sorted(before.items()) if name in after and after[name] != limit}


def spec_counts(version: str) -> bool:
    """Return whether this containerd gives containers the limits of a base_runtime_spec."""
    return (compat.parse_version(version) or SPEC_COUNTS_FROM) >= SPEC_COUNTS_FROM


def base_spec(spec: str, limits: Mapping[str, Limit]) -> str:
    """Return the description that containers start from, with these limits and no others.

    Args:
        spec: what ``ctr oci spec`` of the same containerd printed.

    Raises:
        ValueError: it is no such description.
    """
    try:
        data = json.loads(spec)
        process = data["process"]
        process["rlimits"] = [
            {"type": f"RLIMIT_{name.upper()}", "hard": _unsigned(hard), "soft": _unsigned(soft)}
            for name, (soft, hard) in sorted(limits.items())
        ]
        lines = [
            f'"process": {{\n{_rows(process, 2)}\n }}' if key == "process" else _row(key, value)
            for key, value in data.items()
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"`ctr oci spec` printed no description of a container: {error!r}") from None
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def limits_of_spec(text: str) -> Limits:
    """Return the limits in a base_runtime_spec, {} if it is none."""
    try:
        entries = json.loads(text)["process"].get("rlimits") or []
        return {
            entry["type"].removeprefix("RLIMIT_").lower(): (_signed(entry["soft"]), _signed(entry["hard"]))
            for entry in entries
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _row(key: str, value: Any) -> str:
    return f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"


def _rows(data: Mapping[str, Any], indent: int) -> str:
    return ",\n".join(" " * indent + _row(key, value) for key, value in data.items())


def _unsigned(value: int) -> int:
    return (1 << 64) - 1 if value == UNLIMITED else value


def _signed(value: int) -> int:
    return UNLIMITED if value >= _INFINITE else value


def drop_in(limits: Mapping[str, Limit]) -> str:
    """Return a drop-in of containerd.service with these limits."""
    lines = [
        "# Written by unshim: what pods' containers had on Docker. This containerd passes its own limits on to them.",
        "[Service]",
    ]
    # One number for both is what every systemd reads; that of RHEL 7 knows no other form.
    lines += [
        f"Limit{name.upper()}={_word(soft)}" + ("" if soft == hard else f":{_word(hard)}")
        for name, (soft, hard) in sorted(limits.items())
    ]
    return "\n".join(lines) + "\n"


def limits_of_drop_in(text: str) -> Limits:
    """Return the limits in a drop-in that :func:`drop_in` wrote."""
    return {
        name.lower(): (number(soft), number(hard or soft))
        for name, soft, hard in re.findall(r"(?m)^Limit([A-Z]+)=(\d+|infinity)(?::(\d+|infinity))?$", text)
    }


def _word(value: int) -> str:
    return "infinity" if value == UNLIMITED else str(value)


def shown(name: str, limit: Limit) -> str:
    """Return a limit as a message names it: "nofile 1024:524288"."""
    return f"{name} {':'.join('unlimited' if value == UNLIMITED else str(value) for value in limit)}"


def shown_all(limits: Mapping[str, Limit]) -> str:
    return ", ".join(shown(name, limit) for name, limit in sorted(limits.items()))
