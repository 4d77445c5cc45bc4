"""The worker with the most to put back is on Docker again, as it was."""

import node_snapshot
import pytest
from mixed_lab import BOOKWORM, BULLSEYE, ROLES, TRIXIE


def test_node_runs_its_pods_on_docker(lab):
    node = lab.get("node", TRIXIE)
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    assert not node["spec"].get("unschedulable")
    lab.wait_for_pods(TRIXIE)
    for status in lab.sample(TRIXIE)["status"]["containerStatuses"]:
        assert status["containerID"].startswith("docker://")


def test_every_file_unit_and_package_is_as_it_was(lab):
    changed = node_snapshot.changes(lab.remembered("before")[TRIXIE], node_snapshot.take(lab, TRIXIE))
    assert {key: values for key, values in changed.items() if not key.startswith("file /var/lib/unshim")} == {}


def test_containers_have_the_limits_they_had(lab):
    assert lab.limits(TRIXIE) == lab.remembered("limits")[TRIXIE]


def test_docker_writes_on_its_data_disk(lab):
    assert lab.on(TRIXIE, "docker info --format '{{.DockerRootDir}}'").strip() == "/data/docker"


def test_nothing_runs_on_containerd(lab):
    assert lab.on(TRIXIE, "ctr -n k8s.io tasks ls -q").split() == []


def test_the_other_workers_stayed_on_containerd(lab):
    for node in (BULLSEYE, BOOKWORM):
        assert lab.get("node", node)["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")


@pytest.mark.parametrize("registry,repository", ROLES)
def test_docker_asks_the_registries_again(lab, registry, repository):
    """Of a pod that came while the node was on containerd."""
    lab.wait_for_pods(TRIXIE)
    asked = [
        request
        for request in lab.requests(registry, repository.format("after"))
        if request.address == lab.address(TRIXIE)
    ]
    assert [request for request in asked if request.agent.startswith("docker/") and request.status == 200]
