"""A report as JUnit: one test case per rule and object that met it, and one per rule that nothing met."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from .model import Report, WorkloadFinding, printable
from .registry import RULES


def render(report: Report, fail_on: Sequence[str] = ("block",)) -> str:
    """Return the report as XML; findings of the severities ``fail_on`` are failures, others are told as passed."""
    suite = ElementTree.Element("testsuite", name="unshim workload scan")
    failures = errors = skipped = tests = 0
    for rule in RULES:
        name = f"unshim.{rule.severity}.{rule.id}"
        met = [finding for finding in report.findings if finding.id == rule.id]
        allowed = [finding for finding in report.allowed if finding.id == rule.id]
        for finding in met:
            case = _case(suite, name, finding)
            tests += 1
            if finding.severity in fail_on:
                failures += 1
                failure = ElementTree.SubElement(case, "failure", type=rule.id, message=printable(finding.message))
                failure.text = printable(_told(finding))
            else:
                ElementTree.SubElement(case, "system-out").text = printable(_told(finding))
        for finding in allowed:
            tests += 1
            skipped += 1
            ElementTree.SubElement(_case(suite, name, finding), "skipped", message=printable(finding.allowed))
        if not met and not allowed:
            tests += 1
            ElementTree.SubElement(suite, "testcase", classname=name, name="no object", time="0")
    for problem in report.problems:
        tests += 1
        errors += 1
        case = ElementTree.SubElement(
            suite, "testcase", classname="unshim.unreadable", name=printable(f"{problem.file}:{problem.line}"), time="0"
        )
        ElementTree.SubElement(case, "error", type="unreadable", message=printable(problem.message))
    counts = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    for key, number in counts.items():
        suite.set(key, str(number))
    root = ElementTree.Element("testsuites", {key: str(number) for key, number in counts.items()})
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, classname: str, finding: WorkloadFinding) -> ElementTree.Element:
    name = printable(f"{finding.object}: {finding.field}")
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=name, time="0")
    if finding.file:
        case.set("file", printable(finding.file))
        case.set("line", str(finding.line))
    return case


def _told(finding: WorkloadFinding) -> str:
    where = f"{finding.file}:{finding.line}\n" if finding.file else ""
    return f"{where}{finding.message}\n{finding.remedy}"
