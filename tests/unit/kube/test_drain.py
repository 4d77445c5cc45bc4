"""What a drain decides, as tables."""

import json
from typing import ClassVar

import pytest

from unshim.drain import (
    NOTE_ANNOTATION,
    Budget,
    Decision,
    Options,
    block_double_budgets,
    budgets,
    classify,
    cordon_patch,
    explain_stuck,
    room_to_reschedule,
    selects,
    uncordon_patch,
)

RS = [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]
DS = [{"kind": "DaemonSet", "name": "agent", "controller": True}]
NODE = [{"kind": "Node", "name": "n1", "controller": True}]
EMPTY_DIR = [{"name": "scratch", "emptyDir": {}}]


def pod(
    name="p",
    owners=None,
    phase="Running",
    annotations=None,
    volumes=None,
    node="n1",
    terminating=False,
    labels=None,
    namespace="shop",
    **spec,
):
    meta = {"name": name, "namespace": namespace, "uid": "uid-" + name, "labels": labels or {}}
    if owners:
        meta["ownerReferences"] = owners
    if annotations:
        meta["annotations"] = annotations
    if terminating:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "spec": dict(spec, nodeName=node, volumes=volumes or []), "status": {"phase": phase}}


def node(name="n1", ready="True", unschedulable=False, taints=(), annotations=None):
    return {
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"unschedulable": unschedulable, "taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def pdb(name="b", selector=None, allowed=0, healthy=2, desired=2, expected=2, namespace="shop"):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": selector},
        "status": {
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        },
    }


MIRROR = {"kubernetes.io/config.mirror": "hash"}


@pytest.mark.parametrize(
    ("one", "options", "action", "reason"),
    [
        (pod(owners=RS), Options(), "evict", "ReplicaSet/web-1 creates it again"),
        (pod(owners=NODE, annotations=MIRROR), Options(force=True), "skip", "static pod"),
        (pod(annotations=MIRROR, terminating=True), Options(), "skip", "static pod"),
        (pod(owners=DS), Options(), "skip", "DaemonSet/agent"),
        (pod(owners=DS, volumes=EMPTY_DIR), Options(), "skip", "DaemonSet/agent"),
        (pod(owners=DS, phase="Failed"), Options(), "evict", "finished (Failed)"),
        # Owned, but not controlled, by a DaemonSet: nobody would create it again.
        (pod(owners=[{"kind": "DaemonSet", "name": "agent"}]), Options(), "block", "no controller"),
        (pod(phase="Succeeded"), Options(), "evict", "finished"),
        (pod(phase="Succeeded", volumes=EMPTY_DIR), Options(), "evict", "finished"),
        (pod(phase="Pending"), Options(), "block", "force"),
        (pod(), Options(), "block", "force"),
        (pod(), Options(force=True), "evict", "no controller creates it again"),
        (pod(owners=RS, volumes=EMPTY_DIR), Options(), "block", "volume scratch"),
        (pod(owners=RS, volumes=EMPTY_DIR), Options(force=True), "block", "delete_emptydir_data"),
        (pod(owners=RS, volumes=EMPTY_DIR), Options(delete_emptydir_data=True), "evict", "creates it again"),
        (pod(volumes=EMPTY_DIR), Options(delete_emptydir_data=True), "block", "force"),
        (pod(volumes=EMPTY_DIR), Options(force=True, delete_emptydir_data=True), "evict", "(force)"),
        (pod(volumes=[{"name": "data", "persistentVolumeClaim": {}}], owners=RS), Options(), "evict", "creates"),
        (pod(terminating=True), Options(), "await", "already terminating"),
        (pod(terminating=True, volumes=EMPTY_DIR), Options(), "await", "already terminating"),
    ],
)
def test_classify(one, options, action, reason):
    (decision,) = classify([one], "n1", options)
    assert decision.action == action
    assert reason in decision.reason


def test_classify_leaves_other_nodes_out_and_names_every_reason():
    decisions = classify([pod("b", volumes=EMPTY_DIR), pod("c", node="n2"), pod("a", owners=RS)], "n1", Options())
    assert [(d.pod, d.action) for d in decisions] == [("shop/a", "evict"), ("shop/b", "block")]
    assert "emptyDir" in decisions[1].reason
    assert "no controller" in decisions[1].reason


