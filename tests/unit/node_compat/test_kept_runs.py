"""A run as JSON, JUnit and Markdown: each is what its readers expect, says the same, and JSON comes back as it was."""

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from observed_nodes import on_containerd, on_docker

from unshim.node_compat import evaluation, report_json, report_junit, report_markdown
from unshim.node_compat.model import Run
from unshim.node_compat.registry import BY_ID, CHECKS

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/compat.schema.json").read_text())
STRANGE = "a\x00b\x1b[0m ]]> <&\"' | `x` [y](z) \u202e \U0001f433"


def run(observed, earlier=None):
    results = evaluation.judge(observed, earlier)
    told = f"{earlier.runtime} of {earlier.taken}" if earlier else ""
    return Run("worker-1", observed.runtime, "1.6.20", "v1.20.2", "registry/busybox:1", "2026-11-26T02:30:00Z", False,
               results, observed, told)  # fmt: skip


BEFORE = run(on_docker(**{"pod.console": "in\nout\nTERM=xterm", "pod.greedy": "1 Error"}))
AFTER = run(on_containerd({"pod.exec": f"exit code 1, stdout {STRANGE!r}", "pod.greedy": "1 Error"}), BEFORE)


@pytest.mark.parametrize("kept", [BEFORE, AFTER], ids=["before", "after"])
def test_json_is_of_its_schema_and_comes_back(kept):
    text = report_json.render(kept)
    jsonschema.validate(json.loads(text), SCHEMA)
    assert report_json.parse(text, "x.json") == kept
    assert json.loads(text)["regressions"] == (["C22"] if kept is AFTER else ["C49"])


@pytest.mark.parametrize(
    "text,said",
    [
        ("", "x.json is not JSON"),
        ("[]", "x.json is no result of compat.yml"),
        ('{"form": 9}', "x.json has form 9"),
        ('{"form": 1, "node": "n"}', "x.json is damaged"),
        (report_json.render(BEFORE).replace('"differs"', '"x"').replace('"ok"', '"fine"'), "x.json is damaged"),
    ],
)
def test_a_file_that_is_no_run_is_refused_in_a_sentence(text, said):
    with pytest.raises(report_json.RunError, match=said) as caught:
        report_json.parse(text, "x.json")
    assert str(caught.value).endswith(".")


def test_junit_has_a_case_for_each_check_and_fails_regressions_only():
    root = ElementTree.fromstring(report_junit.render(AFTER))
    cases = root.findall("testsuite/testcase")
    assert [case.get("name").split()[0] for case in cases] == [check.id for check in CHECKS]
    assert [case.get("name").split()[0] for case in cases if case.find("failure") is not None] == ["C22"]
    skipped = {case.get("name").split()[0] for case in cases if case.find("skipped") is not None}
    assert skipped == {result.id for result in AFTER.results if result.outcome == "not-shown"}
    assert (root.get("failures"), root.get("skipped"), root.get("tests")) == ("1", str(len(skipped)), str(len(CHECKS)))
    told = {case.get("name").split()[0]: case.findtext("system-out") for case in cases}
    assert told["C49"].startswith("broken, as it was before")


def test_markdown_has_a_row_for_each_check_and_nothing_of_a_node_means_anything():
    text = report_markdown.render(AFTER)
    rows = [line for line in text.splitlines() if line.startswith("| C")]
    assert [row.split()[1] for row in rows] == [check.id for check in CHECKS]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    [broken] = [row for row in rows if "**broken**" in row]
    assert BY_ID["C22"].title in broken and "\x1b" not in text and "\u202e" not in text and "\\[y\\](z)" in broken
    assert "Compared with docker of 2026-11-26T02:30:00Z" in text


def test_the_terminal_is_told_what_is_broken_first():
    lines = report_markdown.summary(AFTER).splitlines()
    assert "2 broken (1 of them before, too)" in lines[0] and "compared with docker" in lines[0]
    assert lines[1].startswith("C49 broken (as before): ") or lines[1].startswith("C22 broken: ")
    outcomes = [line.split(":")[0].split(" ", 1)[1].removesuffix(" (as before)") for line in lines[1:]]
    assert outcomes == sorted(outcomes, key=["broken", "differs as documented", "not shown"].index)
