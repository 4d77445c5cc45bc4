"""The scan itself: objects in, findings out."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from ..redaction import redact
from . import allow_list
from .model import (
    Document,
    Hit,
    Problem,
    Report,
    ScanSettings,
    WorkloadFinding,
    fingerprint,
    printable,
    shown_path,
)
from .owners import without_offspring
from .pod_specs import PodSpec, pod_specs
from .registry import BY_ID, OBJECT_CHECKS, POD_CHECKS

LONGEST_VALUE = 160
_ORDER = {"block": 0, "warn": 1, "info": 2}


def reported(
    source: str,
    documents: Sequence[Document],
    settings: ScanSettings,
    entries: Sequence[allow_list.Entry],
    problems: Sequence[Problem],
    today: datetime.date,
) -> Report:
    """Return the report of a scan, with what the allow-list's ``entries`` let pass until ``today`` set apart.

    Args:
        source: what was scanned, in words.
        problems: what could not be read of it.
    """
    findings, specs = scan(documents, settings)
    kept, allowed, notes = allow_list.apply(findings, entries, today)
    return Report(source, len(documents), specs, tuple(kept), tuple(allowed), tuple(problems), tuple(notes))


def scan(documents: Sequence[Document], settings: ScanSettings | None = None) -> tuple[list[WorkloadFinding], int]:
    """Return what is found in some objects, the worst first, and how many pod specifications were looked at."""
    settings = settings or ScanSettings()
    findings: dict[tuple[str, str, str, str], WorkloadFinding] = {}
    specs = 0
    for document in without_offspring(documents):
        pods = list(pod_specs(document.object))
        specs += len(pods)
        for hit in _hits(document, pods, settings):
            found = _finding(document, hit)
            findings.setdefault((found.fingerprint, found.file, found.node, found.field), found)
    ordered = sorted(
        findings.values(), key=lambda one: (_ORDER[one.severity], one.id, one.object, one.field, one.value)
    )
    return ordered, specs


def _hits(document: Document, pods: Sequence[PodSpec], settings: ScanSettings) -> Iterator[Hit]:
    for pod in pods:
        for check_pod in POD_CHECKS:
            yield from check_pod(pod, settings)
    for check_object in OBJECT_CHECKS:
        yield from check_object(document.object, settings)


def _finding(document: Document, hit: Hit) -> WorkloadFinding:
    rule = BY_ID[hit.rule]
    field = printable(shown_path(hit.path))
    value = printable(shortened(redact(hit.value)))
    key = printable(document.key)
    place = f" (static pod of node {document.node})" if document.node else ""
    return WorkloadFinding(
        id=rule.id,
        severity=rule.severity,
        message=f"{key}{place} {rule.title}: {field} is {value!r}.",
        remedy=rule.instead,
        object=key,
        field=field,
        value=value,
        file=printable(document.file),
        line=document.line_of(hit.path),
        node=document.node,
        fingerprint=fingerprint(rule.id, key, field, value),
    )


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
