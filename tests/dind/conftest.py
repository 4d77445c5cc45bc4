"""The shared parts of the tests of Docker-in-Docker: inventory/lab-dind as they see it, and the runbook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/story"), str(ROOT / "tests/runbooks"), str(Path(__file__).parent)]

import runbook as runbooks
from dind_lab import WORKER, DindLab
from docker_uses import VISITOR


@pytest.fixture(scope="session")
def lab():
    return DindLab(ROOT)


@pytest.fixture(scope="session")
def visitor(lab):
    """A pod without a dockerd, which may reach published ports by the NetworkPolicies."""
    return lab.plain_pod(VISITOR, labels={"unshim.io/dind-client": "true"})


@pytest.fixture(scope="session")
def stranger(lab):
    """A pod of another namespace, without the label."""
    return lab.plain_pod("stranger", "ci")


@pytest.fixture(scope="session")
def runbook(lab):
    """Run a section of the runbook as somebody would who follows it: runbook("dind", "A dockerd beside each job")."""

    def run(name, section):
        def on_node(script):
            done = subprocess.run(
                ["docker", "exec", "-i", lab.host, "sh", "-s"],
                input=script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout

        values = {
            "INVENTORY": lab.inventory,
            "IMAGE": lab.image,
            "HOST": lab.host,
            "PATCHES": str(lab.records / "patches"),
            "NAMESPACE": "ci",
            "DEPLOYMENT": "agent",
        }
        kubectl = (lab.root / "build/lab/kubectl").parent
        return runbooks.execute(
            name,
            section,
            {key: values[key] for key in runbooks.variables(name)},
            on_node,
            {
                **runbooks.environment_of_a_user(),
                "PATH": f"{kubectl}:{os.environ['PATH']}",
                "KUBECONFIG": str(lab.root / lab.kubeconfig),
            },
            lab.root,
        )

    return run


@pytest.fixture(scope="session")
def moved(lab):
    """The worker runs on containerd."""
    if lab.runtime() == "docker":
        run = lab.playbook("migrate", "--limit", WORKER)
        assert run.code == 0, run.output
    assert lab.runtime() == "containerd"


@pytest.fixture(scope="session")
def sidecars(moved, runbook):
    """dind.yml has been there, in its default mode."""
    runbook("dind", "A dockerd beside each job")
