"""What an audit of a fleet says, as data: the shape of the JSON that ``deploys/audit.py`` and ``audit.yml`` write.

``docs/schemas/audit.schema.json`` describes the same for other programs. ``FORMAT`` changes when a field goes or changes its
meaning; new fields may come without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .plan_model import Finding, NotCarried

FORMAT = 1

#: How a node was seen; all but the first are no sound ground for a decision.
STATUSES = ("seen", "partial", "timed-out", "no-probe", "unreachable", "not-audited")

#: From bad to good, with the exit codes of monitoring programs (monitoring-plugins.org, "Plugin Return Codes"): a blocked
#: node is critical, a node that nobody saw is unknown.
EXIT_CODES = {"block": 2, "unknown": 3, "warn": 1, "ok": 0}


@dataclass(frozen=True)
class Sighting:
    """How it went to look at one node, before anything is made of it."""

    node: str  # the inventory host
    status: str  # of STATUSES; "seen" as soon as there are facts
    reason: str = ""
    elapsed: float | None = None  # seconds from asking to the answer


@dataclass(frozen=True)
class Answer:
    """What a node printed when the probe was run on it, as it came."""

    sighting: Sighting
    output: str
    said: str = ""  # on standard error


@dataclass(frozen=True)
class Runtime:
    """What a node runs on, and what it would run on."""

    role: str = "worker"  # "control-plane"
    os: str = ""  # "Debian GNU/Linux 12 (bookworm)"
    architecture: str = ""
    kernel: str = ""
    cgroup: str = ""
    python: str = ""  # "": none, which the audit does not need and migrate.yml does
    source: str = "none"  # "dockershim", "cri-dockerd", "containerd", "none"
    state: str = "docker"  # of the node's journal
    kubelet: str = ""
    docker: str = ""
    containerd: str = ""  # installed now
    containerd_planned: str = ""  # after a move
    images: int = 0  # in Docker's store
    foreign_containers: tuple[str, ...] = ()  # running, not Kubernetes'


@dataclass(frozen=True)
class Node:
    node: str
    status: str
    verdict: str  # "ready", "moved", "blocked", "unknown"
    severity: str  # of EXIT_CODES
    summary: str  # one line
    reason: str = ""  # why it was not seen, or not as root
    remedy: str = ""
    elapsed: float | None = None
    runtime: Runtime | None = None
    findings: tuple[Finding, ...] = ()
    not_carried: tuple[NotCarried, ...] = ()
    not_seen: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None  # only where asked for: files in it may hold a password


@dataclass(frozen=True)
class Audit:
    format: int
    time: str  # when it was made, RFC 3339, UTC
    severity: str  # the worst of the nodes'
    counts: dict[str, int] = field(default_factory=dict)  # nodes by verdict
    nodes: tuple[Node, ...] = ()  # by name
