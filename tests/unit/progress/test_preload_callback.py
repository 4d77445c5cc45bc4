"""What a worker of a real ansible-playbook finds already imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Loaded by a worker, which then has imported nothing of the project by itself.
ACTION = """
import os, sys
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        names = ("unshim.plan", "unshim.observe", "unshim.dind.host", "unshim_kube.client")
        return {"changed": False, "worker": os.getpid(), "controller": os.getppid(), "found": [name for name in names if name in sys.modules]}
"""


def found(tmp_path, callbacks):
    (tmp_path / "actions").mkdir()
    (tmp_path / "actions" / "look.py").write_text(ACTION)
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "look.py").write_text("")
    play = [{"hosts": "all", "gather_facts": False, "tasks": [{"look": {}}]}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "n1,", tmp_path / "play.yml"],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ACTION_PLUGINS": f"{tmp_path / 'actions'}:{ROOT / 'action_plugins'}",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            **callbacks,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    result = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["n1"]
    assert result["worker"] != result["controller"]
    return result["found"]


def test_a_worker_has_the_projects_code_from_the_start(tmp_path):
    assert found(tmp_path, {}) == ["unshim.plan", "unshim.observe", "unshim.dind.host", "unshim_kube.client"]


def test_without_the_callback_it_has_not(tmp_path):
    """Else the callback could go."""
    assert found(tmp_path, {"ANSIBLE_CALLBACKS_ENABLED": "unshim_progress"}) == []


def test_each_file_of_filters_has_one_that_is_preloaded():
    listed = (ROOT / "callback_plugins/unshim_preload.py").read_text().partition("FILTERS = (")[2].partition(")")[0]
    names = [name.strip(' "') for name in listed.split(",")]
    for file in (ROOT / "filter_plugins").glob("*.py"):
        assert any(f'"{name}":' in file.read_text() for name in names), file
