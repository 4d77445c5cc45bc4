"""A gate that fails after the drain: the run puts the node back on Docker by itself and stops with the cause.

Named to run last in its phase: it moves the node and back again.
"""

import node_snapshot
from lab import recap

NODE = "unshim-w1"
IMAGE = "unshim-registry:5000/no-such-image:1"


def test_a_failed_gate_puts_the_node_back(lab, runbook):
    before = node_snapshot.take(lab, NODE)
    run = lab.playbook("migrate", "--limit", NODE, "-e", f"unshim_canary_image={IMAGE}")
    assert run.code != 0
    said = " ".join(run.output.split())
    assert f"{NODE} was not moved" in said and "canary" in said and IMAGE in said
    assert "The node was put back on Docker and is open for pods" in said
    assert "Traceback" not in run.output

    node = lab.get("node", NODE)
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
    assert not node["spec"].get("unschedulable")
    assert lab.journal(NODE)["state"] == "docker"
    changed = node_snapshot.changes(before, node_snapshot.take(lab, NODE))
    assert {key: values for key, values in changed.items() if not key.startswith("file /var/lib/unshim")} == {}
    lab.wait_for_pods(NODE)

    seen, did = (
        runbook("failed-node", "Look", node=NODE),
        runbook("failed-node", "See what unshim did there", node=NODE),
    )
    assert "docker://" in seen[0].output and "canary" in seen[0].output
    assert "rolled back" in did[0].output
    (again,) = runbook("failed-node", "If it was left as it is", node=NODE)
    assert recap(again.output)[NODE]["changed"] == 0
