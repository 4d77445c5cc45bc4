"""monitoring.yml writes what monitoring systems need of the hosts it looked at, once, and names a setting that is wrong."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]


@pytest.fixture
def write(tmp_path):
    """Run the playbook's part on the controller, as if both nodes had been looked at."""
    hosts = {
        "w1": {"monitoring_endpoint": {"address": "10.0.0.1:1338", "is_loopback": False}, "ansible_host": "10.0.0.1"},
        "w2": {"monitoring_endpoint": {"address": "127.0.0.1:1338", "is_loopback": True}, "ansible_host": "10.0.0.2"},
        "other": {},
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"kube_node": {"hosts": hosts}}}}))

    def run(**settings):
        settings["unshim_monitoring_dir"] = str(tmp_path / "written")
        return subprocess.run(
            ["ansible-playbook", "-i", tmp_path / "hosts.yml", ROOT / "playbooks/monitoring.yml", "--skip-tags=nodes",
             "-e", json.dumps(settings)],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        )  # fmt: skip

    run.directory = tmp_path / "written"
    return run


def test_files_are_written_once(write):
    first = write(unshim_alerts={"DindDown": {"enabled": False}})
    assert first.returncode == 0, first.stdout
    jobs = yaml.safe_load((write.directory / "prometheus/scrape.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: [one["targets"][0] for one in job["static_configs"]] for job in jobs}
    assert targets == {"containerd": ["10.0.0.1:1338"], "node": ["10.0.0.1:9100", "10.0.0.2:9100"]}
    assert "DindDown" not in (write.directory / "prometheus/rules.yml").read_text()
    assert {path.name for path in write.directory.iterdir()} == {
        "grafana",
        "logs",
        "node-problem-detector",
        "prometheus",
    }
    assert " changed=0 " in write(unshim_alerts={"DindDown": {"enabled": False}}).stdout


def test_alert_that_does_not_exist_is_named(write):
    run = write(unshim_alerts={"DindDwon": {"enabled": False}})
    assert run.returncode != 0
    said = " ".join((run.stdout + run.stderr).split())
    assert "unshim_alerts.DindDwon: there is no such alert; do you mean DindDown?" in said
    assert "Traceback" not in said and not write.directory.exists()
