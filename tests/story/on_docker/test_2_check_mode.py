"""--check --diff on nodes that still run on Docker tells what would happen, and nothing happens."""

import node_snapshot


def test_check_mode_changes_nothing(lab):
    before = {node: (node_snapshot.take(lab, node), lab.docker_containers(node)) for node in lab.nodes}
    run = lab.playbook("migrate", "--check", "--diff")
    after = {node: (node_snapshot.take(lab, node), lab.docker_containers(node)) for node in lab.nodes}
    assert run.code == 0, run.output
    for node in lab.nodes:
        assert node_snapshot.changes(before[node][0], after[node][0]) == {}
        assert before[node][1] == after[node][1]
        assert run.recap()[node]["changed"] > 0, "check mode must announce the changes it would make"
    assert "+KUBELET_KUBEADM_ARGS=" in run.output and "--container-runtime=remote" in run.output
