"""The agent gets its patch and works again: the runbook's own commands."""

import yaml
from dind_lab import BUSYBOX


def ready_agent(lab):
    lab.kubectl("rollout", "status", "deployment/agent", "-n", "ci", "--timeout=180s")
    (pod,) = (
        pod
        for pod in lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
        if not pod["metadata"].get("deletionTimestamp")
    )
    return pod


def test_the_patch_gives_it_a_dockerd_of_its_own(lab, runbook):
    runbook("dind", "Move a workload off docker.sock")
    pod = ready_agent(lab)
    name = pod["metadata"]["name"]
    assert [one["name"] for one in pod["spec"]["containers"]] == ["dind", "agent"]
    assert not any("hostPath" in volume for volume in pod["spec"]["volumes"])
    said = lab.done(name, "docker", "run", "--rm", BUSYBOX, "echo", "from dind", container="agent", namespace="ci")
    assert said.strip() == "from dind"


def test_its_files_are_dockerds_too(lab):
    """`docker run -v` of a path of its workspace finds the files that it has put there."""
    name = ready_agent(lab)["metadata"]["name"]
    script = f"echo mine >/workspace/file && docker run --rm -v /workspace:/w {BUSYBOX} cat /w/file"
    assert lab.done(name, "sh", "-c", script, container="agent", namespace="ci").strip() == "mine"


def test_the_patch_is_what_was_printed(lab):
    patch = yaml.safe_load((lab.records / "patches/ci/deployment-agent.yml").read_text())
    assert patch["metadata"] == {"name": "agent", "namespace": "ci"}
