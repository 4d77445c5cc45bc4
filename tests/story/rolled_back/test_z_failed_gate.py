"""A gate that fails after the drain: the run puts the node back on Docker by itself and stops with the cause.

Named to run last in its phase: it moves the node and back again. What it leaves on the controller tells why, and no secret.
"""

import json
import re
import stat
from pathlib import Path

import node_snapshot
from lab import recap

NODE = "unshim-w1"
IMAGE = "unshim-registry:5000/no-such-image:1"
PASSWORD = "planted-pa55word-of-a-robot"
TOKEN = "abcdef.0123456789abcdef"
EVENT = f"""\
apiVersion: v1
kind: Event
metadata: {{name: planted, namespace: default}}
involvedObject: {{kind: Node, name: {NODE}}}
type: Warning
reason: Planted
message: "cannot pull from https://robot:{PASSWORD}@registry.example, joined with {TOKEN}"
"""


def test_a_failed_gate_puts_the_node_back(lab, runbook):
    before = lab.remembered("before")[NODE]  # not as it is: the drain that was stuck left it prepared
    lab.apply(EVENT)
    run = lab.playbook("migrate", "--limit", NODE, "-e", f"unshim_canary_image={IMAGE}")
    lab.kubectl("delete", "event", "planted")
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
    check_bundle(lab, said)

    seen, did = (
        runbook("failed-node", "Look", node=NODE),
        runbook("failed-node", "See what unshim did there", node=NODE),
    )
    assert "docker://" in seen[0].output and "canary" in seen[0].output
    assert "rolled back" in did[0].output
    (again,) = runbook("failed-node", "If it was left as it is", node=NODE)
    assert recap(again.output)[NODE]["changed"] == 0


def check_bundle(lab, said):
    """Make sure that one directory, named in the message, tells why, and tells no secret."""
    named = re.search(r"What tells why is in (\S+) on the controller\.", said)
    assert named, said
    made = Path(named.group(1))
    assert made.parent == lab.root / "unshim-bundles"
    assert re.fullmatch(rf"\d{{8}}T\d{{6}}Z-{NODE}", made.name)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    texts = {path.name: path.read_text() for path in made.iterdir()}
    gate = json.loads(texts["gate.json"])
    assert gate["task"] == "Run a canary pod on the node" and gate["result"]["gates_failed"] == ["runs"]
    assert json.loads(texts["journal.json"])["state"] == "switched"
    assert IMAGE in texts["README.md"] and f"playbooks/rollback.yml --limit {NODE}" in texts["README.md"]
    assert "What is missing" not in texts["README.md"], texts["README.md"]
    assert "containerd" in texts["plan.txt"] and "Planted" in texts["events.txt"]
    assert json.loads(texts["node.json"])["unschedulable"] is True
    assert json.loads(texts["cri.json"])["conditions"]["RuntimeReady"]["status"] is True
    assert json.loads(texts["units.json"])["kubelet.service"]["ActiveState"] == "active"
    states = {record["state"] for record in json.loads(texts["files.json"]).values()}
    assert states == {"as unshim wrote it"}
    for log in ("kubelet.log", "containerd.log", "docker.log", "unshim.log"):
        assert len(texts[log].splitlines()) > 1, log
    for name, text in texts.items():
        assert PASSWORD not in text and TOKEN not in text, name
