"""The action runtime_facts: how the script reaches a node, and a real run of Ansible on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unshim import observe, probe_command, records
from unshim.facts import Facts

ROOT = Path(__file__).resolve().parents[3]


def sh(command, path=None):
    environment = {**os.environ, **({"PATH": path} if path else {})}
    shell = shutil.which("sh")
    return subprocess.run(
        [shell, "-c", command], capture_output=True, env=environment, timeout=60, check=False
    ).stdout.decode()


def test_the_packed_script_runs():
    assert observe.parse(sh(probe_command.packed_command(observe.probe_script()))).uid == os.getuid()


def test_the_packed_script_has_nothing_to_quote():
    assert "'" not in probe_command.packed_command(observe.probe_script())


def test_the_plain_script_is_the_same_script():
    plain = observe.parse(sh(probe_command.plain_command(observe.probe_script())))
    packed = observe.parse(sh(probe_command.packed_command(observe.probe_script())))
    assert (plain.os, plain.files, plain.packages) == (packed.os, packed.files, packed.packages)


def test_a_node_without_gzip_says_so(tmp_path):
    (tmp_path / "base64").symlink_to(shutil.which("base64"))
    assert sh(probe_command.packed_command("echo ran"), path=str(tmp_path)).split() == [probe_command.NO_UNPACKER]


def ansible(*arguments, **environment):
    command = [sys.executable, "-m", "ansible", "adhoc", "-i", "localhost,", "-c", "local", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "1",
            **environment,
        },
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [[], ["--check", "--diff"]], ids=["run", "check"])
def test_ansible_returns_facts(arguments):
    code, output = ansible("localhost", "-m", "runtime_facts", *arguments)
    assert code == 0, output
    result = json.loads(output.partition("=>")[2])
    assert result["changed"] is False
    facts = records.from_data(Facts, result["ansible_facts"]["runtime"])
    assert facts.hostname == os.uname().nodename
    assert facts.not_seen == () or os.getuid() != 0


def test_ansible_refuses_options():
    code, output = ansible("localhost", "-m", "runtime_facts", "-a", "gather=all")
    assert code != 0
    assert "gather" in output


def test_a_shell_that_fails_is_one_clear_message():
    code, output = ansible("localhost", "-m", "runtime_facts", "-e", "ansible_shell_executable=/bin/false")
    assert code != 0
    assert "the probe did not run: it printed nothing" in output
    assert "Traceback" not in output
