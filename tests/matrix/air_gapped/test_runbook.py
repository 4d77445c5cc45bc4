"""A machine of a site without a repository is provisioned from files, by the runbook."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/runbooks"))

import runbook as runbooks

NODE = "unshim-m-archive"


def runbook(name, section):
    values = {"INVENTORY": "inventory/lab-matrix", "NODE": NODE}
    environment = {**runbooks.environment_of_a_user(), "PATH": os.environ["PATH"]}
    return runbooks.execute(name, section, values, None, environment)


def test_the_files_are_announced_and_then_used():
    (announced,) = runbook("air-gapped", "See what will come from where")
    assert "containerd-2.1" in announced.output
    _, version = runbook("air-gapped", "A node without Kubernetes")
    server = version.output.partition("Server:")[2]
    assert re.search(r"Version: +v?2\.1\.", server), version.output
