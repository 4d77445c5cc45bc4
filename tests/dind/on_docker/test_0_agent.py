"""A CI agent of the dockershim days, before anything is changed: it has the node's Docker."""

import pytest


@pytest.fixture(scope="module")
def agent(lab):
    lab.kubectl("wait", "--for=condition=available", "deployment/agent", "-n", "ci", "--timeout=120s")
    (pod,) = lab.get("pods", "-n", "ci", "-l", "app=agent")["items"]
    return pod


def test_its_node_runs_on_dockershim(lab, agent):
    node = lab.get("node", agent["spec"]["nodeName"])
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")


def test_it_asks_the_nodes_docker(lab, agent):
    name = agent["metadata"]["name"]
    said = lab.done(name, "docker", "ps", "--format", "{{.Names}}", container="agent", namespace="ci")
    # Its own container is the node's.
    assert f"k8s_agent_{name}_ci" in said


def test_it_runs_containers(lab, agent):
    name = agent["metadata"]["name"]
    image = "unshim-d-registry:5000/busybox:1.35"
    said = lab.done(name, "docker", "run", "--rm", image, "echo", "from docker.sock", container="agent", namespace="ci")
    assert said.strip() == "from docker.sock"


def test_docker_in_docker_is_refused_until_the_node_has_moved(lab, agent):
    run = lab.dind("--check")
    assert run.code != 0 and "Move it first: migrate.yml" in " ".join(run.output.split())
    assert "Traceback" not in run.output
