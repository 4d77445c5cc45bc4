"""What a report says of a fleet, as data, and that docs/schemas/report.schema.json says the same of it."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from unshim import records, report, report_findings, report_html, report_model

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/report.schema.json").read_text())


def node(made, host):
    return next(one for one in made.nodes if one.host == host)


def stages(attempt):
    return {
        one.name: (None if one.ended is None else round(one.ended - one.began, 1), one.completed)
        for one in attempt.stages
    }


def test_every_node_has_the_status_it_is_in(mixed):
    assert {one.host: one.status for one in mixed.nodes} == {
        "cp1": "ready", "w1": "done", "w2": "done", "w3": "failed", "w4": "blocked", "w5": "ready", "w6": "ready",
        "w7": "moving", "w8": "unknown",
    }  # fmt: skip
    assert mixed.counts == {
        "failed": 1, "blocked": 1, "moving": 1, "prepared": 0, "ready": 3, "done": 2, "unknown": 1,
    }  # fmt: skip


def test_a_move_has_its_stages_and_its_outage(mixed):
    (move,) = node(mixed, "w1").attempts
    assert stages(move) == {
        "prepare": (63.0, True), "drain": (42.0, True), "switch": (11.5, True), "verify": (34.7, True),
    }  # fmt: skip
    assert move.out_of_service == 88.0
    assert node(mixed, "w1").images_moved and len(node(mixed, "w1").images) == 6


def test_a_move_that_was_rolled_back_says_why_and_what_came_back(mixed):
    failed = node(mixed, "w3")
    (move,) = failed.attempts
    assert move.rolled_back and move.cause == "The canary pod did not run: ImagePullBackOff."
    assert stages(move)["verify"] == (128.5, False), "it ends where the way back begins"
    assert stages(move)["restore"] == (40.0, True)
    assert move.out_of_service == 222.0, "until it was back on Docker"
    assert move.restored_files == ("/etc/containerd/config.toml", "/var/lib/kubelet/kubeadm-flags.env")
    assert move.restored_units == ("docker.service",)
    assert failed.state == "docker" and failed.bundle.endswith("-w3")


def test_the_plan_is_the_one_that_was_announced(mixed):
    """What is left to do after a move is nothing; a reader wants to know what was done."""
    (plan,) = mixed.plans
    assert plan.hosts == ("cp1", "w1", "w2", "w3", "w4", "w5", "w6", "w7")
    config = next(one for one in plan.changes if one.what == "/etc/containerd/config.toml")
    assert (config.stage, config.kind) == ("prepare", "file")
    assert '+      bin_dir = "/opt/cni/bin"' in config.diff
    flags = next(one for one in plan.changes if one.kind == "kubelet command line")
    assert "---network-plugin=cni\n" in flags.diff and "+--container-runtime=remote\n" in flags.diff


def test_plans_differ_where_the_changes_do(fleet):
    made = report.make([fleet.ready("a"), fleet.ready("b", crictl=2), fleet.ready("c")])
    assert [one.hosts for one in made.plans] == [("a", "c"), ("b",)]
    assert [one.plan for one in made.nodes] == [1, 2, 1]


def test_findings_are_by_rule_and_equal_ones_together(mixed):
    assert [(one.rule, one.severity, one.origin, one.objects, one.allowed) for one in mixed.rules] == [
        ("foreign-container", "block", "node", 1, 0),
        ("docker-socket-mount", "block", "workload", 2, 1),
        ("exec-probe-timeout", "warn", "workload", 1, 0),
        ("log-rotation-kubeadm", "info", "node", 8, 0),
    ]
    assert len(mixed.rules[3].affected) == 1 and len(mixed.rules[3].affected[0].objects) == 8


def scanned(*entries):
    return {"form": 1, "findings": list(entries)}


@pytest.mark.parametrize(
    "result, said",
    [
        ("x", "no result of the scan"),
        ([], "no result of the scan"),
        ({"results": []}, "no result of the scan"),
        ({"form": 2, "findings": []}, "form 2"),
        ({"findings": []}, "form None"),
        (scanned({"severity": "block", "object": "Pod/x"}), "findings[0]"),
        (scanned({"id": "r", "severity": "fatal", "message": "m", "object": "Pod/x"}), "findings[0]: severity is 'fatal'"),
        (scanned({"id": "r", "severity": "warn", "message": "m", "object": {"kind": "Pod"}}), "findings[0]"),
        (scanned() | {"allowed": [7]}, "allowed[0]"),
    ],
)  # fmt: skip
def test_findings_that_cannot_be_used_are_named(result, said):
    with pytest.raises(report_findings.FindingsError) as caught:
        report_findings.read(result)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_later_run_still_tells_why_a_move_was_rolled_back(fleet):
    journal = fleet.journal("switched", rolled_back=True)
    journal["notes"] = {"rolled_back_because": "The canary pod did not run: ImagePullBackOff."}
    given = dataclasses.replace(fleet.ready("w1"), journals=fleet.printed(journal, None), failed_cause="of another try")
    (attempt,) = report.make([given]).nodes[0].attempts
    assert (attempt.rolled_back, attempt.cause) == (True, "The canary pod did not run: ImagePullBackOff.")


def test_what_the_scan_really_finds_is_in_the_report():
    """Its JSON, of everything that is planted for it, comes out rule by rule and object by object."""
    planted = ROOT / "tests/data/workloads/planted"
    command = [sys.executable, ROOT / "bin/unshim-scan", "--format", "json", "--manifests", planted]
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    made = report.make([], report_findings.read(printed))
    told = {
        (one.rule, "/".join(part for part in (what.kind, what.namespace, what.name) if part))
        for one in made.rules for affected in one.affected for what in affected.objects
    }  # fmt: skip
    assert told == {(one["id"], one["object"]) for one in printed["findings"]} and len(told) > 30
    assert all(affected.why and affected.instead for one in made.rules for affected in one.affected)
    html = report_html.render(made)
    assert all(f">{rule}</code>" in html for rule in {one["id"] for one in printed["findings"]})


def test_secrets_are_in_none_of_it(fleet):
    given = fleet.ready("w1")
    plan = json.loads(json.dumps(given.plan))
    plan["files"][0] |= {"after": 'password = "hunter2hunter2"\n', "secret": True}
    plan["files"][1]["after"] += '\nauth = "hunter2hunter2"\n'
    plan["kubelet_command_line_after"].append("--bootstrap-token=abcdef.0123456789abcdef")
    workload = fleet.workload_findings()["findings"][0] | {"value": "tcp://admin:hunter2hunter2@docker:2376"}
    made = report.make([dataclasses.replace(given, plan=plan)], report_findings.read(scanned(workload)))
    text = json.dumps(records.to_data(made))
    assert "hunter2" not in text and "0123456789abcdef" not in text
    assert "certs.d" in text and "docker:2376" in text, "and the rest is"


@pytest.mark.parametrize("text", ["", "==> /var/lib/unshim/journal.json <==\n{\n", "==> /x <==\n[]\n", "noise"])
def test_journals_that_cannot_be_read_are_no_moves(text, fleet):
    given = dataclasses.replace(fleet.ready("w1"), journals=text)
    assert report.make([given]).nodes[0].attempts == ()


def test_tries_of_earlier_runs_are_told_in_order(fleet):
    first, second = (
        fleet.journal("drained", rolled_back=True),
        fleet.journal("switched", generation=2, rolled_back=True),
    )
    third = fleet.journal("verified", generation=3)
    given = dataclasses.replace(
        fleet.ready("w1"), journals=fleet.printed(second, first, third), failed_cause="not its cause"
    )
    made = report.make([given]).nodes[0]
    assert [(one.generation, one.rolled_back, one.cause) for one in made.attempts] == [
        (1, True, ""),
        (2, True, ""),
        (3, False, ""),
    ]
    assert made.status == "done"


def test_the_journal_the_planner_reads_is_taken_where_there_is_no_other(fleet):
    given = fleet.ready("w1")
    journal = {"path": "/var/lib/unshim/journal.json", "kind": "file", "content": json.dumps(fleet.journal("switched"))}
    facts = {**given.facts, "files": {**given.facts["files"], journal["path"]: journal}}
    assert report.make([dataclasses.replace(given, facts=facts)]).nodes[0].status == "moving"


def definition(kind):
    name = {"NodeReport": "node", "NodeFinding": "node_finding", "ImageReport": "image", "WorkloadObject": "object",
            "PlanReport": "plan", "FailedStep": "failed_step"}.get(kind.__name__, kind.__name__.lower())  # fmt: skip
    return SCHEMA if kind is report_model.Report else SCHEMA["$defs"][name]


SHOWN = [
    report_model.Report, report_model.NodeReport, report_model.NodeFinding, report_model.ImageReport, report_model.Attempt,
    report_model.Stage, report_model.Event, report_model.FailedStep, report_model.Rule, report_model.Affected,
    report_model.WorkloadObject, report_model.PlanReport, report_model.Change,
]  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_the_schema_has_every_field_and_no_other(kind):
    assert set(definition(kind)["properties"]) == {one.name for one in dataclasses.fields(kind)}
    assert set(definition(kind)["required"]) == set(definition(kind)["properties"])


def test_reports_are_what_the_schema_says(mixed, fleet):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for made in (mixed, report.make([]), report.make([fleet.unknown("x"), fleet.moving("y")])):
        assert [error.message for error in validator.iter_errors(records.to_data(made))] == []
    broken = records.to_data(mixed)
    broken["nodes"][0]["status"] = "fine"
    assert list(validator.iter_errors(broken)), "or it would say nothing"
