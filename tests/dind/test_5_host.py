"""A host without Kubernetes: provisioned, then a dockerd through its containerd, with systemd."""

import json
import subprocess
import time

import pytest
from dind_lab import BUSYBOX, REGISTRY

DOCKER = "ctr -n unshim-dind task exec --exec-id test-$$ dind docker -H unix:///run/dind/docker.sock "


@pytest.fixture(scope="module")
def host(lab):
    # Where containerd, and so dockerd, finds the lab's registry; an administrator's file.
    directory = f"/etc/containerd/certs.d/{REGISTRY}"
    lab.on(
        lab.host,
        f"mkdir -p '{directory}'; printf '[host.\"http://{REGISTRY}\"]\\n  capabilities = [\"pull\", \"resolve\"]\\n' >'{directory}/hosts.toml'",
    )


@pytest.mark.full
def test_check_mode_says_that_it_would_change_something_and_changes_nothing(lab, host):
    assert lab.playbook("provision", "-e", f"unshim_hosts={lab.host}").code == 0
    run = lab.dind("-e", f"unshim_hosts={lab.host}", "--check")
    assert run.code == 0 and run.recap()[lab.host]["changed"] > 0, run.output
    assert lab.on(lab.host, "ls -d /etc/unshim-dind /etc/systemd/system/unshim-dind.service 2>/dev/null || true") == ""


@pytest.fixture(scope="module")
def running(host, runbook):
    runbook("dind", "A host without Kubernetes")


def docker(lab, words):
    return lab.on(lab.host, DOCKER + words)


def test_the_unit_runs_and_dockerd_answers(lab, running):
    assert lab.on(lab.host, "systemctl is-active unshim-dind.service; systemctl is-enabled unshim-dind.service").split() == [
        "active", "enabled",
    ]  # fmt: skip
    info = json.loads(docker(lab, "info --format '{{json .}}'"))
    assert info["Driver"] == "overlay2" and info["DockerRootDir"] == "/var/lib/docker"
    assert f"{REGISTRY}" in json.dumps(info["RegistryConfig"]), "as containerd's hosts.toml has it"


def test_docker_run_and_a_published_port_of_the_host(lab, running):
    assert docker(lab, f"run --rm {BUSYBOX} echo inside").strip() == "inside"
    docker(lab, f"run -d --stop-signal KILL -p 8081:80 {BUSYBOX} httpd -f -p 80 -h /etc")
    script = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8081/passwd\", timeout=10).read().decode())'"
    assert lab.on(lab.host, script).startswith("root:")


def test_a_second_run_changes_nothing(lab, running):
    run = lab.dind("-e", f"unshim_hosts={lab.host}")
    assert run.code == 0 and run.recap()[lab.host]["changed"] == 0, run.output


def wait_until_active(lab, other_than="", seconds=120):
    """Wait until the unit has started, with another main process than before."""
    deadline = time.monotonic() + seconds
    ask = "systemctl show -p MainPID,ActiveState --value unshim-dind.service || true"
    while "active" not in (state := lab.on(lab.host, ask).split()) or other_than in state:
        assert time.monotonic() < deadline, lab.on(lab.host, "journalctl -n 50 -u unshim-dind.service", check=False)
        time.sleep(0.5)


def test_a_dockerd_that_dies_is_started_again_and_has_its_data(lab, running):
    docker(lab, f"run --rm -v kept:/v {BUSYBOX} sh -c 'echo kept >/v/file'")
    pid = lab.on(lab.host, "systemctl show -p MainPID --value unshim-dind.service").strip()
    lab.on(lab.host, "ctr -n unshim-dind task kill --signal SIGKILL dind")
    wait_until_active(lab, other_than=pid)
    assert docker(lab, f"run --pull never --rm -v kept:/v {BUSYBOX} cat /v/file").strip() == "kept"


def test_data_survives_a_restart_of_the_machine(lab, running):
    docker(lab, f"run --rm -v boot:/v {BUSYBOX} sh -c 'echo kept >/v/file'")
    lab.on(lab.host, "touch /run/before-the-restart")
    subprocess.run(["docker", "restart", lab.host], check=True, capture_output=True)
    assert lab.on(lab.host, "ls /run/before-the-restart 2>/dev/null || true") == "", "the machine was not restarted"
    wait_until_active(lab)
    assert docker(lab, f"run --pull never --rm -v boot:/v {BUSYBOX} cat /v/file").strip() == "kept"


def test_stopping_it_leaves_no_container(lab, running):
    lab.on(lab.host, "systemctl stop unshim-dind.service")
    assert lab.on(lab.host, "ctr -n unshim-dind task ls -q").strip() == ""
