"""Mode daemonset: one dockerd on each node, for whoever mounts its directory."""

import json

import pytest
from dind_lab import BUSYBOX, NAMESPACE, ONE


@pytest.fixture(scope="module")
def applied(lab, runbook):
    yield runbook("dind", "One dockerd on each node")
    lab.kubectl("delete", "daemonset", "dind", "-n", NAMESPACE)


@pytest.fixture(scope="module")
def user(lab, applied):
    """A pod that mounts the directory of the socket, as mode daemonset's patches do."""
    lab.apply(json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user", "namespace": "ci"},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": ONE}, "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "job", "image": lab.image, "command": ["sleep", "3600"],
                "env": [{"name": "DOCKER_HOST", "value": "unix:///run/dind/docker.sock"}],
                "volumeMounts": [{"name": "dind-socket", "mountPath": "/run/dind"}],
            }],
            "volumes": [{"name": "dind-socket", "hostPath": {"path": "/run/unshim-dind", "type": "Directory"}}],
        },
    }))  # fmt: skip
    lab.wait_ready("user", "ci")
    yield "user"
    lab.remove("user", namespace="ci")


def own_pod(lab, node):
    items = lab.get(
        "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=dind", "--field-selector", f"spec.nodeName={node}"
    )["items"]
    (pod,) = (one for one in items if not one["metadata"].get("deletionTimestamp"))
    return pod


def test_it_runs_on_every_prepared_node_and_no_other(lab, applied):
    status = lab.get("daemonset", "dind", "-n", NAMESPACE)["status"]
    assert status["numberReady"] == status["desiredNumberScheduled"] == len(lab.workers)


def test_docker_run_and_build_and_networks(lab, user):
    def run(*words, **options):
        return lab.done(user, *words, namespace="ci", **options)

    assert run("docker", "run", "--rm", BUSYBOX, "echo", "inside").strip() == "inside"
    script = "mkdir -p /tmp/b && cat >/tmp/b/Dockerfile && DOCKER_BUILDKIT=0 docker build -q -t built /tmp/b"
    run("sh", "-c", script, stdin=f"FROM {BUSYBOX}\nRUN timeout 20 wget -q -O /x http://unshim-d-registry:5000/v2/\n")
    run("docker", "network", "create", "pair")
    run("docker", "run", "-d", "--name", "web", "--network", "pair", BUSYBOX, "httpd", "-f", "-p", "80", "-h", "/etc")
    said = run(
        "docker", "run", "--rm", "--network", "pair", BUSYBOX, "timeout", "20", "wget", "-q", "-O-", "http://web/passwd"
    )
    assert said.startswith("root:")


def test_its_containers_are_in_its_own_pods_cgroup(lab, user):
    lab.done(user, "docker", "run", "-d", BUSYBOX, "sleep", "16180", namespace="ci")
    uid = own_pod(lab, ONE)["metadata"]["uid"]
    found = lab.cgroups_of(ONE, "sleep 16180")
    assert found and all(f"pod{uid}" in path for path in found), found


def test_images_and_volumes_survive_its_pod(lab, user):
    lab.done(user, "docker", "run", "--rm", "-v", "kept:/v", BUSYBOX, "sh", "-c", "echo kept >/v/file", namespace="ci")
    pod = own_pod(lab, ONE)
    lab.kubectl("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE)
    lab.kubectl("rollout", "status", "daemonset/dind", "-n", NAMESPACE, "--timeout=180s")
    lab.wait_ready(own_pod(lab, ONE)["metadata"]["name"])
    # --pull never: the image is there as well.
    said = lab.done(
        user, "docker", "run", "--pull", "never", "--rm", "-v", "kept:/v", BUSYBOX, "cat", "/v/file", namespace="ci"
    )
    assert said.strip() == "kept"


def test_the_nodes_own_docker_socket_is_not_made_again(lab, applied):
    assert lab.on(ONE, "test -S /var/run/docker.sock && echo there || true") == ""
