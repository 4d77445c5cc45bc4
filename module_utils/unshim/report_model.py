"""What a report is: the state of a fleet, its findings, what is planned and what happened, as data.

``report.make`` makes it; ``report_html`` and ``report_markdown`` render it; as JSON it is docs/schemas/report.schema.json.
Times are Unix seconds of the node's clock, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

FORMAT = 1
# In the order in which a reader wants to see them.
STATUSES = ("failed", "blocked", "moving", "prepared", "ready", "done", "unknown")
STAGES = ("prepare", "drain", "switch", "verify", "restore", "commit")


@dataclass(frozen=True)
class HostInput:
    """What is known of one host of the inventory, as Ansible has it."""

    host: str
    control_plane: bool = False
    facts: dict[str, Any] = field(default_factory=dict)  # ansible_facts.runtime
    plan: dict[str, Any] = field(default_factory=dict)  # ansible_facts.runtime_plan: what is left to do
    announced: dict[str, Any] = field(
        default_factory=dict
    )  # the plan as it was before a move in this run changed anything
    journals: str = ""  # as the role `report` prints them
    failed: str = ""  # what the run says of a move that failed
    failed_task: str = ""
    failed_cause: str = ""
    bundle: str = ""  # directory on the controller that tells why


@dataclass(frozen=True)
class WorkloadObject:
    kind: str
    name: str
    namespace: str = ""


@dataclass(frozen=True)
class Event:
    time: float
    event: str


@dataclass(frozen=True)
class Stage:
    """One stage of a node's move."""

    name: str  # of STAGES
    began: float
    ended: float | None = None  # None: it has not ended, or it is not known when
    completed: bool = True  # False: it was cut short, failed, or goes on


@dataclass(frozen=True)
class FailedStep:
    name: str
    stage: str
    message: str


@dataclass(frozen=True)
class Attempt:
    """One move of a node, as its journal tells it: the one that counts, or one that was rolled back."""

    generation: int
    state: str
    stages: tuple[Stage, ...] = ()
    events: tuple[Event, ...] = ()
    failed_steps: tuple[FailedStep, ...] = ()
    out_of_service: float | None = None  # None: it was not, or it is not known for how long
    rolled_back: bool = False
    cause: str = ""  # of the rollback, as far as it is known
    restored_files: tuple[str, ...] = ()
    restored_units: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeFinding:
    id: str
    severity: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class ImageReport:
    name: str
    size: int


@dataclass(frozen=True)
class NodeReport:
    host: str
    node_name: str
    status: str  # of STATUSES
    reason: str = ""  # why it is blocked, failed or unknown, in a sentence or some
    control_plane: bool = False
    source: str = ""  # "dockershim", "cri-dockerd", "containerd", "none", "" if unknown
    state: str = ""  # of the node's journal
    runtime: str = ""  # "Docker 20.10.24" or "containerd 1.6.20"
    target: str = ""  # "containerd 1.6.20", "" if it is unknown or there already
    kubelet_version: str = ""
    os: str = ""
    bundle: str = ""
    findings: tuple[NodeFinding, ...] = ()
    images: tuple[ImageReport, ...] = ()  # that go, or went, from Docker to containerd
    images_moved: bool = False
    plan: int | None = None  # number of its plan in Report.plans
    attempts: tuple[Attempt, ...] = ()  # in order of time


@dataclass(frozen=True)
class Affected:
    """Objects in which a rule found the very same."""

    objects: tuple[WorkloadObject, ...]
    path: str = ""
    value: str = ""
    why: str = ""
    instead: str = ""
    allowed: str | None = None


@dataclass(frozen=True)
class Rule:
    rule: str
    severity: str
    origin: str  # "node": a node's plan; "workload": the scan of workloads
    objects: int  # how many, those that are allowed included
    allowed: int
    affected: tuple[Affected, ...]


@dataclass(frozen=True)
class Change:
    stage: str  # "prepare", "switch", "" for what is left behind
    kind: str  # "package", "file", "unit", ...
    what: str
    why: str = ""
    diff: str = ""


@dataclass(frozen=True)
class PlanReport:
    """What changes on one or more nodes, in the very same way; their images aside, which are each node's own."""

    number: int
    hosts: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Report:
    format: int
    generated: float
    title: str
    counts: dict[str, int]  # by status, all of STATUSES
    nodes: tuple[NodeReport, ...] = ()
    rules: tuple[Rule, ...] = ()
    plans: tuple[PlanReport, ...] = ()
