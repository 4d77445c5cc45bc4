"""Where pods can go: what keeps them off a node, and what a node has left."""

from decimal import Decimal

import pytest
from cluster_objects import node, pod

from unshim import room


@pytest.mark.parametrize(
    "text,value",
    [("1", 1), ("100m", "0.1"), ("1.5Gi", 1610612736), ("128Mi", 134217728), ("1e3", 1000), ("2E", "2e18"), ("1Ei", 2**60),
     ("500k", 500000), ("12E3", 12000), (3, 3), ("0", 0), ("100n", "1e-7")],
)  # fmt: skip
def test_quantities(text, value):
    assert room.quantity(text) == Decimal(value)


def test_requests_count_init_containers_and_overhead():
    asking = pod("a", cpu="100m", memory="64Mi", overhead={"memory": "1Mi"})
    asking["spec"]["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "1", "memory": "32Mi"}}}]
    assert room.requests(asking) == {"pods": 1, "cpu": 1, "memory": 65 * 1024**2}


def why(nodes, pods, leaving, *without):
    return room.explain_no_room(nodes, pods, leaving, without)


def test_a_pod_goes_where_it_fits():
    big = pod("big", memory="3Gi")
    assert why([node("w1"), node("w2")], [big], [big], "w1") == ""
    full = pod("full", on="w2", memory="2Gi")
    said = why([node("w1"), node("w2")], [big, full], [big], "w1")
    assert said == "the other nodes have no room for shop/big (memory 3072Mi) (w2: cpu 2, memory 2048Mi, 109 pods free)"


def test_small_pods_share_what_is_left():
    pods = [pod(f"p{n}", memory="1Gi") for n in range(8)]
    nodes = [node("w1"), node("w2"), node("w3")]
    assert why(nodes, pods, pods, "w1") == ""
    one_more = [*pods, pod("p8", memory="1Gi")]
    assert "no room for shop/p" in why(nodes, one_more, one_more, "w1")


def test_a_full_node_has_no_pods_to_give():
    small = node("w2")
    small["status"]["allocatable"]["pods"] = "1"
    assert "0 pods free" in why([node("w1"), small], [pod("x", on="w2"), pod("a")], [pod("a")], "w1")


def test_taints_and_tolerations():
    tainted = node("w2", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    assert "no room" in why([node("w1"), tainted], [], [pod("a")], "w1")
    tolerant = pod("a", tolerations=[{"key": "gpu", "operator": "Exists"}])
    assert why([node("w1"), tainted], [], [tolerant], "w1") == ""
    preferred = node("w2", taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])
    assert why([node("w1"), preferred], [], [pod("a")], "w1") == ""


@pytest.mark.parametrize(
    "constraint",
    [
        {"nodeSelector": {"kubernetes.io/hostname": "w1"}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["w1"]}]}]}}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w1"]}]}]}}}},
        {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}}},
    ],
)  # fmt: skip
def test_a_pod_tied_to_its_node_waits_for_it(constraint):
    assert why([node("w1"), node("w2", closed=False)], [], [pod("store", memory="99Gi", **constraint)], "w1") == ""


def test_a_selector_that_others_satisfy_needs_room_there():
    chosen = node("w2")
    chosen["metadata"]["labels"]["disk"] = "ssd"
    wants = pod("a", memory="3Gi", nodeSelector={"disk": "ssd"})
    assert why([node("w1"), chosen, node("w3")], [], [wants], "w1") == ""
    assert "no room" in why([node("w1"), chosen, node("w3")], [pod("x", on="w2", memory="2Gi")], [wants], "w1")


def test_host_ports_are_taken_once():
    edges = [pod("a", port=8090), pod("b", port=8090)]
    assert why([node("w1"), node("w2"), node("w3")], edges, edges, "w1") == ""
    assert "host port 8090" in why([node("w1"), node("w2")], edges, edges, "w1")


def test_nodes_that_take_nothing():
    said = why([node("w1"), node("w2", closed=True), node("w3", ready="False")], [], [pod("a")], "w1")
    assert said == "no node is left for shop/a (no requests): none of the others is Ready and takes pods"
    said = why([node("w1")], [], [pod("a")], "w1")
    assert said == "w1 is the only node of the cluster, so shop/a (no requests) could run nowhere else"
    said = why([node("w1"), node("w2")], [], [pod("a")], "w1", "w2")
    assert said == "no node is left for shop/a (no requests): w1, w2 would all be closed"


def test_what_needs_no_room():
    unmanaged, finished, leaving = pod("a", owner=""), pod("b"), pod("c")
    finished["status"]["phase"] = "Succeeded"
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert why([node("w1")], [], [unmanaged, finished, leaving], "w1") == ""


@pytest.mark.parametrize("operator,values,expected", [("Gt", ["3"], True), ("Gt", ["5"], False), ("Lt", ["5"], True),
                                                      ("Lt", ["x"], False), ("NotIn", ["4"], False), ("DoesNotExist", [], False)])  # fmt: skip
def test_node_affinity_operators(operator, values, expected):
    one = node("w2")
    one["metadata"]["labels"]["cores"] = "4"
    term = {"matchExpressions": [{"key": "cores", "operator": operator, "values": values}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert room.wants_node(pod("a", affinity={"nodeAffinity": required}), one) is expected
