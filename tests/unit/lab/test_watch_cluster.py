"""What the lab's watcher makes of the API's lists and events."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "molecule" / "_lab"))

import watch_cluster


def node(name, closed=False):
    return {"metadata": {"uid": name, "name": name}, "spec": {"unschedulable": True} if closed else {}}


def pod(name, ready=True, leaving=False, app="web"):
    meta = {"uid": name, "name": name, "namespace": "shop", "labels": {"app": app}}
    if leaving:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": meta, "spec": {"nodeName": "w1"}, "status": {"conditions": conditions}}


def budget(wanted, app="web", namespace="shop"):
    return {
        "metadata": {"uid": f"budget-{app}", "name": app, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"desiredHealthy": wanted},
    }


@pytest.fixture
def cluster():
    made = watch_cluster.Cluster()
    made.listed("budgets", [budget(2)])
    made.listed("pods", [pod("a"), pod("b"), pod("c"), pod("other", app="other")])
    return made


def test_closed_nodes_are_told_when_they_change(cluster):
    assert cluster.listed("nodes", [node("w1"), node("w2")]) == [{"kind": "nodes", "unschedulable": []}]
    assert cluster.event("nodes", "MODIFIED", node("w1")) == []
    one = cluster.event("nodes", "MODIFIED", node("w1", closed=True))
    both = cluster.event("nodes", "MODIFIED", node("w2", closed=True))
    assert one == [{"kind": "nodes", "unschedulable": ["w1"]}]
    assert watch_cluster.too_many_closed(one + both, 1) == both
    assert watch_cluster.too_many_closed(one + both, 2) == []
    assert cluster.event("nodes", "DELETED", node("w2")) == [{"kind": "nodes", "unschedulable": ["w1"]}]


def test_eviction_within_the_budget(cluster):
    (record,) = cluster.event("pods", "MODIFIED", pod("a", leaving=True))
    assert record["pod"] == "shop/a" and record["budgets"] == {"shop/web": {"healthy": 2, "wanted": 2}}
    assert watch_cluster.broken_budgets([record]) == []
    assert cluster.event("pods", "DELETED", pod("a", leaving=True)) == [], "it left once"


def test_eviction_beyond_the_budget(cluster):
    cluster.event("pods", "MODIFIED", pod("a", leaving=True))
    (second,) = cluster.event("pods", "MODIFIED", pod("b", leaving=True))
    assert watch_cluster.broken_budgets([second]) == [second]


def test_deleted_at_once_counts_too(cluster):
    cluster.event("pods", "MODIFIED", pod("b", ready=False))
    (record,) = cluster.event("pods", "DELETED", pod("a"))
    assert watch_cluster.broken_budgets([record]) == [record]


def test_a_pod_that_fails_by_itself_is_no_eviction(cluster):
    assert cluster.event("pods", "MODIFIED", pod("a", ready=False)) == []
    assert cluster.event("pods", "MODIFIED", pod("b", ready=False)) == []
    assert cluster.event("pods", "MODIFIED", pod("a", ready=False, leaving=True)) == [], "it was not healthy"


def test_a_successor_that_is_ready_makes_room(cluster):
    cluster.event("pods", "MODIFIED", pod("a", leaving=True))
    cluster.event("pods", "ADDED", pod("d"))
    (record,) = cluster.event("pods", "MODIFIED", pod("b", leaving=True))
    assert watch_cluster.broken_budgets([record]) == []


def test_what_happened_during_an_outage_is_judged_from_the_next_list(cluster):
    records = cluster.listed("pods", [pod("c")])
    assert sorted(r["pod"] for r in records) == ["shop/a", "shop/b", "shop/other"]
    assert len(watch_cluster.broken_budgets(records)) == 2
    assert cluster.listed("pods", [pod("c")]) == []


def test_pods_without_a_budget_break_none(cluster):
    (record,) = cluster.event("pods", "DELETED", pod("other", app="other"))
    assert record["budgets"] == {} and watch_cluster.broken_budgets([record]) == []


def test_budgets_of_other_namespaces_do_not_count(cluster):
    cluster.listed("budgets", [budget(3, namespace="elsewhere")])
    (record,) = cluster.event("pods", "DELETED", pod("a"))
    assert record["budgets"] == {}


def test_blindness_is_measured():
    assert watch_cluster.longest_gap([{"time": 1.0}, {"time": 9.5}, {"time": 3.0}]) == 6.5
    assert watch_cluster.longest_gap([]) == float("inf")
