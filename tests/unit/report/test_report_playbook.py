"""report.yml as Ansible runs it: this machine as a node, one that cannot be reached, and what the run leaves behind."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unshim import report_journal

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path):
    def play(*arguments):
        hosts = {
            "kube_node": {
                "hosts": {
                    "here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
                    # 192.0.2.0/24 is nobody's (RFC 5737).
                    "<b>gone</b>": {"ansible_host": "192.0.2.1", "ansible_timeout": 2, "ansible_ssh_retries": 0},
                }
            }
        }
        (tmp_path / "hosts.json").write_text(json.dumps(hosts))
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.json")]
        command += ["-e", f"unshim_report_dir={tmp_path}/reports", "-e", "ansible_become=false", *arguments]
        done = subprocess.run(
            [*command, str(ROOT / "playbooks/report.yml")],
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
        )  # fmt: skip
        files = sorted((tmp_path / "reports").glob("*")) if (tmp_path / "reports").is_dir() else []
        return done, {path.suffix: path for path in files}

    return play


def test_a_report_is_written_also_of_what_cannot_be_reached(run, fleet, tmp_path):
    findings = tmp_path / "findings.json"
    findings.write_text(json.dumps(fleet.workload_findings()))
    done, files = run("-e", f"unshim_workload_findings={findings}")
    assert done.returncode == 4, done.stdout  # Ansible's code for a host that cannot be reached
    assert set(files) == {".html", ".md", ".json"}
    data = json.loads(files[".json"].read_text())
    here, gone = data["nodes"]
    assert (here["host"], here["status"]) == ("here", "blocked"), "a machine without a kubelet"
    assert here["os"] and here["findings"]
    assert (gone["host"], gone["status"]) == ("<b>gone</b>", "unknown")
    assert "docker-socket-mount" in [rule["rule"] for rule in data["rules"]]
    page = files[".html"].read_text()
    assert "&lt;b&gt;gone&lt;/b&gt;" in page and "<b>gone" not in page
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    assert str(files[".html"]) in " ".join(done.stdout.split())
    assert "changed=0" in re.search(r"^here .*", done.stdout, re.MULTILINE)[0]


@pytest.mark.parametrize(
    "content, said",
    [
        (None, "It cannot be read: No such file or directory."),
        ("{", "It is no JSON: "),
        ('{"form": 1, "findings": [{"id": 1}]}', "A finding cannot be used: "),
    ],
)
def test_findings_that_are_none_are_said_and_fail_nothing(run, tmp_path, content, said):
    findings = tmp_path / "findings.json"
    if content is not None:
        findings.write_text(content)
    done, files = run("--limit", "here", "-e", f"unshim_workload_findings={findings}")
    assert done.returncode == 0, done.stdout
    printed = " ".join(done.stdout.split())
    assert f"There is no report. {findings} (unshim_workload_findings): {said}" in printed
    assert files == {} and "Traceback" not in printed


def test_a_directory_that_cannot_be_written_to_is_said(run, tmp_path):
    (tmp_path / "reports").write_text("a file")
    done, _ = run("--limit", "here")
    assert done.returncode == 0, done.stdout
    assert f"There is no report. The report cannot be written to {tmp_path}/reports" in " ".join(done.stdout.split())
    assert "unshim_report_dir" in done.stdout and "Traceback" not in done.stdout


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_what_the_role_prints_is_what_is_read(shell, fleet, tmp_path):
    (task,) = [
        one["ansible.builtin.raw"]
        for one in yaml.safe_load((ROOT / "roles/report/tasks/main.yml").read_text())
        if "ansible.builtin.raw" in one
    ]
    command = task.replace("/var/lib/unshim", str(tmp_path))
    assert subprocess.run([shell, "-c", command], capture_output=True, check=True).stdout == b"", (
        "a node without journals"
    )
    for name, journal in (
        ("journal-1.json", fleet.journal("drained", rolled_back=True)),
        ("journal-12.json", fleet.journal("switched", generation=12, rolled_back=True)),
        ("journal-2.json", fleet.journal("switched", generation=2, rolled_back=True)),
        ("journal.json", fleet.journal("verified", generation=13)),
        ("journal.json.previous", fleet.journal("switched", generation=13)),
    ):
        (tmp_path / name).write_text(json.dumps(journal, indent=1) + "\n")
    printed = subprocess.run([shell, "-c", command], capture_output=True, check=True, text=True).stdout
    found = report_journal.attempts(printed.replace(str(tmp_path), "/var/lib/unshim"))
    assert [one.generation for one in found] == [1, 2, 12, 13]
    assert found[-1].state == "verified"