@pytest.mark.parametrize(
    ("selector", "labels", "empty_selects", "expected"),
    [
        (None, {"app": "web"}, True, False),
        ({}, {"app": "web"}, True, True),
        ({}, {"app": "web"}, False, False),
        ({"matchLabels": {"app": "web"}}, {"app": "web", "tier": "front"}, True, True),
        ({"matchLabels": {"app": "web"}}, {"app": "db"}, True, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, {"app": "db"}, True, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, {}, True, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, {}, True, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, {"app": "web"}, True, False),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, {"app": ""}, True, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {"app": ""}, True, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, {}, True, True),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
            {"a": "1"},
            True,
            False,
        ),
    ],
)
def test_selects(selector, labels, empty_selects, expected):
    assert selects(selector, labels, empty_selects=empty_selects) is expected


def test_budgets_cover_only_what_an_eviction_counts():
    web = {"matchLabels": {"app": "web"}}
    labels = {"app": "web"}
    pods = [
        pod("a", labels=labels),
        pod("going", labels=labels, terminating=True),
        pod("done", labels=labels, phase="Succeeded"),
        pod("new", labels=labels, phase="Pending"),
        pod("b", labels=labels, namespace="other"),
    ]
    (found,) = budgets([pdb("web", web, allowed=1), pdb("elsewhere", web, namespace="third")], pods)
    assert found == Budget("shop/web", 1, 2, 2, 2, ("shop/a",))


@pytest.mark.parametrize(("version", "covers"), [("policy/v1", 1), ("policy/v1beta1", 0)])
def test_an_empty_selector_means_all_only_in_v1(version, covers):
    assert len(budgets([pdb(selector={})], [pod()], version)) == covers


@pytest.mark.parametrize(("desired", "expected", "never"), [(2, 2, True), (1, 2, False), (0, 0, False), (3, 2, True)])
def test_a_budget_that_can_never_allow(desired, expected, never):
    assert Budget("shop/b", 0, 2, desired, expected, ()).never_allows is never


def test_two_budgets_over_one_pod_block_it():
    decisions = [
        Decision("shop/a", "1", "evict", ""),
        Decision("shop/b", "2", "evict", ""),
        Decision("shop/c", "3", "skip", ""),
    ]
    both = [
        Budget("shop/x", 1, 2, 1, 2, ("shop/a", "shop/c")),
        Budget("shop/y", 1, 2, 1, 2, ("shop/a", "shop/b", "shop/c")),
    ]
    judged = block_double_budgets(decisions, both)
    assert [d.action for d in judged] == ["block", "evict", "skip"]
    assert "shop/x and shop/y" in judged[0].reason


MASTER = {"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("others", "pods", "expected"),
    [
        ([node("n2")], [pod(owners=RS)], ""),
        ([], [pod(owners=RS)], "the only node"),
        ([], [pod()], ""),  # nobody creates it again: no room needed
        ([], [pod(owners=RS, phase="Succeeded")], ""),
        ([], [], ""),
        ([node("n2", ready="Unknown")], [pod(owners=RS)], "n2 is not Ready"),
        ([node("n2", unschedulable=True)], [pod(owners=RS)], "n2 is cordoned"),
        ([node("n2", taints=[MASTER])], [pod(owners=RS)], "n2 has the taint node-role.kubernetes.io/master:NoSchedule"),
        ([node("n2", taints=[MASTER])], [pod(owners=RS, tolerations=[{"operator": "Exists"}])], ""),
        (
            [node("n2", taints=[MASTER])],
            [pod(owners=RS, tolerations=[{"key": MASTER["key"], "effect": "NoSchedule"}])],
            "",
        ),
        (
            [node("n2", taints=[MASTER])],
            [pod(owners=RS, tolerations=[{"key": "other", "operator": "Exists"}])],
            "taint",
        ),
        ([node("n2", taints=[{"key": "soft", "effect": "PreferNoSchedule"}])], [pod(owners=RS)], ""),
        ([node("n2", ready="False"), node("n3")], [pod(owners=RS)], ""),
    ],
)
def test_room_to_reschedule(others, pods, expected):
    why = room_to_reschedule([node("n1"), *others], "n1", pods)
    assert expected in why if expected else why == ""


