"""Mode service: one dockerd for the cluster, behind TLS, with its data on a claim."""

import json

import pytest
from dind_lab import BUSYBOX, NAMESPACE, WORKER
from docker_uses import PUBLISHED, USES_OF_ANOTHER_MODE, User

VOLUME = {
    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "dind-claim"},
    "spec": {
        "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "lab",
        "persistentVolumeReclaimPolicy": "Retain", "local": {"path": "/srv/claims"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [WORKER]}]}
        ]}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def applied(lab, moved, runbook):
    lab.apply(json.dumps(VOLUME))
    runbook("dind", "One dockerd for the cluster")


def client_pod(lab, name, secret):
    mounts = [{"name": "tls", "mountPath": "/certs/client"}] if secret else []
    volumes = [{"name": "tls", "secret": {"secretName": secret}}] if secret else []
    lab.apply(json.dumps({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"unshim.io/dind-client": "true"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "job", "image": lab.image, "command": ["sleep", "3600"], "volumeMounts": mounts,
                # By its address: the lab's DNS knows only the Services that it was made with.
                "env": [{"name": "DOCKER_HOST", "value": "tcp://dind:2376"}, {"name": "DOCKER_CERT_PATH", "value": "/certs/client"},
                        {"name": "DOCKER_TLS_VERIFY", "value": "1"}],
            }],
            "hostAliases": [{"ip": lab.get("service", "dind", "-n", NAMESPACE)["spec"]["clusterIP"], "hostnames": ["dind"]}],
            "volumes": volumes,
        },
    }))  # fmt: skip
    lab.wait_ready(name)
    return name


@pytest.fixture(scope="module")
def client(lab, applied):
    yield client_pod(lab, "tls-client", "dind-client-tls")
    lab.remove("tls-client")


@pytest.mark.parametrize("use", USES_OF_ANOTHER_MODE, ids=lambda use: use.__name__)
def test_docker_of_the_cluster(use, lab, client, visitor):
    use(User(lab, client, dockerd="dind-0"))


def test_without_a_client_certificate_tls_refuses(lab, client):
    bare = "cp /certs/client/ca.pem /tmp/ && DOCKER_CERT_PATH=/tmp docker --tlscacert /tmp/ca.pem --tlsverify version"
    said = lab.execute(client, "sh", "-c", bare, seconds=30)
    assert said.returncode != 0 and "certificate" in said.stderr, said
    plain = lab.execute(
        client, "sh", "-c", "DOCKER_TLS_VERIFY= DOCKER_CERT_PATH= docker -H tcp://dind:2376 version", seconds=30
    )
    assert plain.returncode != 0, plain


def test_it_listens_with_tls_only(lab, client, stranger):
    said = lab.execute(client, "sh", "-c", "DOCKER_TLS_VERIFY= docker -H tcp://dind:2375 version", seconds=30)
    assert said.returncode != 0
    assert lab.listening("dind-0") <= {2376, PUBLISHED}
    address = lab.address_of("dind-0")
    assert lab.execute(stranger, "nc", "-w", "3", address, "2375", namespace="ci", seconds=10, stdin="").returncode != 0


@pytest.mark.full
def test_a_second_run_changes_nothing(lab, client):
    run = lab.dind("-e", "unshim_dind_mode=service")
    assert run.code == 0 and run.recap()[WORKER]["changed"] == 0, run.output


@pytest.mark.full
def test_with_a_new_certificate_its_pod_is_new_and_its_data_are_not(lab, client):
    lab.done(client, "docker", "run", "--rm", "-v", "kept:/v", BUSYBOX, "sh", "-c", "echo kept >/v/file")
    before = lab.get("pod", "dind-0", "-n", NAMESPACE)["metadata"]["uid"]
    lab.kubectl("delete", "secret", "dind-server-tls", "-n", NAMESPACE)
    run = lab.dind("-e", "unshim_dind_mode=service")
    assert run.code == 0 and "dind-server-tls was made anew" in " ".join(run.output.split()), run.output
    assert "PRIVATE KEY" not in run.output
    lab.kubectl("rollout", "status", "statefulset/dind", "-n", NAMESPACE, "--timeout=180s")
    assert lab.get("pod", "dind-0", "-n", NAMESPACE)["metadata"]["uid"] != before
    # The claim: the image is there as well, and what was built from it.
    kept = lab.done(client, "docker", "run", "--pull", "never", "--rm", "-v", "kept:/v", BUSYBOX, "cat", "/v/file")
    assert kept.strip() == "kept"
    assert "built-by-" in lab.done(client, "docker", "images", "--format", "{{.Repository}}")
