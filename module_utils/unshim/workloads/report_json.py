"""A report as JSON: ``docs/schemas/findings.schema.json`` is its form."""

from __future__ import annotations

import json

from ..plan_model import SEVERITIES
from ..records import to_data
from .model import Json, Report

#: Grows when a reader of an older form would misunderstand; further keys alone do not change it.
FORM = 1


def data(report: Report) -> Json:
    found = to_data(report)
    return {
        "form": FORM,
        "source": found["source"],
        "scanned": {"objects": found["objects"], "pod_specs": found["pod_specs"]},
        "count": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": found["findings"],
        "allowed": found["allowed"],
        "problems": found["problems"],
        "notes": found["notes"],
    }


def render(report: Report) -> str:
    return json.dumps(data(report), indent=2, ensure_ascii=False) + "\n"
