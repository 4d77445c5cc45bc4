"""Nodes that cannot be provisioned, over real SSH: each is told of, none stops another, and nothing is changed on any."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sshd_farm

ROOT = Path(__file__).parents[3]


def deploy(inventory, *arguments):
    command = [sys.executable, ROOT / "deploys/provision.py", "-i", inventory, *arguments]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make mount namespaces")
def test_blocked_and_unreachable_nodes():
    with sshd_farm.farm(up=2, down=1) as fleet:
        hosts = {
            "blocked": {"ansible_port": fleet.up[0]},
            "not-root": {"ansible_port": fleet.up[1], "ansible_user": "auditor"},
            "gone": {"ansible_port": fleet.down[0]},
            "odd": {"ansible_connection": "winrm"},
        }
        inventory = fleet.inventory(hosts)
        before = fleet.files()
        done = deploy(inventory)
        assert fleet.files() == before
        only_gone = deploy(inventory, "--limit", "gone,odd")
    assert done.returncode == 2, done.stderr
    assert done.stderr == ""
    # The machines' process 1 is a shell: in the plan's words.
    assert "blocked cannot be moved yet; nothing was changed.\n" in done.stdout
    assert "[no-systemd]" in done.stdout and "[not-root]" in done.stdout
    assert re.search("gone was not reached: .*Unable to connect", done.stdout)
    assert "odd was not reached: provision.py has no connection winrm" in done.stdout
    assert "Use playbooks/provision.yml" in done.stdout
    assert done.stdout.endswith("4 nodes: 2 not reached, 2 blocked.\n")
    assert only_gone.returncode == 3


def test_bad_arguments_and_inventories_do_nothing(tmp_path):
    for arguments, said in (
        (["-i", str(tmp_path / "none.yml")], "there is no inventory"),
        (["-i", "localhost,", "--forks", "0"], "--forks is 0; it must be 1 or more"),
        (["-i", "localhost,", "--group", "none"], "no hosts in none"),
    ):
        done = deploy(*arguments[1:2], *arguments[2:])
        assert done.returncode == 64 and said in done.stderr and "Traceback" not in done.stderr
