"""A run as JUnit: one test case per check; what is broken and was not before fails, what is not shown is skipped."""

from __future__ import annotations

from xml.etree import ElementTree

from ..workloads.model import printable
from .model import OUTCOMES, Run
from .registry import GROUPS


def render(run: Run) -> str:
    by_id = {result.id: result for result in run.results}
    suite = ElementTree.Element("testsuite", name=f"unshim compatibility of {printable(run.node)} on {run.runtime}")
    failures = skipped = tests = 0
    for group, checks in GROUPS.items():
        for check in checks:
            result = by_id.get(check.id)
            if result is None:
                continue
            tests += 1
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"unshim.compat.{group}", name=f"{check.id} {check.title}", time="0"
            )
            told = printable(result.evidence)
            if result.is_regression:
                failures += 1
                failure = ElementTree.SubElement(case, "failure", type="broken", message=told)
                failure.text = printable(f"{result.evidence}\nIt guards: {check.guards}\nSource: {check.source}")
            elif result.outcome == "not-shown":
                skipped += 1
                ElementTree.SubElement(case, "skipped", message=told)
            else:
                words = OUTCOMES[result.outcome] + (", as it was before" if result.outcome == "broken" else "")
                ElementTree.SubElement(case, "system-out").text = f"{words}: {told}"
    counts = {"tests": str(tests), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    for key, number in counts.items():
        suite.set(key, number)
    root = ElementTree.Element("testsuites", counts)
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
