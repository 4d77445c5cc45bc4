"""A report as JSON, SARIF, JUnit and text: each is what its readers expect, and says the same."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from sarif_pydantic import Sarif

from unshim.workloads import outputs
from unshim.workloads.manifests import read
from unshim.workloads.model import Document, Problem, Report, ScanSettings, WorkloadFinding
from unshim.workloads.registry import RULES
from unshim.workloads.scan import scan

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data/workloads"
SCHEMA = json.loads((ROOT / "docs/schemas/findings.schema.json").read_text())
STRANGE = "a\x00b\x1b[0m ]]> <&\"' \ud800 \U0001f433"


def planted():
    documents = [
        one
        for path in sorted((DATA / "planted").iterdir())
        for one in read(path.read_text(), f"planted/{path.name}")[0]
    ]
    types = json.loads((DATA / "manifest_types.json").read_text())
    findings, specs = scan(documents, ScanSettings(manifest_types=types))
    return Report("the planted set", len(documents), specs, tuple(findings))


def everything():
    """One of each thing a report can have."""
    finding = WorkloadFinding(
        "docker-socket-mount",
        "block",
        "m",
        "r",
        "Pod/n/p",
        "spec",
        "/run/docker.sock",
        "d/a b.yml",
        3,
        "w1",
        "0" * 16,
        "",
    )
    allowed = WorkloadFinding(
        "docker-command", "warn", "m", "r", "Pod/n/q", "spec", "docker ps", fingerprint="1" * 16, allowed="asked"
    )
    return Report(
        "x",
        2,
        2,
        (finding,),
        (allowed,),
        (Problem("It is not valid YAML.", "b.yml", 7), Problem("not allowed")),
        ("a note",),
    )


REPORTS = [planted(), everything(), Report("nothing")]


@pytest.fixture(params=REPORTS, ids=lambda report: report.source)
def report(request):
    return request.param


def test_json_is_as_its_schema_says(report):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    data = json.loads(outputs.render(report, "json", "1.2"))
    assert [error.message for error in validator.iter_errors(data)] == []
    assert len(data["findings"]) == len(report.findings) == sum(data["count"].values())


@pytest.mark.parametrize("key", ["id", "severity", "fingerprint", "object"])
def test_the_schema_refuses_a_finding_without_or_with_a_wrong_key(key):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    data = json.loads(outputs.render(everything(), "json", "1.2"))
    for spoil in (lambda one: one.pop(key), lambda one: one.update({key: "What Ever"})):
        finding = json.loads(json.dumps(data["findings"][0]))
        spoil(finding)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, "findings": [finding]}, SCHEMA)


def test_sarif_is_read_by_a_reader_of_sarif(report):
    text = outputs.render(report, "sarif", "1.2")
    [run] = Sarif.model_validate_json(text).runs
    results = run.results or []
    assert run.tool.driver.name == "unshim" and run.tool.driver.version == "1.2"
    assert [rule.id for rule in run.tool.driver.rules] == [rule.id for rule in RULES]
    assert [run.tool.driver.rules[one.rule_index].id for one in results] == [one.rule_id for one in results]
    assert len(results) == len(report.findings) + len(report.allowed)
    levels = {"block": "error", "warn": "warning", "info": "note"}
    assert [one.level.value for one in results] == [levels[one.severity] for one in (*report.findings, *report.allowed)]


def test_sarif_has_places_suppressions_and_what_was_not_read():
    run = json.loads(outputs.render(everything(), "sarif", "1"))["runs"][0]
    first, second = run["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "d/a%20b.yml"},
        "region": {"startLine": 3},
    }
    assert "physicalLocation" not in second["locations"][0] and "suppressions" not in first
    assert second["suppressions"][0]["justification"] == "asked"
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 7}


def junit(report, fail_on="block"):
    root = ElementTree.fromstring(outputs.render(report, "junit", "1", outputs.FAIL_ON[fail_on]).encode())
    [suite] = root
    return root, suite


def test_junit_counts_what_it_holds(report):
    root, suite = junit(report)
    for element in (root, suite):
        assert int(element.get("tests")) == len(suite.findall("testcase"))
        assert int(element.get("failures")) == len(suite.findall("*/failure")) == report.count("block")
        assert int(element.get("errors")) == len(suite.findall("*/error")) == len(report.problems)
        assert int(element.get("skipped")) == len(suite.findall("*/skipped")) == len(report.allowed)
    assert {case.get("classname").split(".")[-1] for case in suite} - {"unreadable"} == {rule.id for rule in RULES}


@pytest.mark.parametrize(("fail_on", "severities"), [("block", 1), ("warn", 2), ("info", 3), ("never", 0)])
def test_junit_fails_what_shall_fail(fail_on, severities):
    report = planted()
    _, suite = junit(report, fail_on)
    assert len(suite.findall("*/failure")) == sum(report.count(one) for one in ("block", "warn", "info")[:severities])


def test_text_says_every_finding_once_and_fits_a_terminal():
    report = planted()
    text = outputs.render(report, "text", "1")
    assert all(text.count(f"[{rule}] ") == 1 for rule in {one.id for one in report.findings})
    for finding in report.findings:
        assert f"{finding.object} ({finding.file}:{finding.line})" in text
    assert all(len(line) <= 100 for line in text.splitlines() if " " in line.strip())
    assert (
        f"{report.count('block')} block, {report.count('warn')} warn, {report.count('info')} inform"
        in text.splitlines()[-1]
    )


def test_text_says_what_was_allowed_and_not_read():
    text = outputs.render(everything(), "text", "1")
    assert "- Pod/n/q docker-command: asked" in text
    assert "b.yml:7: It is not valid YAML." in text and "a note" in text


@pytest.mark.parametrize("form", outputs.FORMATS)
def test_no_text_breaks_a_form(form):
    """A name, a path and a command as no API server takes them, but a file has them."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": STRANGE,
            "annotations": {f"container.apparmor.security.beta.kubernetes.io/{STRANGE}": "localhost/docker-default"},
        },
        "spec": {"containers": [{"name": "c", "image": "x", "command": ["docker", "run", STRANGE]}]},
    }
    findings, _ = scan([Document(pod, STRANGE)])
    assert {one.id for one in findings} == {"docker-command", "apparmor-docker-default"}
    text = outputs.render(Report("x", findings=tuple(findings)), form, "1")
    assert not re.search("[\x00\x1b\ud800]", text)
    text.encode("utf-8")
    if form == "junit":
        assert len(ElementTree.fromstring(text.encode()).findall("*/*/failure")) == 0
    elif form != "text":
        json.loads(text)
