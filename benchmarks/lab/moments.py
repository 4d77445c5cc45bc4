"""When things happened, from what machines wrote down themselves: systemd's journal, the API's watch, a prober's log. Pure.

Machines of the lab share one kernel and so one clock; all times are Unix seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# systemd's message ids (systemd, src/systemd/sd-messages.h): SD_MESSAGE_UNIT_STOPPING, SD_MESSAGE_UNIT_STARTED
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
STARTED = "39f53479d3a045ac8e11786248231fbf"


class NeverHappened(Exception):
    """What should have been seen was not."""


def unit_events(text: str) -> list[tuple[float, str]]:
    """Return (time, message id) of each line of `journalctl -o json`, in order."""
    found = []
    for line in text.splitlines():
        entry = json.loads(line)
        if "MESSAGE_ID" in entry:
            found.append((int(entry["__REALTIME_TIMESTAMP"]) / 1e6, entry["MESSAGE_ID"]))
    return sorted(found)


def first(events: Iterable[tuple[float, str]], identity: str, since: float) -> float:
    """Return when an event first happened after ``since``."""
    for time, name in sorted(events):
        if name == identity and time >= since:
            return time
    raise NeverHappened(f"no event {identity} after {since:.3f}")


@dataclass(frozen=True)
class NodeSeen:
    """What the API showed of a node, and when it said so."""

    time: float
    runtime: str  # "docker", "containerd"
    ready: bool
    heartbeat: float
    closed: bool


def node_seen(time: float, node: Mapping[str, Any]) -> NodeSeen:
    status = node.get("status") or {}
    ready = next((one for one in status.get("conditions") or () if one["type"] == "Ready"), {})
    heartbeat = ready.get("lastHeartbeatTime")
    return NodeSeen(
        time=time,
        runtime=(status.get("nodeInfo") or {}).get("containerRuntimeVersion", "").partition(":")[0],
        ready=ready.get("status") == "True",
        heartbeat=datetime.fromisoformat(heartbeat).timestamp() if heartbeat else 0.0,
        closed=bool((node.get("spec") or {}).get("unschedulable")),
    )


def ready_on(seen: Iterable[NodeSeen], runtime: str, since: float) -> float:
    """Return when a node was first shown Ready on ``runtime`` by a kubelet that was started after ``since``.

    While a kubelet is stopped for seconds, its node goes on being shown Ready: the runtime tells the new kubelet's word.
    """
    for one in seen:
        if one.time >= since and one.ready and one.runtime == runtime and one.heartbeat >= int(since):
            return one.time
    raise NeverHappened(f"the node was not Ready on {runtime} after {since:.3f}")


def closed_for(seen: Iterable[NodeSeen], since: float) -> tuple[float, float]:
    """Return when a node was closed for pods after ``since``, and when it was opened again."""
    closed = None
    for one in seen:
        if one.time < since:
            continue
        if closed is None and one.closed:
            closed = one.time
        elif closed is not None and not one.closed:
            return closed, one.time
    raise NeverHappened(f"the node was not {'opened again' if closed else 'closed'} after {since:.3f}")


def drained_for(gone: Iterable[float], closed: float, opened: float) -> float:
    """Return the seconds from a node's cordon until the last of its pods was gone from the API.

    Args:
        gone: when the API deleted each of the pods that were there before the cordon.
    """
    times = sorted(gone)
    if not times:
        raise NeverHappened("no pod was drained")
    if not closed <= times[-1] <= opened:
        raise NeverHappened(
            f"the last pod was gone at {times[-1]:.3f}, the node was closed from {closed:.3f} to {opened:.3f}"
        )
    return times[-1] - closed


def outage(log: str, since: float, until: float) -> float:
    """Return the seconds from the first request without an answer to the next that got one after the last without.

    Args:
        log: a prober's, `time outcome milliseconds` a line. Lines are in the order of the answers.
    """
    asked = sorted((float(time), outcome == "200") for time, outcome, _ in (line.split() for line in log.splitlines()))
    asked = [(time, answered) for time, answered in asked if since <= time <= until]
    failed = [time for time, answered in asked if not answered]
    if not failed:
        return 0.0
    after = [time for time, answered in asked if answered and time > failed[-1]]
    if not after:
        raise NeverHappened("the last request got no answer; the prober has to run on")
    return after[0] - failed[0]
