"""The bundle is made whatever is out of reach: the run goes on, and what is missing is said."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- hosts: all
  gather_facts: false
  vars:
    ansible_ssh_common_args: -o ConnectTimeout=2 -o BatchMode=yes
    unshim_bundle_dir: {directory}
    unshim_kubeconfig: {kubeconfig}
    move_failed_task: Verify
    move_failed_cause: the gate said no
  tasks:
    - ansible.builtin.include_tasks: {tasks}
    - name: Go on
      ansible.builtin.debug:
        msg: "bundle=<{{{{ move_bundle }}}}>"
"""


def run(tmp_path, directory, *arguments, connection="ssh"):
    playbook = tmp_path / "play.yml"
    tasks = ROOT / "playbooks/tasks/collect_bundle.yml"
    playbook.write_text(PLAYBOOK.format(tasks=tasks, directory=directory, kubeconfig=tmp_path / "no-kubeconfig"))
    (tmp_path / "hosts").write_text(f"one ansible_connection={connection} ansible_host=127.0.0.1 ansible_port=1\n")
    done = subprocess.run(
        ["ansible-playbook", "-i", str(tmp_path / "hosts"), str(playbook), *arguments],
        text=True, capture_output=True, check=False, cwd=ROOT, env={**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400", "ANSIBLE_SSH_RETRIES": "0"},
    )  # fmt: skip
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "bundles"


def test_a_node_out_of_reach(tmp_path, directory):
    code, said = run(tmp_path, directory)
    assert code == 0 and "Traceback" not in said, said
    (made,) = directory.iterdir()
    assert f"bundle=<{made}>" in said
    assert made.name.endswith("-one")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in made.iterdir())
    text = (made / "README.md").read_text()
    assert "the node's own part: it could not be reached" in text and "the gate said no" in text


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    code, said = run(tmp_path, tmp_path / "file" / "bundles")
    assert code == 0 and "bundle=<>" in said and "Traceback" not in said, said


def test_check_mode_makes_none(tmp_path, directory):
    code, said = run(tmp_path, directory, "--check")
    assert code == 0 and not directory.exists(), said


def test_without_a_cluster(tmp_path, directory):
    code, said = run(tmp_path, directory, "-e", '{"ansible_facts": {"runtime_plan": {"node_name": "one"}}}')
    assert code == 0, said
    (made,) = directory.iterdir()
    assert "what the cluster says: There is no kubeconfig at" in (made / "README.md").read_text()
