"""A disruption budget that allows nothing holds a drain: the run names it, and the node keeps its pods."""

import json
import subprocess

import pytest

NODE = "unshim-w1"
BUDGET = {
    "apiVersion": "policy/v1beta1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "never", "namespace": "shop"},
    "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "store"}}},
}


@pytest.fixture
def budget(lab):
    """A budget on the pod that is tied to this worker."""
    subprocess.run(
        [lab.root / "build/lab/kubectl", "--kubeconfig", lab.root / lab.kubeconfig, "apply", "-f", "-"],
        input=json.dumps(BUDGET), text=True, check=True, capture_output=True,
    )  # fmt: skip
    yield
    lab.kubectl("-n", "shop", "delete", "pdb", "never")


def test_a_stuck_drain_names_what_holds_it(lab, runbook, budget):
    lab.wait_for_pods(NODE)
    before = lab.get("pod", "-n", "shop", "store-0")["metadata"]["uid"]
    refused, shown = runbook("stuck-drain", "See what holds it", node=NODE)
    assert "never" in refused.output and "store-0" in refused.output
    assert "never" in shown.output and "SchedulingDisabled" not in shown.output
    assert lab.get("pod", "-n", "shop", "store-0")["metadata"]["uid"] == before
    assert not lab.get("node", NODE)["spec"].get("unschedulable")
