"""Findings by rule: those of the nodes' plans and those of the scan of workloads, in one list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cattrs

from . import records
from .plan_model import SEVERITIES
from .report_model import Affected, NodeReport, Rule, WorkloadFinding, WorkloadObject


class FindingsError(Exception):
    """The list of findings cannot be used; the message says which entry, and why."""


def read(entries: Any) -> tuple[WorkloadFinding, ...]:
    """Return the findings of workloads from plain data.

    Args:
        entries: the list, or a whole result of the scan, which has it under "findings".

    Raises:
        FindingsError: it is no list of findings.
    """
    if isinstance(entries, dict):
        entries = entries.get("findings")
    if not isinstance(entries, list | tuple):
        raise FindingsError("findings is not a list of findings, as the scan of workloads writes it.")
    found = []
    for number, entry in enumerate(entries):
        try:
            finding = records.from_data(WorkloadFinding, entry)
        except Exception as error:  # noqa: BLE001 - cattrs wraps what a field's type raises, whatever that is
            reason = "; ".join(cattrs.transform_error(error, path=f"findings[{number}]"))
            raise FindingsError(f"A finding cannot be used: {reason}.") from None
        if finding.severity not in SEVERITIES:
            raise FindingsError(
                f"findings[{number}]: severity is {finding.severity!r}; it must be one of {', '.join(SEVERITIES)}."
            )
        found.append(finding)
    return tuple(found)


def by_rule(nodes: Iterable[NodeReport], workloads: Iterable[WorkloadFinding]) -> tuple[Rule, ...]:
    """Return every rule that found something: what blocks first, and of that what many have."""
    groups: dict[tuple[str, str, str], dict[tuple[Any, ...], list[WorkloadObject]]] = {}

    def add(origin: str, rule: str, severity: str, what: WorkloadObject, *same: str | None) -> None:
        groups.setdefault((origin, rule, severity), {}).setdefault(same, []).append(what)

    for node in nodes:
        for finding in node.findings:
            what = WorkloadObject("Node", node.host)
            add("node", finding.id, finding.severity, what, "", finding.message, "", finding.remedy, None)
    for one in workloads:
        same = (one.path, one.value, one.why, one.instead, one.allowed)
        add("workload", one.rule, one.severity, one.object, *same)
    rules = [
        Rule(
            rule=rule,
            severity=severity,
            origin=origin,
            objects=sum(len(objects) for objects in found.values()),
            allowed=sum(len(objects) for same, objects in found.items() if same[4] is not None),
            affected=tuple(Affected(tuple(objects), *same) for same, objects in found.items()),
        )
        for (origin, rule, severity), found in groups.items()
    ]
    return tuple(
        sorted(rules, key=lambda one: (SEVERITIES.index(one.severity), one.allowed - one.objects, one.origin, one.rule))
    )
