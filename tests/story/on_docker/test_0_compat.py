"""What pods have on Docker is kept, to be compared with; nothing of the nodes changes."""

import compat_suite
import node_snapshot
import pytest


@pytest.mark.full
def test_what_pods_have_is_kept_and_nothing_changes(lab):
    before = {node: (node_snapshot.take(lab, node), lab.docker_containers(node)) for node in lab.workers}
    said, kept = compat_suite.run(lab, *lab.workers)
    assert said.code == 0, said.output
    for node in lab.workers:
        assert kept[node]["runtime"] == "docker" and kept[node]["compared_with"] == ""
        found = compat_suite.outcomes(kept[node])
        assert kept[node]["count"]["broken"] == 0 and "not-shown" not in {found["C12"], found["C20"], found["C24"]}
        assert node_snapshot.changes(before[node][0], node_snapshot.take(lab, node)) == {}
        containers = lab.docker_containers(node)
        assert {name: containers.get(name) for name in before[node][1]} == before[node][1]


def test_without_an_image_no_pod_is_made(lab):
    run = lab.playbook("compat", "--limit", "unshim-w1", "-e", "unshim_canary_image=", "-e", "unshim_compat_dir=")
    assert run.code == 0, run.output
    assert "set unshim_canary_image" in " ".join(run.output.split())
