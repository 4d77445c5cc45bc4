"""The whole story of a CI agent that mounts docker.sock: on Docker, after the move without help, and with its patch."""

import time

import pytest
import yaml
from dind_lab import BUSYBOX, NAMESPACE, WORKER
from lab import recap


def agent(lab, seconds=60):
    """Return the name of the agent's pod as soon as it runs."""
    deadline = time.monotonic() + seconds
    while True:
        pods = lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
        running = [
            pod for pod in pods if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        ]
        if running:
            return running[0]["metadata"]["name"]
        assert time.monotonic() < deadline, [pod["status"] for pod in pods]
        time.sleep(0.5)


def docker(lab, *words):
    return lab.execute(agent(lab), "docker", *words, container="agent", namespace="ci")


def test_on_dockershim_it_has_the_nodes_docker(lab):
    assert lab.runtime() == "docker"
    seen = docker(lab, "ps", "--format", "{{.Names}}")
    assert f"k8s_agent_{agent(lab)}_ci" in seen.stdout, "its own container is the node's"
    assert docker(lab, "run", "--rm", BUSYBOX, "echo", "from docker.sock").stdout.strip() == "from docker.sock"


def test_docker_in_docker_is_refused_until_the_node_has_moved(lab):
    run = lab.dind()
    assert run.code != 0 and "Move it first: migrate.yml" in " ".join(run.output.split())
    assert "Traceback" not in run.output


def test_after_the_move_it_has_nothing(lab, moved):
    said = docker(lab, "ps")
    assert said.returncode != 0 and "Cannot connect to the Docker daemon" in said.stderr
    (pod,) = lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
    assert not pod["status"]["containerStatuses"][0]["ready"]


def test_check_mode_says_that_it_would_change_something_and_changes_nothing(lab, moved):
    run = lab.dind("--check")
    assert run.code == 0 and run.recap()[WORKER]["changed"] > 0, run.output
    assert NAMESPACE not in lab.kubectl("get", "namespaces", "-o", "name")
    assert "unshim.io/dind" not in lab.get("node", WORKER)["metadata"]["labels"]
    assert lab.on(WORKER, "ls /etc/sysctl.d/99-unshim-dind.conf 2>/dev/null || true") == ""


@pytest.fixture(scope="module")
def patched(lab, sidecars, runbook):
    return runbook("dind", "Move a workload off docker.sock")


def test_a_second_run_of_dind_changes_nothing(patched):
    """The inventory has the agent's namespace already, so what the runbook does before the patch is a second run."""
    (counts,) = recap(patched[-1].output).values()
    assert counts["changed"] == counts["failed"] == 0, patched[-1].output


def test_with_its_patch_it_has_a_dockerd_of_its_own(lab, patched):
    (pod,) = (
        one
        for one in lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
        if not one["metadata"].get("deletionTimestamp")
    )
    assert [one["name"] for one in pod["spec"]["containers"]] == ["dind", "agent"]
    assert not any("hostPath" in volume for volume in pod["spec"]["volumes"])
    said = docker(lab, "run", "--rm", BUSYBOX, "echo", "from dind")
    assert said.stdout.strip() == "from dind", said


def test_its_files_are_dockerds_too(lab, patched):
    """`docker run -v` of a path of its workspace finds the files that it has put there."""
    script = f"echo mine >/workspace/file && docker run --rm -v /workspace:/w {BUSYBOX} cat /w/file"
    assert lab.done(agent(lab), "sh", "-c", script, container="agent", namespace="ci").strip() == "mine"
    patch = yaml.safe_load((lab.records / "patches/ci/deployment-agent.yml").read_text())
    assert patch["metadata"] == {"name": "agent", "namespace": "ci"}
    # Nobody needs it any more: its dockerd makes room.
    lab.kubectl("scale", "deployment", "agent", "-n", "ci", "--replicas=0")
