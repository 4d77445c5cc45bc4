"""A node under a temporary directory, on which modules run as Ansible runs them: real files and processes, a systemd of ours."""

import json
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

HERE = Path(__file__).resolve().parent


def run_module(name, capsys, check=False, **arguments):
    """Run library/NAME.py and return its result."""
    sys.modules.pop(name, None)
    module = __import__(name)
    capsys.readouterr()
    with patch_module_args(dict(arguments, _ansible_check_mode=check)), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


class Node:
    """Directories and programs of a node, under a temporary directory."""

    def __init__(self, root, capsys):
        self.root = root
        self.capsys = capsys
        self.units = root / "units"
        self.etc = root / "etc"
        self.journal = root / "unshim"
        self.bin = root / "bin"
        for directory in (self.units, self.etc, self.bin):
            directory.mkdir()
        self.program("systemctl", f'exec {sys.executable} -IS {HERE}/stand_in_systemctl.py "$@"')
        self.program("journalctl", 'echo "E1124 12:00:00 kubelet.go: what the log says"')

    def program(self, name, script):
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + script + "\n")
        path.chmod(0o755)

    def unit(self, name, **state):
        loaded = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "MainPID": "7"}
        (self.units / (name + ".json")).write_text(json.dumps({**loaded, **state}))

    def state_of(self, unit):
        return json.loads((self.units / (unit + ".json")).read_text())

    def calls(self):
        """What was asked of systemd since the last time."""
        path = self.units / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("reset-failed")]

    def run(self, name, check=False, **arguments):
        return run_module(name, self.capsys, check, journal_root=str(self.journal), **arguments)

    def written(self):
        return json.loads((self.journal / "journal.json").read_text())


def change(path, before, after, **more):
    return {"path": str(path), "before": before, "after": after, **more}


@pytest.fixture
def node(tmp_path, capsys, monkeypatch):
    made = Node(tmp_path, capsys)
    monkeypatch.setenv("UNITS", str(made.units))
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    return made
