"""A report as text for a terminal of 100 columns: rule by rule, the worst first."""

from __future__ import annotations

import itertools
import textwrap

from .model import Report, WorkloadFinding
from .registry import BY_ID

WIDTH = 100
_TITLES = {"block": "BLOCKS", "warn": "WARNS", "info": "FOR YOUR INFORMATION"}


def render(report: Report) -> str:
    lines = [f"SCAN of {report.source}: {report.objects} objects, {report.pod_specs} pod templates and pods"]
    for severity, title in _TITLES.items():
        chosen = [finding for finding in report.findings if finding.severity == severity]
        if not chosen:
            continue
        lines += ["", f"{title} ({len(chosen)})"]
        for rule, findings in itertools.groupby(chosen, key=lambda one: one.id):
            lines += ["", *_wrapped(f"[{rule}] {BY_ID[rule].title}", "  ")]
            for finding in findings:
                lines += _finding(finding)
            lines += _wrapped(f"why: {BY_ID[rule].why}", "    ")
            lines += _wrapped(f"=> {BY_ID[rule].instead}", "    ")
    if report.allowed:
        lines += ["", f"ALLOWED ({len(report.allowed)})"]
        for finding in report.allowed:
            lines += _wrapped(f"- {finding.object} {finding.id}: {finding.allowed}", "  ")
    if report.problems:
        lines += ["", f"NOT READ ({len(report.problems)}): nothing is known of what is in there"]
        for problem in report.problems:
            where = f"{problem.file}:{problem.line}: " if problem.file else ""
            lines += _wrapped(f"- {where}{problem.message}", "  ")
    if report.notes:
        lines += ["", "NOTES", *(line for note in report.notes for line in _wrapped(f"- {note}", "  "))]
    return "\n".join([*lines, "", summary(report)]) + "\n"


def summary(report: Report) -> str:
    """Return the report in one line."""
    parts = [f"{report.count('block')} block", f"{report.count('warn')} warn", f"{report.count('info')} inform"]
    if report.allowed:
        parts.append(f"{len(report.allowed)} allowed")
    if report.problems:
        parts.append(f"{len(report.problems)} could not be read")
    return f"{report.source}: {', '.join(parts)}"


def _finding(finding: WorkloadFinding) -> list[str]:
    node = f" on {finding.node}" if finding.node else ""
    where = f" ({finding.file}:{finding.line})" if finding.file else ""
    return [
        *_wrapped(f"- {finding.object}{node}{where}", "    "),
        *_wrapped(f"{finding.field} = {finding.value}", "      "),
    ]


def _wrapped(text: str, indent: str) -> list[str]:
    further = indent + ("  " if text.startswith("- ") else "   " if text.startswith("=>") else "")
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
