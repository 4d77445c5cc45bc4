"""After the move, and without help: the agent that had docker.sock has nothing any more."""

import time


def test_its_node_runs_on_containerd(lab):
    for node in lab.workers:
        assert lab.get("node", node)["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")


def test_it_cannot_use_docker_any_more(lab):
    deadline = time.monotonic() + 60
    while True:
        pods = [
            pod
            for pod in lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
            if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        ]
        if pods:
            break
        assert time.monotonic() < deadline, "the agent does not run at all"
        time.sleep(1)
    name = pods[0]["metadata"]["name"]
    said = lab.execute(name, "docker", "ps", container="agent", namespace="ci")
    assert said.returncode != 0 and "Cannot connect to the Docker daemon" in said.stderr
    assert not pods[0]["status"]["containerStatuses"][0]["ready"]
