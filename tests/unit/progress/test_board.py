"""What comes of each thing that Ansible says, and what a terminal of any size is shown of it."""

import json
from pathlib import Path

import jsonschema
import pytest

from unshim import progress

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/schemas/progress.schema.json").read_text()))


@pytest.fixture
def board():
    made = progress.Board()
    made.begin("/srv/playbooks/migrate.yml", 100.0)
    return made


def plan(done=False, blockers=()):
    return {"ansible_facts": {"runtime_plan": {"done": done, "blockers": list(blockers)}}}


def moved(board, host, *roles, at=100.0):
    """Take a host through tasks of some roles, 10 s each, and return the stages it came to."""
    events = []
    for number, role in enumerate(roles):
        events += board.task(host, role, at + 10.0 * number)
    return [event["stage"] for event in events]


def journal(board, host, state, now):
    return board.ok(host, "migration_journal", {"state": state}, {"state": state}, now)


def test_a_node_that_moves(board):
    assert moved(board, "w1", "preflight") == ["plan"]
    assert [e["stage"] for e in board.ok("w1", "migration_plan", {}, plan(), 101.0)] == ["wait"]
    assert moved(board, "w1", "containerd", "images", at=110.0) == ["prepare"]
    assert [e["stage"] for e in journal(board, "w1", "prepared", 130.0)] == ["wait"]
    roles = ("preflight", "containerd", "rollout", "drain", "preflight", "kubelet", "preflight", "verify", "etcd", "")
    assert moved(board, "w1", *roles, at=140.0) == ["prepare", "drain", "switch", "verify"]
    (done,) = journal(board, "w1", "verified", 250.0)
    assert done["stage"] == "done" and done["previous"] == "verify" and done["previous_seconds"] == 40.0


def test_a_node_that_fails_and_is_put_back(board):
    moved(board, "w1", "preflight", "drain", "kubelet", "verify")
    (failed,) = board.failed("w1", "verify : Run a canary pod", "it did\nnot run\x1b[2J", 140.0)
    assert (failed["event"], failed["stage"], failed["message"]) == ("failed", "failed", "it did not run\\u001b[2J")
    assert moved(board, "w1", "rollback", at=150.0) == ["restore"]
    assert [e["stage"] for e in journal(board, "w1", "docker", 170.0)] == ["restored"]
    assert board.failed("w1", "Stop the run with the cause", "w1 was not moved: …", 171.0) == []
    assert "w1 was not moved" in board.lines(180.0, 100, 10)[1] and board.nodes["w1"].stage == "restored"


@pytest.mark.parametrize(
    "answer, stage", [(plan(done=True), "done"), (plan(blockers=["x"]), "blocked"), (plan(), "wait")]
)
def test_what_a_plan_says(answer, stage, board):
    moved(board, "w1", "preflight")
    assert [e["stage"] for e in board.ok("w1", "migration_plan", {}, answer, 101.0)] == [stage]


def test_a_plan_that_is_made_anew_in_a_move_says_nothing(board):
    moved(board, "w1", "preflight", "kubelet")
    assert board.ok("w1", "migration_plan", {}, plan(done=True), 120.0) == []


def test_a_result_that_is_censored_says_nothing(board):
    moved(board, "w1", "preflight")
    assert board.ok("w1", "migration_plan", {}, {"censored": "hidden", "changed": False}, 101.0) == []


def test_hosts_that_do_not_move_are_not_on_the_board(board):
    assert board.task("localhost", "rollout", 100.0) == board.task("localhost", "", 100.0) == []
    assert board.failed("localhost", "x", "y", 100.0) == [] and board.lines(101.0, 80, 10) == []


def test_the_board_of_a_few_nodes(board):
    moved(board, "w1", "preflight", "drain", at=100.0)
    moved(board, "worker-22", "preflight", at=100.0)
    board.lost("w3", "no route to host", 130.0)
    assert board.lines(175.0, 100, 12) == [
        "unshim migrate.yml  1 min 15 s  0 of 3 done · 1 lost · 1 drain · 1 plan",
        "  ✕ w3         lost                 no route to host",
        "  ▸ w1         drain    1 min 05 s",
        "  · worker-22  plan     1 min 15 s",
    ]


@pytest.mark.parametrize("width, height", [(80, 12), (40, 3), (20, 1), (200, 500), (1, 1)])
def test_500_nodes_fit_any_terminal(width, height, board):
    for number in range(500):
        moved(
            board,
            f"node-{number:03d}.a-long-name-of-a-rack.example.org",
            *(("preflight", "drain")[: 1 + (number % 9 == 0)]),
        )
    board.failed("node-499.a-long-name-of-a-rack.example.org", "x", "why " * 100, 200.0)
    lines = board.lines(300.0, width, height)
    assert len(lines) <= height and all(len(line) <= width for line in lines)
    if height == 12:
        assert "failed" in lines[1] and lines[2].split()[2] == "drain"
        assert lines[-1] == "  … and 490 more: 47 drain, 443 plan"


def test_lines_for_a_log(board):
    events = board.task("w1", "preflight", 100.0) + board.task("w1", "drain", 165.0)
    events += board.failed("w1", "drain : Cordon", "held by a budget", 175.5) + board.end(180.0)
    assert [progress.plain(event) for event in events] == [
        "00:01:40 UTC  w1: plan",
        "00:02:45 UTC  w1: drain, after plan 1 min 05 s",
        "00:02:55 UTC  w1: failed, after drain 10.5 s: drain : Cordon: held by a budget",
        "00:03:00 UTC  migrate.yml: 1 failed",
    ]


def test_events_are_what_the_schema_says(board):
    events = (
        board.begin("x/migrate.yml", 100.0) + board.task("w1", "preflight", 100.0) + board.task("w1", "drain", 165.0)
    )
    events += board.lost("w2", "gone", 170.0) + board.failed("w1", "t", "m", 171.0) + board.end(180.0)
    assert [event["event"] for event in events] == ["begin", "stage", "stage", "stage", "failed", "end"]
    assert [error.message for event in events for error in SCHEMA.iter_errors(event)] == []
    assert list(SCHEMA.iter_errors(events[1] | {"stage": "elsewhere"})), "or it would say nothing"
    assert set(progress.ORDER) == set(SCHEMA.schema["properties"]["stage"]["enum"])


def test_the_roles_and_modules_it_knows_are_there():
    """A role that is renamed must be renamed here, or its stage is never shown."""
    for role in progress.STAGE_OF_ROLE:
        assert (ROOT / "roles" / role).is_dir(), role
    for module in ("migration_journal", "migration_plan"):
        assert (ROOT / "library" / f"{module}.py").exists()
