"""Before the move: every setting of Docker's does what it is there for. Also the record that later phases compare with."""

import node_snapshot
import pytest
from mixed_lab import BOOKWORM, BULLSEYE, MIRROR, NAMESPACE, OPEN_FILES, PRIVATE, PROXY, ROLES, SECRETS, TRIXIE, WORKERS


@pytest.mark.parametrize("node", WORKERS)
def test_node_runs_its_pods_on_docker(lab, node):
    info = lab.get("node", node)["status"]["nodeInfo"]
    assert info["containerRuntimeVersion"].startswith("docker://")
    pods = lab.pods(node)
    assert pods
    for pod in pods:
        assert all(status["ready"] for status in pod["status"]["containerStatuses"]), pod["metadata"]["name"]


@pytest.mark.parametrize("registry,repository", ROLES)
@pytest.mark.parametrize("node", WORKERS)
def test_registries_were_asked(lab, node, registry, repository):
    # What a proxy asks, it asks from its own address.
    proxied = node == BOOKWORM and registry == PRIVATE
    address = lab.address(PROXY if proxied else node)
    asked = [request for request in lab.requests(registry, repository.format("before")) if request.address == address]
    assert {request.what for request in asked if request.status == 200} == {"manifests", "blobs"}
    assert all(request.agent.startswith("docker/") for request in asked)


def test_private_registry_wants_a_password(lab):
    code = lab.on(TRIXIE, f"curl -ks -o /dev/null -w '%{{http_code}}' https://{PRIVATE}:5000/v2/")
    assert code == "401"


def test_private_registry_has_a_certificate_that_only_its_ca_proves(lab):
    url = f"https://{PRIVATE}:5000/v2/"
    lab.on(TRIXIE, f"! curl -s -o /dev/null {url}")
    lab.on(TRIXIE, f"curl -s -o /dev/null --cacert /etc/docker/certs.d/{PRIVATE}:5000/ca.crt {url}")


def test_node_with_a_login_of_its_own(lab):
    (pod,) = lab.pods(BULLSEYE, "keyless")
    assert "imagePullSecrets" not in pod["spec"] and pod["status"]["containerStatuses"][0]["ready"]


def test_proxy_was_used_for_the_private_registry_only(lab):
    log = lab.log_of(PROXY)
    assert f"CONNECT {PRIVATE}:5000" in log and lab.address(BOOKWORM) in log
    assert MIRROR not in log and not any(lab.address(node) in log for node in (BULLSEYE, TRIXIE))


@pytest.mark.parametrize("node", OPEN_FILES)
def test_open_files_are_limited(lab, node):
    assert lab.limits(node)["Max open files"] == OPEN_FILES[node]


@pytest.mark.parametrize("node", WORKERS)
def test_a_talkative_pods_log_is_rotated(lab, node):
    status = next(s for s in lab.sample(node)["status"]["containerStatuses"] if s["name"] == "chatty")
    container = status["containerID"].removeprefix("docker://")
    root = lab.on(node, "docker info --format '{{.DockerRootDir}}'").strip()
    look = (node, f"{root}/containers/{container}", "*-json.log*")
    assert lab.eventually(lambda: len(lab.log_files(*look)) == 3)
    assert max(lab.log_files(*look).values()) <= 1_000_000 + 20_000


def test_default_runtime_leaves_its_mark(lab):
    statuses = lab.sample(BOOKWORM)["status"]["containerStatuses"]
    marks = lab.on(BOOKWORM, "cat /var/log/marking-runc.log")
    assert all(status["containerID"].removeprefix("docker://") in marks for status in statuses)


def test_images_are_on_the_data_disk(lab):
    assert lab.on(TRIXIE, "ls /data/docker/image/overlay2/layerdb/sha256").split()
    assert lab.on(TRIXIE, "ls /var/lib/docker 2>/dev/null; true") == ""


def test_plan_tells_no_secret_and_what_becomes_of_each_setting(lab):
    run = lab.playbook("plan", "--limit", "kube_node")
    assert run.code == 0, run.output
    lab.remember("plan", run.output)
    assert [secret for secret in SECRETS if secret in run.output] == []


def test_record_the_workers_as_they_are(lab):
    lab.remember("before", {node: node_snapshot.take(lab, node) for node in WORKERS})
    lab.remember("limits", {node: lab.limits(node) for node in WORKERS})
    lab.remember("pods", {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in lab.get("pods", "-n", NAMESPACE)["items"]})  # fmt: skip
