"""A playbook that goes on without a node that was not seen tells of it once."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_scan_gives_one_error_for_a_node_that_does_not_answer(tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "kube_node: {hosts: {w1: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n"
        f"all: {{vars: {{unshim_kubeconfig: {tmp_path}/none}}}}\n"
    )
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), str(ROOT / "playbooks/scan.yml")],
        text=True, capture_output=True, check=False, cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_RETRIES": "0", "COLUMNS": "400"},
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert "UNREACHABLE" in said and "ignored=1 " in said, said
    assert "There are no facts" not in said
    assert f"There is no kubeconfig at {tmp_path}/none" in said
