"""A node and its pods are waited for by listening: when a change is heard, what is asked again, and when not to be believed."""

import queue
import threading
import time

import pytest

from unshim_kube import canary, followed, node_ready, node_view
from unshim_kube.errors import KubeError, NoSuchNode, Refused, Unreachable

NODES, PODS = "/api/v1/nodes", "/api/v1/pods"
SOON = 5.0  # s; what is waited for comes at once, however busy the machine


def node(runtime="docker://20.10", ready="True", uid="n1", version="1"):
    return {
        "metadata": {"name": "w1", "uid": uid, "resourceVersion": version},
        "spec": {},
        "status": {
            "nodeInfo": {"containerRuntimeVersion": runtime},
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def daemon_pod(runtime):
    return {
        "metadata": {
            "name": "agent-x", "namespace": "shop", "uid": "p1", "resourceVersion": "1",
            "ownerReferences": [{"kind": "DaemonSet", "name": "agent", "controller": True}],
        },
        "spec": {"containers": [{"name": "main"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "main", "containerID": f"{runtime}://1", "state": {"running": {}}}],
        },
    }  # fmt: skip


class Cluster:
    """Lists and watches whose answers a test gives; an exception among them is raised."""

    server = "https://192.0.2.1:6443"

    def __init__(self, **lists):
        self.lists = {NODES: lists.get("nodes", []), PODS: lists.get("pods", [])}
        self.events = {NODES: queue.Queue(), PODS: queue.Queue()}
        self.asked = {NODES: 0, PODS: 0}

    def list_with_version(self, path, *, retry_for=None, **query):
        assert query in ({"fieldSelector": "metadata.name=w1"}, {"fieldSelector": "spec.nodeName=w1"})
        self.asked[path] += 1
        if isinstance(self.lists[path], Exception):
            raise self.lists[path]
        return list(self.lists[path]), "1"

    def list_objects(self, path, **_):
        return []

    def watch(self, path, *, seconds, **_query):
        while True:
            event = self.events[path].get()
            if isinstance(event, Exception):
                raise event
            yield event

    def tell(self, path, kind, thing):
        self.events[path].put({"type": kind, "object": thing})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(followed, "AGAIN", 0.01)
    monkeypatch.setattr(node_ready, "PAUSE", 0.05)


def until(look):
    deadline = time.monotonic() + SOON
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def follow(cluster):
    return followed.Followed(cluster, NODES, fieldSelector="metadata.name=w1")


def test_objects_are_what_was_listed_and_then_heard():
    cluster = Cluster(nodes=[node()])
    with follow(cluster) as seen:
        assert list(seen.objects()) == ["n1"]
        cluster.tell(NODES, "MODIFIED", node("containerd://1.6"))
        until(lambda: seen.objects()["n1"]["status"]["nodeInfo"]["containerRuntimeVersion"] == "containerd://1.6")
        cluster.tell(NODES, "DELETED", node())
        cluster.tell(NODES, "ADDED", node(uid="n2"))
        until(lambda: list(seen.objects()) == ["n2"])
    assert cluster.asked[NODES] == 1


def test_a_change_before_the_wait_ends_it_at_once():
    seen = follow(Cluster(nodes=[node()]))
    seen.wait(SOON)  # of the list
    seen.pulse.beat()
    began = time.monotonic()
    seen.wait(60)
    assert time.monotonic() - began < SOON
    seen.wait(0.01)  # nothing new


def test_a_watch_that_is_too_old_begins_with_a_new_list():
    cluster = Cluster(nodes=[node()])
    with follow(cluster) as seen:
        cluster.lists[NODES] = [node(uid="n3")]
        cluster.tell(NODES, "ERROR", {"code": 410})
        until(lambda: list(seen.objects()) == ["n3"])
        assert seen.is_current


def test_who_may_not_watch_lists_again():
    cluster = Cluster(nodes=[node()])
    with follow(cluster) as seen:
        cluster.lists[NODES] = [node(uid="n4")]
        cluster.events[NODES].put(Refused("may not watch", 403))
        until(lambda: list(seen.objects()) == ["n4"])
        assert seen.is_current


def test_nothing_is_believed_while_the_api_is_away():
    cluster = Cluster(nodes=[node()])
    with follow(cluster) as seen:
        cluster.lists[NODES] = Unreachable("connection refused")
        cluster.events[NODES].put(Unreachable("it closed the connection"))
        until(lambda: not seen.is_current)
        cluster.lists[NODES] = [node()]
        cluster.events[NODES].put({"type": "ERROR", "object": {}})
        until(lambda: seen.is_current)


def wait(cluster, **params):
    given = {"node_name": "w1", "runtime": "containerd", "newer_than": 0.0, "static_pods_runtime": "", "known_as": None}
    asked = node_ready.Asked({**given, "pods_back": True, "before": None, "timeout": SOON, **params})
    return node_ready.wait_ready(asked, cluster, time.monotonic())


def test_ready_is_heard_and_not_asked_for():
    cluster = Cluster(nodes=[node()], pods=[daemon_pod("docker")])
    cluster.tell(NODES, "MODIFIED", node("containerd://1.6", "False"))
    cluster.tell(NODES, "MODIFIED", node("containerd://1.6"))
    cluster.tell(PODS, "MODIFIED", daemon_pod("containerd"))
    found, pods, missing = wait(cluster)
    assert found["status"]["nodeInfo"]["containerRuntimeVersion"] == "containerd://1.6"
    assert missing == [] and [pod["metadata"]["uid"] for pod in pods] == ["p1"]
    assert cluster.asked == {NODES: 1, PODS: 1}


def test_what_is_missing_is_told_at_the_end():
    cluster = Cluster(nodes=[node("containerd://1.6")], pods=[daemon_pod("docker")])
    with pytest.raises(KubeError, match="agent-x still shows a container of docker"):
        wait(cluster, timeout=0.3)
    with pytest.raises(KubeError, match="agent-x still shows a container of docker"):
        wait(cluster, timeout=0)  # one look at least


def test_an_api_that_went_away_is_the_reason_and_not_what_it_last_said():
    cluster = Cluster(nodes=[node()])
    cluster.events[NODES].put(Unreachable("it closed the connection"))
    real, cluster.lists[NODES] = cluster.lists[NODES], None
    answers = [real, Unreachable("connection refused")]
    listed = cluster.list_with_version

    def once(path, **query):
        if path == NODES:
            cluster.lists[NODES] = answers.pop(0) if len(answers) > 1 else answers[0]
        return listed(path, **query)

    cluster.list_with_version = once
    with pytest.raises(KubeError, match=r"the API server is away \(connection refused\)"):
        wait(cluster, timeout=0.5)


def test_a_node_that_comes_back_is_waited_for():
    cluster = Cluster(nodes=[])
    listed = cluster.list_with_version

    def registered_later(path, **query):
        if cluster.asked[NODES] == 2:
            cluster.lists[NODES] = [node("containerd://1.6")]
        return listed(path, **query)

    cluster.list_with_version = registered_later
    assert wait(cluster)[2] == []
    assert cluster.asked[NODES] >= 2


def test_a_node_that_is_gone_is_named():
    with (
        node_view.NodeAndPods(Cluster(), "w1", retry_for=0) as seen,
        pytest.raises(NoSuchNode, match="no node named w1"),
    ):
        seen.node()


class OnePod(Cluster):
    """Has the canary's pod, and hears of its deletion; `read` is what asks for it."""

    PODS = "/api/v1/namespaces/default/pods"

    def __init__(self):
        super().__init__()
        self.pod = {"metadata": {"name": "canary", "uid": "c1", "resourceVersion": "1"}, "status": {"phase": "Pending"}}
        self.lists, self.asked = {self.PODS: [self.pod]}, {self.PODS: 0}
        self.told, self.reads = [], 0

    def list_with_version(self, path, *, retry_for=None, **query):
        assert query == {"fieldSelector": "metadata.name=canary"}
        self.asked[path] += 1
        return list(self.lists[path]), str(len(self.told))

    def watch(self, path, *, seconds, resourceVersion, **_query):
        ends, place = time.monotonic() + SOON, int(resourceVersion)
        while time.monotonic() < ends:
            if len(self.told) > place:
                yield self.told[place]
                place += 1
            time.sleep(0.005)

    def tell(self, path, kind, thing):
        self.told.append({"type": kind, "object": thing})

    def get(self, path, **_):
        self.reads += 1
        if not self.lists[self.PODS]:
            raise Refused("not found", 404)
        return self.pod

    def post(self, path, body, **_):
        return body

    def patch(self, path, body, **_):
        return body

    def delete(self, path, **_):
        self.lists[self.PODS] = []
        self.tell(self.PODS, "MODIFIED", {**self.pod, "metadata": {**self.pod["metadata"], "deletionTimestamp": "now"}})
        self.tell(self.PODS, "DELETED", self.pod)


def canary_pod(cluster):
    return canary.Canary(cluster, {"metadata": {"namespace": "default", "name": "canary"}}, SOON)


def test_a_canary_is_heard_running_and_gone():
    cluster = OnePod()
    running = {**cluster.pod, "status": {"phase": "Running"}}
    with canary_pod(cluster) as pod:
        threading.Timer(0.1, lambda: cluster.tell(cluster.PODS, "MODIFIED", running)).start()
        seen, why = pod.wait(lambda pod: pod["status"]["phase"] == "Running", lambda _: "", SOON)
        assert (seen["status"]["phase"], why, cluster.reads) == ("Running", "", 0)
        assert pod.delete() < SOON
    assert pod.last["metadata"]["name"] == "canary"
    # Gone for certain: that is asked, once.
    assert cluster.reads == 1


def test_a_canary_that_stays_is_given_up_in_time(monkeypatch):
    cluster = OnePod()
    monkeypatch.setattr(OnePod, "delete", lambda self, path, **_: None)
    pod = canary_pod(cluster)
    pod._delete_timeout = 0.2
    began = time.monotonic()
    with pod:
        seen, why = pod.wait(lambda _: False, lambda _: "", 0.2)
        assert (seen["status"]["phase"], why) == ("Pending", "")
        assert pod.delete() is None
    assert time.monotonic() - began < SOON


class Lingering(OnePod):
    """Its kubelet takes the pod off the API when it is made to look ``looks`` times, as one before 1.22 does within 10 s."""

    def __init__(self, looks):
        super().__init__()
        self.looks, self.asked_at = looks, []

    def delete(self, path, **_):
        self.tell(self.PODS, "MODIFIED", {**self.pod, "metadata": {**self.pod["metadata"], "deletionTimestamp": "now"}})

    def patch(self, path, body, *, retry_for):
        assert (list(body), list(body["metadata"]), retry_for) == (["metadata"], ["annotations"], 0)
        self.asked_at.append(time.monotonic())
        self.tell(self.PODS, "MODIFIED", self.pod)  # one's own change is heard, too
        if len(self.asked_at) == self.looks:
            OnePod.delete(self, path)


def test_a_kubelet_is_made_to_look_again_at_a_pod_that_lingers(monkeypatch):
    monkeypatch.setattr(canary, "NUDGE_EVERY", 0.1)
    cluster = Lingering(looks=3)
    with canary_pod(cluster) as pod:
        assert pod.delete() < SOON
    assert len(cluster.asked_at) == 3
    # What one's own change wakes does not change it again at once.
    assert all(later - one > 0.09 for one, later in zip(cluster.asked_at, cluster.asked_at[1:], strict=False))


def test_who_may_not_change_pods_waits_for_them(monkeypatch):
    monkeypatch.setattr(canary, "NUDGE_EVERY", 0.05)
    cluster = Lingering(looks=0)

    def refused(path, body, *, retry_for):
        cluster.asked_at.append(0)
        if len(cluster.asked_at) == 3:
            OnePod.delete(cluster, path)
        raise Refused("may not patch pods", 403)

    cluster.patch = refused
    with canary_pod(cluster) as pod:
        assert pod.delete() < SOON
