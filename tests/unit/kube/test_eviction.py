"""Evicting pods: what is tried again, what is not, and which pod is meant."""

import threading
import time

import pytest

from unshim_kube.errors import KubeError, Refused, Unreachable
from unshim_kube.eviction import Leaving, PodsOfNode, empty
from unshim_kube.node_view import budget_version, eviction_version

BUDGET = (
    {"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2 currently"},
)


def refused(status, said="", causes=()):
    return Refused(f"refused ({status})", status, said, "", tuple(causes))


class Cluster:
    """Pods on one node; evicting one answers with its scripted errors, then removes it."""

    def __init__(self, pods, errors=None, lingering=()):
        self.pods = {
            name: {"metadata": {"namespace": "shop", "name": name, "uid": "uid-" + name, "resourceVersion": "1"}}
            for name in pods
        }
        self.errors = {name: list(answers) for name, answers in (errors or {}).items()}
        self.lingering = lingering
        self.posts = []
        self.events = []
        self.lock = threading.Condition()

    def list_with_version(self, path, *, retry_for=None, **query):
        assert (path, query) == ("/api/v1/pods", {"fieldSelector": "spec.nodeName=n1"})
        return list(self.pods.values()), "1"

    def watch(self, path, *, seconds, **query):
        seen = 0
        while True:
            with self.lock:
                if len(self.events) == seen:
                    self.lock.wait(timeout=5)
                fresh = self.events[seen:]
            seen += len(fresh)
            yield from fresh

    def post(self, path, body, *, retry_for):
        name = body["metadata"]["name"]
        with self.lock:
            self.posts.append((name, body, retry_for))
            if self.errors.get(name):
                raise self.errors[name].pop(0)
            if name not in self.lingering:
                self.events.append({"type": "DELETED", "object": self.pods.pop(name)})
                self.lock.notify_all()
        return {}


def drain(cluster, names, seconds=10.0, grace_period=-1, accepted=()):
    leaving = [Leaving(f"shop/{name}", f"uid-{name}", accepted=name in accepted) for name in names]
    with PodsOfNode(cluster, "n1") as node:
        left = empty(cluster, node, leaving, "policy/v1beta1", grace_period, time.monotonic() + seconds)
    return leaving, [pod.name for pod in left]


def test_all_leave_at_once_and_each_is_asked_for_by_uid():
    cluster = Cluster("abcdefghijklmnopqrstuvwxyz")
    leaving, left = drain(cluster, "abcdefghijklmnopqrstuvwxyz")
    assert left == []
    assert all(pod.gone_after is not None and pod.gone_after < 5 for pod in leaving)
    assert len(cluster.posts) == 26
    _name, body, retry_for = next(post for post in cluster.posts if post[0] == "c")
    assert body == {
        "apiVersion": "policy/v1beta1",
        "kind": "Eviction",
        "metadata": {"name": "c", "namespace": "shop"},
        "deleteOptions": {"preconditions": {"uid": "uid-c"}},
    }
    assert retry_for == 0


def test_the_grace_period_is_passed_on():
    cluster = Cluster("a")
    drain(cluster, "a", grace_period=0)
    assert cluster.posts[0][1]["deleteOptions"]["gracePeriodSeconds"] == 0


def test_a_budget_is_asked_again_and_holds_up_nobody_else():
    cluster = Cluster("ab", {"a": [refused(429, "Cannot evict", BUDGET)] * 2})
    leaving, left = drain(cluster, "ab")
    assert left == []
    held, free = leaving
    assert (held.refusals, held.refusal) == (2, "")
    assert held.last_refusal == BUDGET[0]["message"]
    assert 1.4 < held.gone_after < 4  # pauses of 0.5 s and 1 s
    assert free.gone_after < 0.5


def test_at_the_deadline_the_held_pods_are_returned():
    cluster = Cluster("ab", {"a": [refused(429, "Cannot evict", BUDGET)] * 99}, lingering="b")
    leaving, left = drain(cluster, "ab", seconds=1.2)
    assert left == ["shop/a", "shop/b"]
    assert leaving[0].refusal == BUDGET[0]["message"]
    assert (leaving[1].accepted, leaving[1].refusal) == (True, "")


@pytest.mark.parametrize(
    "error",
    [
        refused(409, "changed"),
        refused(503),
        refused(429, "too many requests"),
        refused(403, "being terminated", [{"reason": "NamespaceTerminating"}]),
        Unreachable("away"),
    ],
)
def test_what_passes_is_tried_again(error):
    cluster = Cluster("a", {"a": [error]})
    assert drain(cluster, "a")[1] == []
    assert len(cluster.posts) == 2


@pytest.mark.parametrize(
    "error",
    [
        refused(403, "forbidden"),
        refused(422, "invalid"),
        refused(500, "This pod has more than one PodDisruptionBudget, which ..."),
    ],
)
def test_what_never_passes_ends_the_drain(error):
    with pytest.raises(KubeError, match="The eviction of pod shop/a was refused for good"):
        drain(Cluster("a", {"a": [error]}), "a")


def test_a_terminating_pod_is_only_waited_for():
    cluster = Cluster("a")
    assert drain(cluster, "a", seconds=0.3, accepted="a")[1] == ["shop/a"]
    assert cluster.posts == []


def test_a_namesake_elsewhere_is_not_waited_for():
    cluster = Cluster("a")
    cluster.pods["a"]["metadata"]["uid"] = "another"
    assert drain(cluster, "a")[1] == []
    assert cluster.posts == []


class Discovery:
    server = "https://here"

    def __init__(self, **answers):
        self.answers = answers

    def get(self, path):
        return self.answers[path.strip("/").replace("/", "_").replace(".", "_")]


def group(*versions):
    return {"groups": [{"name": "policy", "versions": [{"groupVersion": version} for version in versions]}]}


BUDGETS, OTHER = {"resources": [{"name": "poddisruptionbudgets"}]}, {"resources": [{"name": "podsecuritypolicies"}]}


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        (Discovery(apis=group("policy/v1beta1"), apis_policy_v1beta1=BUDGETS), "policy/v1beta1"),  # 1.20
        (Discovery(apis=group("policy/v1", "policy/v1beta1"), apis_policy_v1=BUDGETS), "policy/v1"),  # 1.21 to 1.24
        (Discovery(apis=group("policy/v1"), apis_policy_v1=BUDGETS), "policy/v1"),
        (Discovery(apis=group("policy/v1beta1"), apis_policy_v1beta1=OTHER), ""),
        (Discovery(apis={"groups": []}), ""),
    ],
)
def test_budgets_are_read_as_what_the_server_has(api, expected):
    assert budget_version(api) == expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1beta1"}, "policy/v1beta1"),
        ({"name": "pods/eviction", "kind": "Eviction", "group": "policy", "version": "v1"}, "policy/v1"),
    ],
)
def test_evictions_are_of_the_version_the_server_takes(resource, expected):
    assert eviction_version(Discovery(api_v1={"resources": [{"name": "pods", "kind": "Pod"}, resource]})) == expected


def test_a_server_without_evictions():
    with pytest.raises(KubeError, match="cannot evict pods"):
        eviction_version(Discovery(api_v1={"resources": []}))
