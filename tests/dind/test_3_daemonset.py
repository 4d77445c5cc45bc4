"""Mode daemonset: one dockerd on each node, for whoever mounts its directory."""

import json

import pytest
from dind_lab import BUSYBOX, NAMESPACE, WORKER
from docker_uses import PUBLISHED, USES_OF_ANOTHER_MODE, User


@pytest.fixture(scope="module")
def applied(lab, moved, runbook):
    yield runbook("dind", "One dockerd on each node")
    lab.kubectl("delete", "daemonset", "dind", "-n", NAMESPACE, "--wait=false")


def own_pod(lab):
    (pod,) = (
        one
        for one in lab.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=dind")["items"]
        if not one["metadata"].get("deletionTimestamp")
    )
    return pod["metadata"]


@pytest.fixture(scope="module")
def user(lab, applied):
    """A pod of another namespace that mounts the directory of the socket, as mode daemonset's patches do."""
    lab.apply(json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": "ci"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "job", "image": lab.image, "command": ["sleep", "3600"],
                "env": [{"name": "DOCKER_HOST", "value": "unix:///run/dind/docker.sock"}],
                "volumeMounts": [{"name": "dind-socket", "mountPath": "/run/dind"}],
            }],
            "volumes": [{"name": "dind-socket", "hostPath": {"path": "/run/unshim-dind", "type": "Directory"}}],
        },
    }))  # fmt: skip
    lab.wait_ready("user", "ci")
    yield User(lab, "user", namespace="ci", dockerd=own_pod(lab)["name"])
    lab.remove("user", namespace="ci")


def test_it_runs_on_every_prepared_node_and_no_other(lab, applied):
    status = lab.get("daemonset", "dind", "-n", NAMESPACE)["status"]
    assert status["numberReady"] == status["desiredNumberScheduled"] == len(lab.workers)


@pytest.mark.parametrize("use", USES_OF_ANOTHER_MODE, ids=lambda use: use.__name__)
def test_docker_of_the_node(use, user, visitor):
    use(user)


def test_its_containers_are_in_its_own_pods_cgroup(lab, user):
    user.docker("run", "-d", "--stop-signal", "KILL", BUSYBOX, "sleep", "16180")
    uid = own_pod(lab)["uid"]
    found = lab.cgroups_of("sleep 16180")
    assert found and all(f"pod{uid}" in path for path in found), found


def test_nothing_of_it_listens_in_the_pod_network(lab, user):
    assert lab.listening(own_pod(lab)["name"]) <= {PUBLISHED}


def test_images_and_volumes_survive_its_pod(lab, user):
    user.docker("run", "--rm", "-v", "kept:/v", BUSYBOX, "sh", "-c", "echo kept >/v/file")
    before = own_pod(lab)
    lab.kubectl("delete", "pod", before["name"], "-n", NAMESPACE)
    lab.kubectl("rollout", "status", "daemonset/dind", "-n", NAMESPACE, "--timeout=180s")
    assert own_pod(lab)["uid"] != before["uid"]
    lab.wait_ready(own_pod(lab)["name"])
    # --pull never: the image is there as well.
    kept = user.docker("run", "--pull", "never", "--rm", "-v", "kept:/v", BUSYBOX, "cat", "/v/file")
    assert kept.strip() == "kept"


def test_nothing_listens_on_the_nodes_own_docker_socket(lab, applied):
    """Its file is still there, for Docker is stopped and can come back."""
    assert lab.on(WORKER, "grep -E ' (/var)?/run/docker.sock$' /proc/net/unix || true") == ""
