"""The journal of a node as a timeline: what happened when, and how long the node was out of service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from . import redaction

JOURNAL = "/var/lib/unshim/journal.json"
LAST = 253402300799  # s; the end of the year 9999


def read(text: str | None) -> dict[str, Any]:
    """Return the journal as data, {} where there is none or it cannot be read (planning reports that)."""
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def events(journal: dict[str, Any]) -> list[tuple[float, str]]:
    """Return (time, event) in order of time; entries of another shape are left out."""
    found: list[tuple[float, str]] = []
    entries = journal.get("timeline")
    for entry in entries if isinstance(entries, list) else []:
        time = moment(entry.get("time")) if isinstance(entry, dict) else None
        if time is not None and isinstance(entry.get("event"), str):
            found.append((time, entry["event"].replace("_", " ")))
    return sorted(found, key=lambda item: item[0])


def moment(value: Any) -> float | None:
    """Return a Unix time out of a journal as one, None if no calendar has it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST:
        return None
    return float(value)


def duration(seconds: float) -> str:
    """Return seconds as ``4.2 s``, ``3 min 05 s`` or ``2 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def since(event: str, text: str | None, now: float) -> float:
    """Return the seconds from the last such event to ``now``, both by the node's clock; 0.0 if there was none.

    Args:
        text: content of the journal.
    """
    times = [time for time, name in events(read(text)) if name == event]
    return max(0.0, now - times[-1]) if times else 0.0


def former_cri_sockets(text: str | None) -> list[str]:
    """Return the paths of the sockets that the node's annotations named before its move, by the journal's text."""
    annotations = read(text).get("annotations")
    values = annotations.values() if isinstance(annotations, dict) else []
    paths = [str(value).removeprefix("unix://") for value in values if value]
    return sorted({path for path in paths if path.startswith("/") and path.endswith(".sock")})


def out_of_service(found: list[tuple[float, str]]) -> float | None:
    """Return the seconds between the last cordon (or, without one, drain) and the uncordon after it; None if not both are known."""
    end = next((time for time, event in reversed(found) if event == "uncordoned"), None)
    starts = [
        time for time, event in found if event in ("cordoned", "drain started") and end is not None and time <= end
    ]
    if not starts:
        starts = [time for time, event in found if event == "drained" and end is not None and time <= end]
    return None if end is None or not starts else end - starts[-1]


def render(node: str, text: str | None) -> str:
    """Return the timeline of one node.

    Args:
        node: the name to show.
        text: content of /var/lib/unshim/journal.json, None if there is none.
    """
    journal = read(text)
    found = events(journal)
    if not found:
        return f"{node}: no journal; unshim has changed nothing here\n"
    lines = [f"{node}: {journal.get('state', 'docker')}"]
    first = previous = found[0][0]
    for time, event in found:
        clock = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        step = "" if time == first else f"  +{duration(time - previous)}"
        lines.append(f"  {clock} UTC  {event}{step}")
        previous = time
    failed = (
        [s for s in journal.get("steps", []) if isinstance(s, dict) and s.get("status") == "failed"]
        if isinstance(journal.get("steps"), list)
        else []
    )
    for step_ in failed:
        # What a program said may have a password in it.
        message = redaction.redact(str(step_.get("message") or ""))
        lines.append(f"  failed: {step_.get('name', '?')}: {message}".rstrip())
    outage = out_of_service(found)
    if outage is not None:
        lines.append(f"  out of service for {duration(outage)}")
    return "\n".join(lines) + "\n"
