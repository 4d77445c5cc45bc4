"""One node of a batch fails: Ansible takes every other node of it to the rescue, too, and each must be put back."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- hosts: all
  connection: local
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - name: Drain
          ansible.builtin.fail:
            msg: no other node can take its pods
          when: inventory_hostname == "one"
      rescue:
        - ansible.builtin.include_tasks: {tasks}
        - name: Stop
          ansible.builtin.fail:
            msg: '{{{{ inventory_hostname }}}} was not moved. "{{{{ move_failed_task }}}}" failed: {{{{ move_failed_cause }}}}'
"""


def test_every_node_of_the_batch_keeps_a_cause(tmp_path):
    playbook = tmp_path / "play.yml"
    (tmp_path / "ansible.cfg").touch()
    playbook.write_text(PLAYBOOK.format(tasks=ROOT / "playbooks/tasks/keep_cause.yml"))
    done = subprocess.run(
        ["ansible-playbook", "-i", "one,two", str(playbook)],
        text=True, capture_output=True, check=False, cwd=tmp_path,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "COLUMNS": "400"},
    )  # fmt: skip
    said = " ".join((done.stdout + done.stderr).split())
    assert 'one was not moved. "Drain" failed: no other node can take its pods' in said
    assert 'two was not moved. "The batch" failed: another node of the same batch failed' in said
