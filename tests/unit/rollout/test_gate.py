"""The gate before a batch and the soak after one, against an API that changes while they look."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest
from cluster_objects import node, pod

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plugins(monkeypatch):
    """Import the actions as Ansible does, from their files."""
    from importlib.util import module_from_spec, spec_from_file_location

    def load(name):
        specification = spec_from_file_location(f"tested_{name}", ROOT / "action_plugins" / f"{name}.py")
        module = module_from_spec(specification)
        monkeypatch.setattr(sys, "path", list(sys.path))
        specification.loader.exec_module(module)
        return module

    return load


class Cluster:
    """What the API server shows; ``later`` are (seconds, change) to come."""

    server = "https://test"

    def __init__(self, nodes, pods=(), budgets=(), later=()):
        self.nodes, self.pods, self.budgets = list(nodes), list(pods), list(budgets)
        self.later = [(time.monotonic() + seconds, change) for seconds, change in later]
        self.asked = []

    def _now(self):
        while self.later and self.later[0][0] <= time.monotonic():
            self.later.pop(0)[1](self)

    def get(self, path, **_query):
        self.asked.append(path)
        if path == "/apis":
            return {"groups": [{"name": "policy", "versions": [{"groupVersion": "policy/v1"}]}]}
        return {"resources": [{"name": "poddisruptionbudgets"}]}

    def list_objects(self, path, **query):
        self.asked.append(path)
        self._now()
        if path.endswith("/nodes"):
            return list(self.nodes)
        if path.endswith("budgets"):
            return list(self.budgets)
        return [
            p
            for p in self.pods
            if query.get("fieldSelector", "").rpartition("=")[2] in (p["spec"]["nodeName"], "Failed")
        ]

    def watch(self, path, *, seconds, **_query):
        time.sleep(0.05)
        return iter(())


def unready(cluster):
    cluster.nodes[1]["status"]["conditions"][0]["status"] = "False"


def ready(cluster):
    cluster.nodes[1]["status"]["conditions"][0]["status"] = "True"


@pytest.fixture
def gate(plugins, monkeypatch):
    module = plugins("rollout_gate")

    def make(cluster, **arguments):
        said = []
        monkeypatch.setattr(module.action_run, "connect", lambda *_args, **_kwargs: cluster)
        made = module.Gate(
            {"nodes": ["w1"], "name": "batch 1", "timeout": 30, "pause": 0, "pause_file": "", "may_be_down": [], "lock": False,
             "allow_no_room": False, "force": False, "delete_emptydir_data": False, **arguments},
            said.append,
        )  # fmt: skip
        return made, said, module

    return make


def test_a_healthy_cluster_lets_the_batch_begin_after_few_questions(gate):
    cluster = Cluster([node("w1"), node("w2")], [pod("a")])
    made, said, _ = gate(cluster)
    assert made.wait() < 2 and said == []
    assert cluster.asked == [
        "/api/v1/nodes", "/apis", "/apis/policy/v1", "/apis/policy/v1/poddisruptionbudgets", "/api/v1/pods",
    ]  # fmt: skip


def test_it_waits_for_another_node_and_says_so(gate):
    cluster = Cluster([node("w1"), node("w2", ready="False")], later=[(2.5, ready)])
    made, said, _ = gate(cluster)
    assert 2 <= made.wait() < 15
    assert said == ["batch 1 (w1) waits: node w2 is not Ready (KubeletNotReady)"], "once, not at each look"


def test_the_reason_is_said_again_now_and_then(gate, monkeypatch):
    cluster = Cluster([node("w1"), node("w2", ready="False")], later=[(7, ready)])
    made, said, module = gate(cluster)
    monkeypatch.setattr(module, "SAID_EVERY", 1.0)
    made.wait()
    assert len(said) >= 2


def test_it_gives_up_with_the_reason(gate):
    made, _said, module = gate(Cluster([node("w1"), node("w2", ready="Unknown")]), timeout=1)
    with pytest.raises(module.NotBegun, match=r"after 1 s \(unshim_gate_timeout\).* node w2 is not Ready"):
        made.wait()


def test_a_node_that_the_cluster_does_not_have_is_not_waited_for(gate):
    made, _said, module = gate(Cluster([node("w2")]))
    with pytest.raises(module.NotBegun, match="has no node w1"):
        made.wait()


def test_budget_and_room_are_reasons_too(gate):
    budget = {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 3},
    }
    made, _said, _ = gate(Cluster([node("w1"), node("w2", closed=True)], [pod("a")], [budget]))
    reasons = made.look(lock=False)
    assert any("shop/web allows no disruption now" in reason for reason in reasons)
    assert any("no node is left for shop/a" in reason for reason in reasons)


def test_a_cluster_of_one_node_is_not_waited_for(gate):
    made, _said, module = gate(Cluster([node("w1")], [pod("a")]))
    began = time.monotonic()
    with pytest.raises(module.NotBegun, match="w1 is the only node of the cluster"):
        made.wait()
    assert time.monotonic() - began < 5
    made, _said, _ = gate(Cluster([node("w1")], [pod("a")]), allow_no_room=True)
    assert made.wait() < 5


def test_the_pause_file_holds_it_for_as_long_as_it_is_there(gate, tmp_path):
    path = tmp_path / "pause"
    path.touch()
    made, said, _ = gate(Cluster([node("w1")]), pause_file=str(path), timeout=1)
    threading.Timer(3, path.unlink).start()
    assert made.wait() >= 3, "longer than its timeout, which is for the cluster"
    assert said == [f"batch 1 (w1) waits: the file {path} is there; remove it to go on"]


def test_a_pause_between_batches(gate):
    made, said, _ = gate(Cluster([node("w1")]), pause=1)
    assert made.wait() >= 1
    assert said == ["batch 1 (w1) waits: a pause of 1 s between batches"]


@pytest.mark.parametrize("held", [None, "op@there pid 1 run 2"])
def test_a_run_that_lost_its_lock_begins_nothing(gate, monkeypatch, held):
    made, _said, module = gate(Cluster([node("w1")]), lock=True)
    holder = held and module.lease.Holder(held, "elsewhere", 1, time.time(), time.time(), "1")
    monkeypatch.setattr(module.lease, "read", lambda _api: holder)
    with pytest.raises(module.NotBegun, match="taken over by op@there" if held else "is gone"):
        made.wait()


def test_a_lock_whose_keeper_is_gone_gets_another(gate, monkeypatch):
    made, _said, module = gate(Cluster([node("w1")]), lock=True, kubeconfig="/k", context="")
    me = module.lease.this_process(os.getppid())
    name = f"{me.user}@{me.host} pid {me.pid} run 1"
    holder = module.lease.Holder(name, me.controller, me.pid, time.time(), time.time() - 50, "1")
    monkeypatch.setattr(module.lease, "read", lambda _api: holder)
    monkeypatch.setattr(module.lease, "renew", lambda *_: True)
    started = []
    from unshim_kube import lease_keeper

    monkeypatch.setattr(lease_keeper, "start", lambda *arguments: started.append(arguments))
    made.wait()
    assert started == [("/k", "", me.pid, name)]


def on_containerd(name, **more):
    made = node(name, **more)
    made["status"]["nodeInfo"] = {"containerRuntimeVersion": "containerd://1.6.20"}
    return made


def test_soak_of_nodes_that_stay_well(plugins):
    cluster = Cluster([on_containerd("w1"), on_containerd("w2")])
    began = time.monotonic()
    assert plugins("rollout_soak").soak(cluster, ["w1", "w2"], 1, "containerd") == {}
    assert time.monotonic() - began >= 1


def test_soak_sees_a_node_that_was_away_for_a_moment(plugins):
    cluster = Cluster([on_containerd("w1"), on_containerd("w2")], later=[(0.5, unready), (30, ready)])
    unwell = plugins("rollout_soak").soak(cluster, ["w1", "w2"], 12, "containerd")
    assert list(unwell) == ["w2"] and unwell["w2"]["reason"].startswith("Ready is False") and not unwell["w2"]["ready"]


def test_soak_sees_a_pod_that_does_not_come_back(plugins, monkeypatch):
    module = plugins("rollout_soak")
    monkeypatch.setattr(module, "SETTLING", 1.0)
    waiting = pod("agent", owner="DaemonSet")
    unwell = module.soak(Cluster([on_containerd("w1")], [waiting]), ["w1"], 0, "containerd")
    assert unwell["w1"]["ready"] and "shop/agent has no containers yet" in unwell["w1"]["reason"]
    assert "not in the cluster" in module.soak(Cluster([]), ["w9"], 0, "containerd")["w9"]["reason"]
