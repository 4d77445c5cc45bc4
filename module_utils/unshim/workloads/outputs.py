"""A report in each of the forms it can be had in."""

from __future__ import annotations

from collections.abc import Sequence

from . import report_json, report_junit, report_sarif, report_text
from .model import Report

FORMATS = ("text", "json", "sarif", "junit")
#: What a file of each form is called.
FILE_NAMES = {"text": "findings.txt", "json": "findings.json", "sarif": "findings.sarif", "junit": "findings.xml"}
FAIL_ON = {"block": ("block",), "warn": ("block", "warn"), "info": ("block", "warn", "info"), "never": ()}


def render(report: Report, form: str, version: str, fail_on: Sequence[str] = ("block",)) -> str:
    if form == "json":
        return report_json.render(report)
    if form == "sarif":
        return report_sarif.render(report, version)
    if form == "junit":
        return report_junit.render(report, fail_on)
    return report_text.render(report)
