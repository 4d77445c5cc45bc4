"""The patch of each workload that mounts Docker's socket: golden files, and what the workload is after it."""

from pathlib import Path

import api_shapes
import pytest
import yaml
from strategic_merge import merged

from unshim.dind import patches
from unshim.dind.model import MODES
from unshim.workloads.manifests import read
from unshim.workloads.scan import scan

DATA = Path(__file__).parents[2] / "data/dind"
WORKLOADS = (DATA / "workloads.yml").read_text()
OBJECTS = {one["metadata"]["name"]: one for one in yaml.safe_load_all(WORKLOADS)}


@pytest.fixture
def made(settings, cluster):
    def make(mode="sidecar", version="1.20.2", text=WORKLOADS, **changes):
        documents, problems = read(text, "workloads.yml")
        assert problems == []
        findings, _ = scan(documents)
        return {one.name: one for one in patches.make(findings, documents, settings(mode, **changes), cluster(version))}

    return make


def pod_spec(data):
    while "containers" not in data:
        data = data.get("spec") or data.get("jobTemplate") or data["template"]
        if "template" in data:
            data = data["template"]["spec"]
    return data


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", ["1.20.2", "1.31.0"])
def test_the_patches_are_those_of_the_golden_file(mode, version, made, update_golden):
    shown = {
        name: {"command": one.command, "notes": list(one.notes), "patch": one.patch}
        for name, one in made(mode, version).items()
    }
    text = yaml.safe_dump(shown, sort_keys=True, width=120)
    golden = DATA / f"patches/{mode}-{version}.yml"
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", ["1.20.2", "1.31.0"])
def test_after_the_patch_it_is_a_workload_without_dockers_socket(mode, version, made):
    """The very scan that found it finds nothing of the node's Docker any more, and the API takes the object."""
    found = made(mode, version)
    assert set(found) == set(OBJECTS)
    for name, one in found.items():
        if not one.patch:
            continue
        after = merged(OBJECTS[name], one.patch)
        assert api_shapes.mistakes(after) == []
        documents, _ = read(yaml.safe_dump(after), "after.yml")
        left = {finding.id for finding in scan(documents)[0]} & set(patches.RULES)
        assert left == set(), f"{name}: {left}"


def test_which_get_no_patch_and_why(made):
    without = {name: one.notes for name, one in made().items() if not one.patch}
    assert set(without) == {"bare"}
    assert "a Pod has no strategic merge patch" in without["bare"][0]


@pytest.mark.parametrize("version", ["1.20.2", "1.31.0"])
def test_a_user_asks_its_sidecar_and_shares_its_workspace_with_it(version, made):
    after = pod_spec(merged(OBJECTS["agent"], made("sidecar", version)["agent"].patch))
    containers = {one["name"]: one for one in [*after.get("initContainers", ()), *after["containers"]]}
    agent, dind = containers["agent"], containers["dind"]
    assert {"name": "DOCKER_HOST", "value": "unix:///run/dind/docker.sock"} in agent["env"]
    assert {mount["mountPath"] for mount in agent["volumeMounts"]} == {"/home/agent/work", "/etc/agent", "/run/dind"}
    at = {mount["mountPath"]: mount["name"] for mount in dind["volumeMounts"]}
    assert at["/home/agent/work"] == "workspace" and "/etc/agent" not in at
    assert containers["metrics"] == OBJECTS["agent"]["spec"]["template"]["spec"]["containers"][1]
    assert {"key": "ci", "operator": "Exists"} in after["tolerations"] and len(after["tolerations"]) == 2
    if version == "1.20.2":
        assert [one["name"] for one in after["containers"]] == ["dind", "agent", "metrics"]
    else:
        assert [one["name"] for one in after["initContainers"]] == ["dind"]


def test_a_job_before_1_29_tells_dockerd_when_it_has_ended(made):
    after = pod_spec(merged(OBJECTS["nightly"], made()["nightly"].patch))
    build = next(one for one in after["containers"] if one["name"] == "build")
    assert build["command"][:2] == ["/bin/sh", "-c"] and build["command"][3:] == ["make"]
    assert build["args"] == ["image", "push"]
    dind = next(one for one in after["containers"] if one["name"] == "dind")
    assert {"name": "DIND_ENDS_WITH_JOB", "value": "1"} in dind["env"]
    newer = pod_spec(merged(OBJECTS["nightly"], made(version="1.31.0")["nightly"].patch))
    assert newer["containers"][0]["command"] == ["make"]


def test_what_a_patch_cannot_do_is_said(made):
    notes = {name: " ".join(one.notes) for name, one in made().items()}
    assert "has no command of its own" in notes["once"] and "cannot be changed" in notes["once"]
    assert "takes all of it away" in notes["jenkins"]
    assert "DOCKER_HOST=unix:///host/docker.sock; the patch replaces it" in notes["nightly"]
    service = {name: " ".join(one.notes) for name, one in made("service").items()}
    assert "add ci to unshim_dind_client_namespaces" in service["agent"]
    assert "client_namespaces" not in " ".join(made("service", client_namespaces=("ci",))["agent"].notes)


def test_the_sockets_group_is_the_users(made):
    dind = next(
        one
        for one in pod_spec(merged(OBJECTS["jenkins"], made()["jenkins"].patch))["containers"]
        if one["name"] == "dind"
    )
    assert {"name": "DIND_GROUP", "value": "998"} in dind["env"]


def test_a_workload_without_the_socket_gets_no_patch(made):
    text = WORKLOADS.replace("/var/run/docker.sock", "/srv/data").replace("/run/docker.sock", "/srv/data")
    assert set(made(text=text)) == {"jenkins"}
