"""When a node is good enough: on a control-plane node as the API of a v1.20 cluster showed it, and on tables."""

import copy
import json
from pathlib import Path

import pytest

from unshim import node_gate
from unshim.node_gate import Want, address_gate, cgroup_gate, compare, missing, snapshot, summarize, unix_time

DATA = Path(__file__).parent / "data"
NODE = json.loads((DATA / "node_control_plane_docker.json").read_text())
PODS = json.loads((DATA / "pods_control_plane_docker.json").read_text())
DOCKER = Want("docker", static_pods_runtime="docker", pods_back=True)
CONTAINERD = Want("containerd", static_pods_runtime="containerd", pods_back=True)


def moved():
    """The same node and pods, every container on containerd."""
    node = copy.deepcopy(NODE)
    node["status"]["nodeInfo"]["containerRuntimeVersion"] = "containerd://1.6.20"
    pods = copy.deepcopy(PODS)
    for pod in pods:
        for container in pod["status"]["containerStatuses"]:
            container["containerID"] = container["containerID"].replace("docker://", "containerd://")
    return node, pods


def ready(node, **changes):
    condition = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    condition.update(changes)
    return node


def test_summarize_a_real_node():
    facts = summarize(NODE)
    assert (facts["name"], facts["runtime"], facts["runtime_version"]) == ("unshim-cp1", "docker", "20.10.24+dfsg1")
    assert (facts["kubelet_version"], facts["ready"], facts["is_control_plane"]) == ("1.20.2", True, True)
    assert facts["pod_cidrs"] == ["10.244.0.0/24"]
    assert facts["addresses"]["Hostname"] == ["unshim-cp1"]
    assert facts["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"] == "/var/run/dockershim.sock"
    assert facts["conditions"]["Ready"]["reason"] == "KubeletReady"


def test_nothing_is_missing_before_the_move_nor_after_it():
    assert missing(NODE, PODS, DOCKER) == []
    assert missing(*moved(), CONTAINERD) == []


def test_stale_mirror_pods_are_not_believed():
    node, _ = moved()
    reasons = missing(node, PODS, Want("containerd", static_pods_runtime="containerd"))
    assert len(reasons) == 4
    assert all("still shows a container of docker" in reason and reason.startswith("static pod") for reason in reasons)


def test_a_daemonset_pod_counts_only_if_asked_for():
    node, pods = moved()
    proxy = next(pod for pod in pods if pod["metadata"]["name"].startswith("kube-proxy"))
    proxy["status"]["containerStatuses"][0]["state"] = {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}
    }
    (reason,) = missing(node, pods, CONTAINERD)
    assert "DaemonSet/kube-proxy pod" in reason
    assert "waiting, CrashLoopBackOff: back-off" in reason
    assert missing(node, pods, Want("containerd", static_pods_runtime="containerd")) == []
    # It did not run before either: not the move's fault.
    before = snapshot(pods)
    assert missing(node, pods, CONTAINERD, before) == []
    proxy["metadata"]["name"] = "kube-proxy-other"
    assert missing(node, pods, CONTAINERD, before) == []
    proxy["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert missing(node, pods, CONTAINERD) == []


@pytest.mark.parametrize(
    ("condition", "newer_than", "expected"),
    [
        (
            {"status": "False", "reason": "KubeletNotReady", "message": "network plugin is not ready"},
            0,
            "Ready is False (KubeletNotReady: network",
        ),
        ({"status": "Unknown"}, 0, "Ready is Unknown"),
        (
            {"lastHeartbeatTime": "2026-01-01T00:00:00Z"},
            unix_time("2026-01-01T00:00:01Z"),
            "before the kubelet was restarted",
        ),
        ({"lastHeartbeatTime": "2026-01-01T00:00:00Z"}, unix_time("2026-01-01T00:00:00Z"), ""),
        ({"lastHeartbeatTime": "2026-01-01T00:00:00Z"}, 0, ""),
    ],
)
def test_ready_must_be_true_and_fresh(condition, newer_than, expected):
    node, pods = moved()
    reasons = missing(ready(node, **condition), pods, Want("containerd", newer_than=newer_than))
    assert [expected in reason for reason in reasons] == ([True] if expected else [])


def test_a_node_that_reports_nothing():
    assert missing({"metadata": {"name": "n"}}, [], Want("containerd")) == [
        "Ready is not reported",
        "its runtime is still not reported",
    ]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "has no containers yet"),
        ([{"name": "a", "containerID": "containerd://1", "state": {"running": {}}}], "has no containers yet"),
        (
            [
                {"name": "a", "containerID": "containerd://1", "state": {"running": {}}},
                {"name": "b", "containerID": "docker://2", "state": {"running": {}}},
            ],
            "still shows a container of docker (b)",
        ),
        (
            [
                {"name": "a", "containerID": "containerd://1", "state": {"running": {}}},
                {"name": "b", "containerID": "containerd://2", "state": {"terminated": {"reason": "Error"}}},
            ],
            "container b terminated, Error",
        ),
        (
            [
                {"name": "a", "containerID": "containerd://1", "state": {"running": {}}},
                {"name": "b", "containerID": "containerd://2", "state": {"running": {}}},
            ],
            "",
        ),
    ],
)
def test_pod_problem(statuses, expected):
    pod = {
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }
    problem = node_gate.pod_problem(pod, "containerd")
    assert expected in problem if expected else problem == ""


