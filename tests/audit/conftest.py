"""How the tests of the audit are run: deploys/audit.py and playbooks/audit.yml as a user runs them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import sshd_farm

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    code: int
    output: str
    errors: str
    audit: dict | None

    def nodes(self):
        return {node["node"]: node for node in self.audit["nodes"]}


class Auditor:
    def __init__(self, directory):
        self.directory = directory

    def pyinfra(self, inventory, *arguments, timeout=30):
        path = self.directory / "pyinfra.json"
        command = [sys.executable, ROOT / "deploys/audit.py", "-i", inventory, "--timeout", str(timeout)]
        return self._run([*command, "--json", path, *arguments], path)

    def ansible(self, inventory, *arguments, timeout=30):
        path = self.directory / "ansible.json"
        # A relative path counts from where ansible-playbook was started.
        settings = json.dumps({"unshim_audit_file": path.name, "unshim_audit_timeout": timeout})
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, ROOT / "playbooks/audit.yml"]
        return self._run([*command, "-T", str(timeout), "-e", settings, *arguments], path)

    def _run(self, command, path):
        path.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_RETRIES": "0",
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.directory, env=environment, timeout=1800, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr, json.loads(path.read_text()) if path.exists() else None)


@pytest.fixture
def auditor(tmp_path):
    return Auditor(tmp_path)


@pytest.fixture
def farm():
    """The maker of SSH targets; only root can give them machines of their own."""
    if os.getuid() != 0:
        pytest.skip("only root can make mount namespaces")
    return sshd_farm.farm
