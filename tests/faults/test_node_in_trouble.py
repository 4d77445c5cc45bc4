"""The node itself, or what connects it, breaks in the middle of its move."""

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
    run.wait_for_task("kubelet : Stop what is left of Docker, and keep it from starting again")
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
    labels = fault.lab.get("node", fault.victim)["metadata"]["labels"]
    run = fault.start()
    run.wait_for_task("kubelet : Stop the kubelet")
    fault.lab.kubectl("delete", "node", fault.victim, "--wait=false")
    fault.undo(lambda: restore_labels(fault, labels))
    fault.injected("kubectl delete node while the kubelet is being stopped")
    ended = run.finish()
    assert ended.code == 0, ended.output[-5000:]
    assert "Somebody deleted node" in " ".join(ended.output.split())
    fault.safe("containerd")
    assert fault.lab.get("node", fault.victim)["metadata"]["labels"] == labels
    fault.keeps_data()
    fault.consistent()


def restore_labels(fault, labels):
    """Only for the faults after this one, should it fail."""
    fault.lab.wait_until(lambda: fault.lab.api("get", "node", fault.victim), "the node is registered", 60)
    fault.lab.kubectl("label", "--overwrite", "node", fault.victim, *[f"{k}={v}" for k, v in labels.items()])