def entry(owner="DaemonSet/agent", static=False, running=True, identity="containerd://1"):
    return {
        "owner": owner,
        "static": static,
        "phase": "Running" if running else "Pending",
        "ready": running,
        "running": running,
        "restarts": 0,
        "containers": {"c": identity},
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"ns/agent-1": entry()}, {"ns/agent-2": entry()}, []),
        ({"ns/agent-1": entry()}, {"other/agent-2": entry()}, ["the pod of DaemonSet/agent in ns is gone"]),
        ({"ns/agent-1": entry()}, {}, ["the pod of DaemonSet/agent in ns is gone"]),
        (
            {"ns/agent-1": entry()},
            {"ns/agent-1": entry(running=False)},
            ["the pod of DaemonSet/agent in ns does not run (phase Pending)"],
        ),
        ({"ns/agent-1": entry(running=False)}, {}, []),
        ({"ns/web": entry("ReplicaSet/web")}, {}, []),
        ({"ns/etcd": entry("Node/n", True)}, {"ns/etcd": entry("Node/n", True)}, []),
        ({"ns/etcd": entry("Node/n", True)}, {}, ["static pod ns/etcd is gone"]),
        (
            {"ns/etcd": entry("Node/n", True)},
            {"ns/etcd": entry("Node/n", True, identity="docker://1")},
            ["static pod ns/etcd still shows containers of another runtime than containerd"],
        ),
    ],
)
def test_compare(before, after, expected):
    assert compare(before, after, "containerd") == expected


def bound(address, node="n2", **spec):
    return {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": dict(spec, nodeName=node),
        "status": {"podIP": address, "phase": "Running"},
    }


NODES = [
    {"metadata": {"name": "n1"}, "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:1::/64"]}},
    {"metadata": {"name": "n2"}, "spec": {"podCIDR": "10.244.2.0/24"}},
]


@pytest.mark.parametrize(
    ("address", "pods", "passed"),
    [
        ("10.244.1.7", [], True),
        ("fd00:1::7", [], True),
        ("", [], False),
        ("10.88.0.3", [], False),
        ("10.88.0.3", [bound("10.244.2.9")], False),
        ("192.168.7.3", [bound("192.168.9.9")], True),  # a plugin with its own address management
        ("10.88.0.3", [bound("10.0.0.2", hostNetwork=True)], False),
        ("10.88.0.3", [bound("10.88.0.2", node="n1")], False),  # the same node's pods prove nothing
    ],
)
def test_address_gate(address, pods, passed):
    assert address_gate(address, NODES[0], pods, NODES).passed is passed


def test_address_gate_without_ranges():
    assert address_gate("10.1.2.3", {"metadata": {"name": "n"}, "spec": {}}, [], []).passed is True


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("11:memory:/kubepods/burstable/pod1/abc\n1:name=systemd:/kubepods/burstable/pod1/abc", True),
        ("0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1.scope", True),
        ("12:cpu:/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:abc", False),
        ("0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/abc", False),
        ("5:cpuset:/\n4:memory:/node1/kubepods/besteffort/pod1/abc", True),
        ("0::/", None),
        ("0::/../../pod1/abc", None),
        ("11:memory:/system.slice/docker.service/abc", False),
        ("", None),
        ("cat: can't open '/proc/1/cgroup': Permission denied", None),
    ],
)
def test_cgroup_gate(text, passed):
    assert cgroup_gate(text).passed is passed
