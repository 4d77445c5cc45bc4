"""The story's shared parts: the lab's cluster and the runbooks, as the tests of each phase see them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests/runbooks"), str(ROOT / "tests/workloads")]

import runbook as runbooks
from lab import Lab


@pytest.fixture(scope="session")
def lab():
    return Lab(ROOT)


@pytest.fixture
def runbook(lab, tmp_path):
    """Run a section of a runbook as somebody would who follows it: runbook("commit", "Commit", node="unshim-w1")."""

    def run(name, section, node="", **environment):
        def on_node(script):
            done = subprocess.run(
                ["docker", "exec", "-i", node, "sh", "-s"],
                input=script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout

        values = {"INVENTORY": lab.inventory, "NODE": node}
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
                "HOME": str(tmp_path),  # the pause file of a person who works on this machine is not ours
                **environment,
            },
            lab.root,
        )

    return run
