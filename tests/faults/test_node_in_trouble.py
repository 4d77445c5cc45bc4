"""The node itself, or what connects it, breaks in the middle of its move."""

import subprocess
import time

import pytest

CUT = """
for rule in "INPUT -i eth0" "OUTPUT -o eth0" "FORWARD -i eth0" "FORWARD -o eth0"; do iptables -w {how} $rule -j DROP; done
"""


@pytest.mark.fault(6, "node restarted in the middle of the switch")
def test_restarted(fault):
    # Pods of the node are gone when its power goes; the Service notices only those that are there.
    strike = fault.strike_when("'docker stopping' in now and not exists('/run/docker.pid')")
    run = fault.start()
    strike.wait()
    fault.lab.restart_machine(fault.victim)
    fault.injected("power cut of the node: dockerd has ended, its units are not yet masked, no kubelet runs")
    ended = run.finish()
    assert ended.code != 0
    fault.rerun()


@pytest.mark.representative
@pytest.mark.fault(22, "network to one node cut for a minute")
def test_network_cut(fault):
    run = fault.start()
    run.wait_for_task("verify : Wait for the node to be Ready on containerd, with its own pods back")
    fault.undo(lambda: fault.on(CUT.format(how="-D"), check=False))
    fault.on(CUT.format(how="-I"))
    fault.injected(
        "no packet in or out for 60 s from the moment the kubelet runs on containerd; Ansible's connection holds"
    )
    time.sleep(60)
    fault.remove_cause()
    assert run.finish().code == 0, run.output[-5000:]
    fault.safe("containerd")
    fault.keeps_data()
    fault.consistent()


@pytest.mark.fault(24, "journal file truncated")
def test_journal_truncated(fault):
    cut = "cd /var/lib/unshim && truncate -s $(($(stat -c %s journal.json) / 2)) journal.json"
    run = fault.start()
    run.wait_for_task("kubelet : Switch the node from Docker to containerd")
    fault.lab.wait_for_step(fault.victim, "retire Docker")
    fault.on(cut)
    fault.injected(
        "half of journal.json gone while Docker is being stopped; again between two runs, and before a rollback"
    )
    ended = run.finish()
    said = " ".join(ended.output.split())
    assert "Traceback" not in said, ended.output
    if ended.code == 0:  # a module that was at work wrote the whole journal once more, or took the generation before
        fault.safe("containerd")
    fault.on(cut)
    run = fault.rerun()
    assert "is damaged" in " ".join(run.output.split()), "nobody was told"
    fault.on(cut)  # what the rollback at the end has to live with


@pytest.mark.fault(30, "node deleted from the API during its move")
def test_deleted(fault):
    """Its kubelet registers it anew, and the cluster gives its pods another address range. The lab's network add-on does not
    follow by itself, as some do not, so that no pod on the node could be reached from others."""
    before = fault.lab.get("node", fault.victim)
    labels, cidr = before["metadata"]["labels"], before["spec"]["podCIDR"]
    run = fault.start()
    run.wait_for_task("kubelet : Switch the node from Docker to containerd")
    fault.lab.wait_for_step(fault.victim, "retire Docker")
    fault.lab.kubectl("delete", "node", fault.victim, "--wait=false")
    fault.undo(lambda: follow(fault.lab, fault.victim))
    fault.undo(lambda: restore_labels(fault, labels))
    fault.injected("kubectl delete node once the kubelet was stopped")
    ended = run.finish()
    assert "Somebody deleted node" in " ".join(ended.output.split())
    new = fault.lab.get("node", fault.victim)
    assert new["metadata"]["uid"] != before["metadata"]["uid"]
    assert new["metadata"]["labels"] == labels
    fault.failed(ended, f"Its pods' addresses are of {new['spec']['podCIDR']} now, not of {cidr}", "put back on Docker")
    fault.safe("docker")
    fault.keeps_data()
    fault.may_differ += ("file /etc/cni/net.d/10-lab.conflist", "file /etc/lab/pod-network")
    fault.remove_cause()
    fault.rerun()


def follow(lab, node):
    """Let the lab's network add-on follow a node's podCIDR, as its administrator would."""
    lab.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force")
    subprocess.run(
        ["ansible-playbook", "-i", lab.inventory, "molecule/_lab/connect_pods.yml"],
        cwd=lab.root, check=True, capture_output=True,
    )  # fmt: skip
    lab.on(node, "ip link delete cni0", check=False)
    for pod in lab.get("pods", "-A", "--field-selector", f"spec.nodeName={node}")["items"]:
        if not pod["spec"].get("hostNetwork"):
            lab.kubectl("-n", pod["metadata"]["namespace"], "delete", "pod", pod["metadata"]["name"])
    lab.kubectl("uncordon", node)
    lab.wait_for_workload()


def restore_labels(fault, labels):
    """Only for the faults after this one, should it fail."""
    fault.lab.wait_until(lambda: fault.lab.api("get", "node", fault.victim), "the node is registered", 60)
    fault.lab.kubectl("label", "--overwrite", "node", fault.victim, *[f"{k}={v}" for k, v in labels.items()])