def test_explain_stuck_names_budget_and_pods():
    slow = pod("slow", terminating=True)
    slow["metadata"].update(deletionGracePeriodSeconds=600, finalizers=["example.org/keep"])
    message = explain_stuck(
        "n1",
        600,
        [pod("a", labels={"app": "web"}), slow, pod("odd")],
        [Budget("shop/web", 0, 2, 1, 3, ("shop/a",))],
        {"shop/a": "The disruption budget web needs 2 healthy pods", "shop/odd": "too many requests"},
    )
    assert (
        "PodDisruptionBudget shop/web allows 0 disruptions now (2 healthy, 1 wanted, 3 in all) and holds shop/a;"
        in message
    )
    assert "shop/slow was evicted and is still terminating (grace period 600 s; finalizers example.org/keep)" in message
    assert "the eviction of shop/odd was refused: too many requests" in message
    assert message.startswith("Node n1 is not drained after 600 s: ")


def note(was):
    return {NOTE_ANNOTATION: json.dumps({"by": "first", "reason": "r", "at": "t", "was_unschedulable": was})}


@pytest.mark.parametrize(
    ("one", "patched", "noted", "was"),
    [
        (node(), True, False, False),
        (node(unschedulable=True), True, True, True),
        (node(unschedulable=True, annotations=note(False)), False, None, False),
        (node(unschedulable=True, annotations=note(True)), False, None, True),
        (node(annotations=note(False)), True, None, False),  # opened meanwhile: closed again, the first note stays
        (node(annotations=note(True)), True, False, False),  # opened by somebody since: that is how it was before us
        (node(unschedulable=True, annotations={NOTE_ANNOTATION: "garbage"}), False, None, True),
    ],
)
def test_cordon(one, patched, noted, was):
    patch, was_unschedulable = cordon_patch(one, "second", "r", "t")
    assert was_unschedulable is was
    assert (patch is not None) is patched
    if patch:
        assert patch["spec"] == {"unschedulable": True}
        text = (patch.get("metadata") or {}).get("annotations", {}).get(NOTE_ANNOTATION)
        assert (json.loads(text)["was_unschedulable"] if text else None) is noted


@pytest.mark.parametrize(
    ("one", "force", "opens", "removes_note", "says"),
    [
        (node(unschedulable=True, annotations=note(False)), False, True, True, "takes pods again"),
        (node(unschedulable=True, annotations=note(True)), False, False, True, "as it was before"),
        (node(unschedulable=True, annotations=note(True)), True, True, True, "takes pods again"),
        (node(unschedulable=True), False, False, False, "unshim did not cordon it"),
        (node(unschedulable=True), True, True, False, "takes pods again"),
        (node(), False, False, False, "already"),
        (node(annotations=note(False)), False, False, True, "already"),
        (node(unschedulable=True, annotations={NOTE_ANNOTATION: "[]"}), False, False, True, "as it was before"),
    ],
)
def test_uncordon(one, force, opens, removes_note, says):
    patch, sentence = uncordon_patch(one, force)
    assert says in sentence
    assert ("spec" in (patch or {})) is opens
    assert ((patch or {}).get("metadata") == {"annotations": {NOTE_ANNOTATION: None}}) is removes_note


def test_a_drain_that_lost_the_api_server_says_so_and_not_what_it_cannot_know():
    from ansible.module_utils.unshim_kube.errors import Unreachable
    from ansible.module_utils.unshim_kube.eviction import Leaving

    import node_drain

    class Module:
        params: ClassVar = {"timeout": 20}

    class Api:
        def get(self, path, retry_for):
            raise Unreachable("The Kubernetes API server at https://x could not be asked: connection refused.")

    pods = [Leaving("shop/web", "1", accepted=True), Leaving("shop/store", "2")]
    error = node_drain.stuck(Module, Api(), "w1", pods, {}, [], {}, "policy/v1")
    assert "not drained after 20 s" in error.message and "could not be asked: connection refused" in error.message
    assert "shop/store, shop/web had not left" in error.message and "terminating" not in error.message
    assert error.details["left"] == ["shop/store", "shop/web"]
