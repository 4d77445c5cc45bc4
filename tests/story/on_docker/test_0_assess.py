"""The fleet's audit on nodes that run Kubernetes on Docker: it is right, it is the same whichever way, it changes nothing."""

import json
import subprocess
import sys

import jsonschema
import node_snapshot

PROCESSES = "systemctl show -p Id -p MainPID -p ActiveEnterTimestamp kubelet docker docker.socket containerd"


def audit(lab, path, *arguments, inventory=None):
    command = [
        sys.executable,
        lab.root / "deploys/audit.py",
        "-i",
        inventory or lab.inventory,
        "--json",
        path,
        *arguments,
    ]
    return subprocess.run(command, cwd=lab.root, capture_output=True, text=True, check=False)


def lasting(node):
    """Return a node of the audit without what differs between any two moments."""
    node.pop("elapsed")
    node["facts"].pop("time")
    for mount in node["facts"]["mounts"].values():
        mount.pop("available")
    return node


def state(lab, node):
    return node_snapshot.take(lab, node), lab.docker_containers(node), lab.on(node, PROCESSES)


def test_the_audit_is_the_same_whichever_way_and_changes_nothing(lab, tmp_path):
    before = {node: state(lab, node) for node in lab.nodes}
    done = audit(lab, tmp_path / "pyinfra.json", "--with-facts")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    settings = json.dumps({"unshim_audit_file": str(tmp_path / "ansible.json"), "unshim_audit_facts": True})
    run = lab.playbook("audit", "-e", settings)
    assert run.code == 0, run.output
    assert {node: state(lab, node) for node in lab.nodes} == before
    schema = json.loads((lab.root / "docs/schemas/audit.schema.json").read_text())
    by_pyinfra, by_ansible = (json.loads((tmp_path / f"{way}.json").read_text()) for way in ("pyinfra", "ansible"))
    for audited in (by_pyinfra, by_ansible):
        jsonschema.validate(audited, schema)
        assert {node["node"]: node["verdict"] for node in audited["nodes"]} == dict.fromkeys(lab.nodes, "ready")
        assert {node["runtime"]["source"] for node in audited["nodes"]} == {"dockershim"}
        assert all(node["not_seen"] == [] for node in audited["nodes"])
    assert [lasting(node) for node in by_pyinfra["nodes"]] == [lasting(node) for node in by_ansible["nodes"]]


def test_no_container_is_made_or_started(lab, tmp_path):
    """Pyinfra's own connector would run an image of that name, and make one of what came of it."""
    image = subprocess.run(
        ["docker", "inspect", "-f", "{{.Image}}", lab.registry], capture_output=True, text=True, check=True
    ).stdout.strip()
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(f"kube_node: {{hosts: {{image: {{ansible_connection: docker, ansible_host: '{image}'}}}}}}\n")
    listed = ["docker", "ps", "-aq", "--filter", f"ancestor={image}"]
    before = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    done = audit(lab, tmp_path / "audit.json", inventory=inventory)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "unreachable" in done.stdout
    assert subprocess.run(listed, capture_output=True, text=True, check=True).stdout == before


def test_assess(runbook):
    said = runbook("assess", "See every node")
    assert "3 nodes: 3 ready" in said[-1].output
    runbook("assess", "See the workloads")
    runbook("assess", "See what would change")
