"""A report as SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0), for code scanning."""

from __future__ import annotations

import json
from urllib.parse import quote

from .model import Json, Report, WorkloadFinding
from .registry import RULES

_LEVEL = {"block": "error", "warn": "warning", "info": "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report, version: str) -> str:
    results = [_result(finding) for finding in report.findings]
    for finding in report.allowed:
        result = _result(finding)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.allowed}]
        results.append(result)
    notifications = []
    for problem in report.problems:
        notification: Json = {"level": "error", "message": {"text": problem.message}}
        if problem.file:
            notification["locations"] = [{"physicalLocation": _place(problem.file, problem.line)}]
        notifications.append(notification)
    run = {
        "tool": {
            "driver": {"name": "unshim", "version": version, "rules": [_rule(index) for index in range(len(RULES))]}
        },
        "invocations": [{"executionSuccessful": not report.problems, "toolExecutionNotifications": notifications}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(index: int) -> Json:
    rule = RULES[index]
    return {
        "id": rule.id,
        "shortDescription": {"text": f"The object {rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.why}\n\n{rule.instead}\n\nSource: {rule.source}"},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
    }


def _result(finding: WorkloadFinding) -> Json:
    location: Json = {
        "logicalLocations": [
            {"fullyQualifiedName": f"{finding.object}:{finding.field}", "name": finding.object, "kind": "resource"}
        ]
    }
    if finding.file:
        location["physicalLocation"] = _place(finding.file, finding.line)
    return {
        "ruleId": finding.id,
        "ruleIndex": [rule.id for rule in RULES].index(finding.id),
        "level": _LEVEL[finding.severity],
        "message": {"text": f"{finding.message} {finding.remedy}"},
        "locations": [location],
        "partialFingerprints": {"unshim/v1": finding.fingerprint},
    }


def _place(file: str, line: int) -> Json:
    place: Json = {"artifactLocation": {"uri": quote(file)}}
    if line:
        place["region"] = {"startLine": line}
    return place
