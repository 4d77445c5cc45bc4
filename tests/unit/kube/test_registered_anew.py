"""A node deleted during its move and registered anew gets back what administrators and unshim had put on it."""

import copy
import json
from pathlib import Path

import pytest
from ansible.module_utils.unshim_kube import errors

import node_drain
from unshim import drain, registered_anew
from unshim.node_gate import summarize
from unshim_kube import node_ready

NODE = json.loads((Path(__file__).parent / "data" / "node_control_plane_docker.json").read_text())


def worker(**changes):
    node = copy.deepcopy(NODE)
    node["metadata"]["labels"] = {"kubernetes.io/os": "linux", "shop.local/store": "here"}
    node["metadata"]["annotations"] = {"volumes": "true", "owner": "shop"}
    node["spec"] = {
        "taints": [{"key": "dedicated", "value": "shop", "effect": "NoSchedule", "timeAdded": "x"}],
        **changes,
    }
    return node


def anew(**more):
    node = copy.deepcopy(NODE)
    node["metadata"] = {
        "name": node["metadata"]["name"],
        "uid": "another",
        "labels": {"kubernetes.io/os": "linux"},
        **more,
    }
    node["spec"] = {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}
    return node


def test_only_another_object_counts():
    known = summarize(worker())
    assert not registered_anew.is_another(worker(), known)
    assert registered_anew.is_another(anew(), known)
    assert not registered_anew.is_another(anew(), {})


def test_it_gets_what_it_lacks():
    patch = registered_anew.patch(anew(annotations={"owner": "somebody"}), summarize(worker()))
    assert patch == {
        "metadata": {"labels": {"shop.local/store": "here"}, "annotations": {"volumes": "true"}},
        "spec": {
            "taints": [
                {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
                {"key": "dedicated", "value": "shop", "effect": "NoSchedule"},
            ]
        },
    }
    again = registered_anew.patched(anew(), registered_anew.patch(anew(), summarize(worker())))
    assert registered_anew.patch(again, summarize(worker())) is None


def closed(known):
    """The new object as node_runtime leaves it."""
    lost = registered_anew.patch(anew(), known)
    closing, _ = drain.cordon_patch(registered_anew.patched(anew(), lost), "me", "why", "now")
    return registered_anew.patched(anew(), registered_anew.merged(lost, closing))


def test_it_is_closed_and_opened_as_the_old_one_would_have_been():
    for unschedulable, opens in ((False, True), (True, False)):
        node = closed(summarize(worker(unschedulable=unschedulable)))
        assert node["spec"]["unschedulable"] is True
        assert node["metadata"]["labels"]["shop.local/store"] == "here"
        patch, _ = drain.uncordon_patch(node)
        assert ("spec" in patch) == opens
    # A run that goes on found it closed by unshim already.
    node = worker(unschedulable=True)
    node["metadata"]["annotations"][drain.NOTE_ANNOTATION] = json.dumps(
        {"by": "b", "reason": "r", "at": "a", "was_unschedulable": False}
    )
    patch, _ = drain.uncordon_patch(closed(summarize(node)))
    assert patch["spec"] == {"unschedulable": None}


class Cluster:
    """Has one node, and takes merge patches of it."""

    server = "https://192.0.2.1:6443"

    def __init__(self, node):
        self.node = node
        self.patches = []

    def get(self, path, **_):
        if self.node is None:
            raise errors.Refused("no such node", 404)
        return copy.deepcopy(self.node)

    def list_objects(self, path, **_):
        return []

    def patch(self, path, patch, **_):
        patch.get("metadata", {}).pop("resourceVersion", None)
        self.patches.append(patch)
        self.node = registered_anew.patched(self.node, patch)
        return self.node


class Module:
    check_mode = False

    def __init__(self, **params):
        self.params = params
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def test_the_wait_closes_it_once_and_tells():
    known = {**summarize(worker()), "pod_cidrs": ["10.244.7.0/24"]}
    node = anew(resourceVersion="7")
    node["spec"]["podCIDR"] = "10.244.9.0/24"
    cluster, module = Cluster(node), node_ready.Asked({"node_name": node["metadata"]["name"], "known_as": known})
    node_ready.give_back(module, cluster, node)
    node_ready.give_back(module, cluster, cluster.node)
    assert len(cluster.patches) == len(module.warnings) == 1
    assert cluster.node["spec"]["unschedulable"] is True
    assert cluster.node["metadata"]["labels"]["shop.local/store"] == "here"
    assert "registered it anew" in module.warnings[0] and "10.244.9.0/24" in module.warnings[0]


def test_a_node_that_is_gone_may_be():
    cluster = Cluster(None)
    for state in ("cordoned", "drained"):
        module = Module(node_name="w1", state=state, timeout=1, reason="", may_be_gone=True)
        assert node_drain.act(module, cluster)["gone"] is True
        module.params["may_be_gone"] = False
        with pytest.raises(errors.NoSuchNode):
            node_drain.act(module, cluster)
