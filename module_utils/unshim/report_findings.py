"""Findings by rule: those of the nodes' plans and those of the scan of workloads, in one list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import cattrs

from . import records
from .plan_model import SEVERITIES
from .report_model import Affected, NodeReport, Rule, WorkloadObject
from .workloads.model import WorkloadFinding
from .workloads.registry import BY_ID


class FindingsError(Exception):
    """The findings cannot be used; the message says which one, and why."""


def parse(text: str) -> tuple[WorkloadFinding, ...]:
    """Return the findings in a file of the scan; raises as :func:`read`, and where it is no JSON."""
    try:
        return read(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise FindingsError(f"It is no JSON: {error}.") from None


def read(scanned: Any) -> tuple[WorkloadFinding, ...]:
    """Return the findings in a result of the scan of workloads, those that its allow-list lets pass included.

    Args:
        scanned: as docs/schemas/findings.schema.json has it; findings.json of ``scan.yml``.

    Raises:
        FindingsError: it is no result of the scan.
    """
    if not isinstance(scanned, dict) or not isinstance(scanned.get("findings"), list):
        raise FindingsError("This is no result of the scan of workloads: it has no list of findings.")
    if scanned.get("form") != 1:
        raise FindingsError(f"A result of the scan of form {scanned.get('form')!r} cannot be read; only form 1 can.")
    found = []
    for part in ("findings", "allowed"):
        entries = scanned.get(part) or []
        if not isinstance(entries, list):
            raise FindingsError(f"This is no result of the scan of workloads: {part} is no list.")
        for number, entry in enumerate(entries):
            try:
                finding = records.from_data(WorkloadFinding, entry)
            except Exception as error:  # noqa: BLE001 - cattrs wraps what a field's type raises, whatever that is
                reason = "; ".join(cattrs.transform_error(error, path=f"{part}[{number}]"))
                raise FindingsError(f"A finding cannot be used: {reason}.") from None
            if not re.fullmatch(r"[^/]+/.+", finding.object, re.DOTALL):
                raise FindingsError(f"{part}[{number}]: object is {finding.object!r}; it must be Kind/namespace/name.")
            if finding.severity not in SEVERITIES:
                raise FindingsError(
                    f"{part}[{number}]: severity is {finding.severity!r}; it must be one of {', '.join(SEVERITIES)}."
                )
            found.append(finding)
    return tuple(found)


def _object(key: str) -> WorkloadObject:
    """Return the object that a finding calls ``Kind/namespace/name``, or ``Kind/name`` where it has no namespace."""
    kind, _, rest = key.partition("/")
    namespace, _, name = rest.rpartition("/")
    return WorkloadObject(kind, name, namespace)


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
        # Its message names the object; what is the same of many is the rule's own sentence. A newer scan may know more rules.
        why = BY_ID[one.id].why if one.id in BY_ID else one.message
        add(
            "workload",
            one.id,
            one.severity,
            _object(one.object),
            one.field,
            one.value,
            why,
            one.remedy,
            one.allowed or None,
        )
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
