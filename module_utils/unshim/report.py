"""Make a report of a fleet from what is known of its hosts. Pure; secrets are hidden here, before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from . import records, redaction, report_findings, report_journal, report_plan
from .plan_model import Plan
from .report_model import (
    FORMAT,
    STATUSES,
    Attempt,
    Change,
    HostInput,
    ImageReport,
    NodeFinding,
    NodeReport,
    Report,
)
from .workloads.model import WorkloadFinding

Json = dict[str, Any]
TITLE = "From Docker to containerd"


def make(
    hosts: Iterable[HostInput], workloads: Iterable[WorkloadFinding] = (), now: float = 0.0, title: str = ""
) -> Report:
    """Return the report of a fleet.

    Args:
        hosts: in the inventory's order.
        workloads: findings of the scan of workloads, as ``report_findings.read`` returns them.
        now: when it is made, by the controller's clock.
        title: what it is called; empty means :data:`TITLE`.
    """
    nodes: list[NodeReport] = []
    planned: dict[str, tuple[Change, ...]] = {}
    for given in hosts:
        plan = _plan(given.announced) or _plan(given.plan)
        hide = _Hide(given.facts, given.plan, given.announced)
        node = _node(given, plan)
        if plan and node.status != "unknown":
            planned[given.host] = hide.data(report_plan.changes(plan))
        nodes.append(hide.data(node))
    plans = report_plan.group(planned)
    number_of = {host: plan.number for plan in plans for host in plan.hosts}
    nodes = [replace(node, plan=number_of.get(node.host)) for node in nodes]
    counts = {status: sum(node.status == status for node in nodes) for status in STATUSES}
    found = _Hide().data(tuple(workloads))
    return Report(FORMAT, now, title or TITLE, counts, tuple(nodes), report_findings.by_rule(nodes, found), plans)


def _node(given: HostInput, plan: Plan | None) -> NodeReport:
    journal_file = (given.facts.get("files") or {}).get(report_journal.JOURNAL) or {}
    attempts = report_journal.attempts(given.journals, journal_file.get("content"), given.failed_cause)
    latest = _plan(given.plan) or plan
    status, reason, state = _status(given, latest, attempts)
    if latest is None:
        return NodeReport(
            given.host, given.host, status, reason, given.control_plane, state=state, bundle=given.bundle,
            attempts=attempts,
        )  # fmt: skip
    shown = plan or latest
    return NodeReport(
        host=given.host,
        node_name=latest.node_name or given.host,
        status=status,
        reason=reason,
        control_plane=given.control_plane or latest.is_control_plane,
        source=shown.source,
        state=state,
        runtime=_runtime(given.facts, status),
        target=f"containerd {shown.containerd_version}".strip() if status != "done" else "",
        kubelet_version=latest.kubelet_version,
        os=str((given.facts.get("os") or {}).get("pretty_name") or ""),
        bundle=given.bundle,
        findings=tuple(NodeFinding(one.id, one.severity, one.message, one.remedy) for one in shown.findings),
        images=tuple(
            ImageReport(image.names[0] if image.names else image.id, image.size) for image in shown.images
        ),
        images_moved=bool(shown.images) and state not in ("", "docker"),
        attempts=attempts,
    )  # fmt: skip


def _status(given: HostInput, plan: Plan | None, attempts: tuple[Attempt, ...]) -> tuple[str, str, str]:
    """Return the status, why, and the state of the node's journal."""
    current = next((one for one in attempts if not one.rolled_back), None)
    state = current.state if current else ("docker" if attempts or plan is None else plan.state)
    if given.failed:
        return "failed", given.failed, state
    if plan is None and not attempts:
        return (
            "unknown",
            "Nothing is known of it: it could not be reached, or the run ended before it was looked at.",
            "",
        )
    if state in ("verified", "committed") or (plan is not None and plan.done):
        return "done", "", state
    if plan is not None and plan.blockers:
        return "blocked", " ".join(finding.message for finding in plan.blockers), state
    if state in ("drained", "switched"):
        return "moving", "Its move was begun and has not ended. Run migrate.yml again to go on.", state
    return ("prepared" if state == "prepared" else "ready"), "", state


def _runtime(facts: Json, status: str) -> str:
    """Return what the node's pods run on, as the facts have it; a node that moved in this run was asked before."""
    name = "containerd" if status == "done" else "docker"
    version = str((facts.get(name) or {}).get("version") or "")
    return f"{'containerd' if name == 'containerd' else 'Docker'} {version}".strip()


def _plan(data: Json) -> Plan | None:
    return records.from_data(Plan, data) if data else None


class _Hide:
    """Hides what is secret, by the words of the data given and by its looks."""

    def __init__(self, *known: Json) -> None:
        secrets: set[str] = set()
        for data in known:
            for text in redaction.texts(data):
                secrets |= _secrets_in(text)
        self._secrets = frozenset(secrets)

    def data(self, value: Any) -> Any:
        """Return a record, or a tuple of them, with every text redacted."""
        if isinstance(value, str):
            return _redacted(value, self._secrets)
        if isinstance(value, tuple):
            return tuple(self.data(one) for one in value)
        if hasattr(value, "__dataclass_fields__"):
            return replace(value, **{name: self.data(getattr(value, name)) for name in value.__dataclass_fields__})
        return value


# The nodes of a fleet have most of their texts in common.
@lru_cache(maxsize=20000)
def _secrets_in(text: str) -> frozenset[str]:
    return frozenset(redaction.secrets_in(text))


@lru_cache(maxsize=20000)
def _redacted(text: str, secrets: frozenset[str]) -> str:
    return redaction.redact(text, secrets)
