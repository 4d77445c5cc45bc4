"""Ansible at -vvv and with --diff, over its own ssh connection: the planted secrets are not on the screen or in any file.

``ssh`` is a program of ours that answers as a node with the secrets would; everything on this side of it is real.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import planted
import pytest

ROOT = Path(__file__).resolve().parents[3]
SSH = """\
#!{python}
import os, sys
command = sys.argv[-1]
if "unshim_probe" in command:
    sys.stdout.write(open({probe!r}).read())
elif command.startswith("/bin/sh -c") and "journal" in command:
    sys.stdout.write("==> /var/lib/unshim/journal.json <==\\n" + open({journal!r}).read() + "\\n")
elif command != "true" and "&& sleep 0" not in command and "echo ~" not in command:
    os.execvp("sh", ["sh", "-c", command])
"""
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - runtime_facts:
    - ansible.builtin.include_role: {{name: preflight, tasks_from: make_plan.yml}}
      vars: {{unshim_kubeconfig: ''}}
    - ansible.builtin.debug: {{msg: "{{{{ ansible_facts.runtime_plan | unshim_plan_text }}}}"}}
    - ansible.builtin.include_role: {{name: report}}
      vars: {{report_hosts: [w1], unshim_report_dir: {directory}/report, unshim_workload_findings: ''}}
    - support_bundle:
        directory: {directory}/bundle
        failed_task: Configure
        cause: {cause}
        facts: "{{{{ ansible_facts.runtime }}}}"
        plan: "{{{{ ansible_facts.runtime_plan }}}}"
        journal_root: {directory}/journal
        lines: 1
        seconds: 1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("screen")
    (directory / "probe").write_text(planted.probe())
    (directory / "journal").mkdir()
    (directory / "journal/journal.json").write_text(planted.JOURNAL)
    ssh = directory / "ssh"
    ssh.write_text(
        SSH.format(
            python=sys.executable, probe=str(directory / "probe"), journal=str(directory / "journal/journal.json")
        )
    )
    ssh.chmod(0o755)
    variables = {
        "ansible_ssh_executable": str(ssh),
        "ansible_host": "192.0.2.1",
        "ansible_python_interpreter": sys.executable,
    }
    (directory / "hosts.json").write_text(json.dumps({"kube_node": {"hosts": {"w1": variables}}}))
    (directory / "play.yml").write_text(PLAY.format(directory=directory, cause=json.dumps(planted.MESSAGE)))
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "--diff", "-i", str(directory / "hosts.json"), str(directory / "play.yml")],
        cwd=directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
        env={
            **os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOG_PATH": str(directory / "log"),
            "UNSHIM_PROGRESS_JSON": str(directory / "progress.json"),
        },
    )  # fmt: skip
    return directory, done


def test_the_run_did_all_of_it(run):
    directory, done = run
    assert done.returncode == 0, done.stdout[-3000:]
    assert "PLAN for w1" in done.stdout and "censored due to no log" in done.stdout
    assert sorted(path.suffix for path in (directory / "report").iterdir()) == [".html", ".json", ".md"]
    assert list((directory / "bundle").glob("*/README.md"))


@pytest.mark.parametrize("secret", planted.ALL)
def test_a_planted_secret_is_nowhere(run, secret):
    directory, done = run
    told = {"screen": done.stdout, "log": (directory / "log").read_text()}
    written = [*(directory / "report").iterdir(), *(directory / "bundle").glob("*/*"), directory / "progress.json"]
    told.update({str(path): path.read_text() for path in written if path.exists()})
    assert len(told) > 6
    for name, text in told.items():
        at = text.find(secret)
        assert at < 0, f"{name}: {text[max(0, at - 300) : at + 20]}"


def test_no_file_of_the_node_is_on_the_screen_in_another_spelling(run):
    """The probe sends files as base64, which is no spelling that hides anything."""
    _, done = run
    probe = planted.probe()
    for line in planted.encoded("x", planted.DAEMON_JSON).splitlines()[2:]:
        assert line in probe
        assert line not in done.stdout
