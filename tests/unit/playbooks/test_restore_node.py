"""What the rescue of a move decides from how far the node came; the modules are stand-ins that note their calls."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- hosts: one
  connection: local
  gather_facts: false
  vars:
    ansible_facts: {{runtime_plan: {{node_name: one}}}}
    move_failed_task: Gate
    move_failed_cause: it said no.
    restore_bundle: " What tells why is in /bundle."
    unshim_on_failure: {on_failure}
  tasks:
    - ansible.builtin.include_tasks: {tasks}
"""
STAND_IN = """#!/usr/bin/python
import json
answers = json.load(open({path!r}))
name = {name!r}
with open({calls!r}, "a") as stream:
    stream.write(name + "\\n")
print(json.dumps(answers[name]))
"""
ROLE = """
- name: Give the kubelet its own files back and start it
  back_on_docker: {}
- name: Let pods come to the node again
  node_drain: {}
  register: rollback_opened
"""
FINE = {"changed": True}


@pytest.fixture
def restore(tmp_path):
    def run(on_failure="restore", **answers):
        given = {
            "migration_journal": {"changed": False, "state": "prepared"},
            "node_drain": {"changed": True, "was_unschedulable": False},
            "back_on_docker": FINE,
            **answers,
        }
        (tmp_path / "answers").write_text(json.dumps(given))
        (tmp_path / "library").mkdir()
        for name in given:
            text = STAND_IN.format(path=str(tmp_path / "answers"), calls=str(tmp_path / "calls"), name=name)
            (tmp_path / "library" / f"{name}.py").write_text(text)
        (tmp_path / "roles/rollback/tasks").mkdir(parents=True)
        (tmp_path / "roles/rollback/tasks/main.yml").write_text(ROLE)
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAYBOOK.format(tasks=ROOT / "playbooks/tasks/restore_node.yml", on_failure=on_failure))
        (tmp_path / "ansible.cfg").write_text(f"[defaults]\nlibrary={tmp_path}/library\nroles_path={tmp_path}/roles\n")
        (tmp_path / "calls").touch()
        done = subprocess.run(
            ["ansible-playbook", "-i", "one,", str(playbook)],
            text=True, capture_output=True, check=False, cwd=tmp_path,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "COLUMNS": "400"},
        )  # fmt: skip
        assert done.returncode == 2, done.stdout + done.stderr
        said = " ".join((done.stdout + done.stderr).split())
        assert '"Gate" failed: it said no.' in said and "What tells why is in /bundle." in said, said
        return said, (tmp_path / "calls").read_text().split()

    return run


def test_a_failed_drain_leaves_the_node_prepared(restore):
    said, calls = restore()
    assert (
        "Its pods never left Docker, and what was prepared on it stays for the next try. The node is open for pods."
        in said
    )
    assert calls == ["migration_journal", "node_drain"]


def test_one_that_was_cordoned_before_stays_so(restore):
    said, _ = restore(node_drain={"changed": True, "was_unschedulable": True})
    assert "The node stays cordoned, as it was before." in said


def test_one_that_was_cordoned_before_stays_so_after_its_way_back(restore):
    said, _ = restore(
        migration_journal={"changed": False, "state": "switched"},
        node_drain={"changed": True, "was_unschedulable": True},
    )
    assert "The node was put back on Docker and stays cordoned, as it was before." in said


def test_a_node_that_cannot_be_opened(restore):
    said, _ = restore(node_drain={"failed": True, "msg": "the API server is away"})
    assert "could not be opened for pods: the API server is away" in said and "kubectl uncordon one" in said


@pytest.mark.parametrize("state", ["drained", "switched"])
def test_after_the_drain_it_goes_back(restore, state):
    said, calls = restore(migration_journal={"changed": False, "state": state})
    assert "The node was put back on Docker and is open for pods." in said
    assert calls == ["migration_journal", "back_on_docker", "node_drain"]


def test_a_journal_that_cannot_be_read_is_no_reason_to_leave_it(restore):
    _, calls = restore(migration_journal={"failed": True, "msg": "it is damaged"})
    assert "back_on_docker" in calls


def test_a_way_back_that_fails_tells_both_causes(restore):
    said, _ = restore(
        migration_journal={"changed": False, "state": "switched"},
        back_on_docker={"failed": True, "msg": "Docker is stuck"},
    )
    assert "could not be put back either" in said and "Docker is stuck" in said and "by_hand" in said


def test_hold_touches_nothing(restore):
    said, calls = restore(on_failure="hold", migration_journal={"changed": False, "state": "switched"})
    assert "left as it is, switched" in said and "unshim_on_failure: hold" in said
    assert calls == ["migration_journal"]
