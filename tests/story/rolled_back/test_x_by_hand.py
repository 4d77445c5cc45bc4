"""The second worker goes back without unshim: the commands in its journal work, and leave a node that can be moved again."""

import node_snapshot

NODE = "unshim-w2"


def test_the_journals_commands_put_it_back(lab, runbook):
    (printed,) = runbook("one-node-by-hand", "Go back without unshim", node=NODE)
    lines = printed.output.splitlines()
    assert lines[0].startswith("kubectl drain NODE") and "systemctl restart kubelet" in lines
    for line in lines:
        line = line.replace(" NODE", f" {NODE}")
        if line.startswith("kubectl "):
            lab.kubectl(*line.split()[1:])
        else:
            lab.on(NODE, line)
    (seen,) = runbook("one-node-by-hand", "See that it is back", node=NODE)
    assert "docker://" in seen.output and "SchedulingDisabled" not in seen.output


def test_it_is_as_it_was(lab):
    changed = node_snapshot.changes(lab.remembered("before")[NODE], node_snapshot.take(lab, NODE))
    assert {key: values for key, values in changed.items() if not key.startswith("file /var/lib/unshim")} == {}
    annotations = lab.get("node", NODE)["metadata"]["annotations"]
    assert annotations["kubeadm.alpha.kubernetes.io/cri-socket"] == "/var/run/dockershim.sock"
    lab.wait_for_pods(NODE)
    assert lab.on(NODE, "ctr -n k8s.io tasks ls -q").split() == []
