"""Who moves when, and what a batch waits for."""

import pytest
from cluster_objects import node, pod

from unshim import rollout
from unshim.rollout import Member, Question


def workers(*names, **fields):
    return [Member(name, f"node-{name}", **fields) for name in names]


@pytest.mark.parametrize(
    "setting,count,expected",
    [
        ([1, "10%", "25%"], 0, []),
        ([1, "10%", "25%"], 1, [1]),
        ([1, "10%", "25%"], 4, [1, 1, 1, 1]),  # 25% of 4 is one
        ([1, "10%", "25%"], 40, [1, 4, 10, 10, 10, 5]),
        ([1, 2], 4, [1, 2, 1]),
        ([3], 7, [3, 3, 1]),
        (["100%"], 7, [7]),
        ([1, 500], 7, [1, 6]),
        ("10%", 20, [2] * 10),
        ("1,50%", 4, [1, 2, 1]),
        ("[1, '50%']", 4, [1, 2, 1]),
        (2, 3, [2, 1]),
        ("2", 3, [2, 1]),
    ],
)
def test_sizes_of_batches(setting, count, expected):
    assert rollout.sizes(rollout.read_batches(setting), count) == expected
    assert sum(expected) == count


@pytest.mark.parametrize(
    "setting", [[], None, [0], ["0%"], ["101%"], ["ten"], [-1], [1.5], True, {"a": 1}, [None], ["1 %x"]]
)
def test_batches_that_cannot_be_used(setting):
    with pytest.raises(rollout.SettingError, match="unshim_batches"):
        rollout.read_batches(setting)


def test_done_nodes_are_left_out_and_the_control_plane_comes_last():
    roll = rollout.choose(
        [*workers("cp1", control_plane=True), *workers("a", done=True), *workers("b", "c", "d")], [1, 2]
    )
    assert roll.batches == [("b",), ("c", "d")]
    assert roll.control_plane == ("cp1",)
    assert roll.done == ("a",)


def test_workers_left_half_way_come_first_and_together():
    roll = rollout.choose(
        [*workers("a", "b"), *workers("c", state="switched"), *workers("d", "e"), *workers("f", state="drained")],
        [1, 2],
        cordoned_by_us={"node-e"},
    )
    assert roll.batches == [("c", "e", "f"), ("a",), ("b", "d")]
    assert roll.half_way == ("c", "e", "f")


def test_prepared_is_not_half_way():
    assert rollout.choose(workers("a", state="prepared"), [1]).half_way == ()


def test_the_order_is_explained():
    half = workers("c", state="drained")
    text = rollout.explain(
        rollout.choose([*workers("a", "b"), *half, *workers("z", done=True), *workers("cp", control_plane=True)], [1])
    )
    assert text == (
        "batch 1 (left half-way by an earlier run): c\n"
        "batch 2 (canary): a\n"
        "batch 3: b\n"
        "then the control plane, one at a time: cp\n"
        "done already, and skipped: z\n"
    )
    assert rollout.explain(rollout.choose(workers("a", "b", done=True), [1])) == "Nothing to move: 2 nodes done.\n"
    many = rollout.explain(rollout.choose(workers(*(f"n{i}" for i in range(20))), ["100%"]))
    assert "n7 and 12 more" in many and "n8" not in many


OURS = '{"at": "2026-01-01T00:00:00Z", "by": "unshim (root@ctl)", "reason": "move to containerd", "was_unschedulable": false}'
THEIRS = OURS.replace("false", "true")


def test_other_nodes_must_be_ready_and_open():
    nodes = [node("w1", ready="False"), node("w2"), node("w3", ready="Unknown"), node("w4", closed=True, note=OURS)]
    reasons = rollout.unwell_nodes(nodes, Question(("w1",)))
    assert reasons == [
        "node w3 is not Ready (KubeletNotReady)",
        "node w4 is closed for pods by unshim (root@ctl) since 2026-01-01T00:00:00Z (move to containerd): a move that did not end",
    ]
    assert rollout.unwell_nodes(nodes, Question(("w1",), may_be_down=("w3", "w4"))) == []


def test_a_node_that_somebody_else_closed_is_no_reason_to_wait():
    nodes = [node("w2", closed=True), node("w3", closed=True, note=THEIRS), node("w4", note=OURS)]
    assert rollout.unwell_nodes(nodes, Question(("w1",))) == []


def test_nodes_the_cluster_does_not_have():
    assert rollout.unknown_nodes([node("w1")], Question(("w1", "w9"))) == ["w9"]


def budget(allowed, desired=2, expected=3):
    return {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {
            "disruptionsAllowed": allowed,
            "currentHealthy": 2,
            "desiredHealthy": desired,
            "expectedPods": expected,
        },
    }


def test_pods_that_leave_are_those_of_the_whole_batch():
    pods = [pod("a"), pod("b", on="w2"), pod("c", on="w3"), pod("d", owner="DaemonSet")]
    assert [p["metadata"]["name"] for p in rollout.leaving_pods(pods, Question(("w1", "w2")))] == ["a", "b"]


def test_a_budget_at_zero_holds_a_batch_that_needs_it():
    leaving = rollout.leaving_pods([pod("a"), pod("b", on="w3")], Question(("w1",)))
    assert rollout.exhausted_budgets([budget(0)], leaving, "policy/v1") == [
        "PodDisruptionBudget shop/web allows no disruption now (2 healthy, 2 wanted, 3 in all); it covers shop/a"
    ]
    assert rollout.exhausted_budgets([budget(1)], leaving, "policy/v1") == []
    assert rollout.exhausted_budgets([budget(0)], [], "policy/v1") == []
    (never,) = rollout.exhausted_budgets([budget(0, desired=3)], leaving, "policy/v1")
    assert "never allows" in never and "relax it" in never


def test_room_is_asked_for_the_batch_together():
    nodes = [node("w1"), node("w2"), node("w3")]
    pods = [pod("a", cpu="1500m"), pod("b", on="w2", cpu="1500m")]
    one, both = Question(("w1",)), Question(("w1", "w2"))
    assert rollout.no_room(nodes, pods, rollout.leaving_pods(pods, one), one) == []
    (why,) = rollout.no_room(nodes, pods, rollout.leaving_pods(pods, both), both)
    assert "no room for shop/" in why and "cpu 1.5" in why and "unshim_drain_allow_no_room" in why
    allowed = Question(("w1", "w2"), allow_no_room=True)
    assert rollout.no_room(nodes, pods, rollout.leaving_pods(pods, allowed), allowed) == []


def test_the_run_stops_when_more_failed_than_may():
    assert rollout.stop([], 0) == ""
    assert "1 node failed (w1)" in rollout.stop(["w1"], 0)
    assert rollout.stop(["w1"], 1) == ""
    assert "2 nodes failed (w1, w2)" in rollout.stop(["w2", "w1"], 1)
