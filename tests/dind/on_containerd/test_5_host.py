"""A host without Kubernetes: provisioned, then a dockerd through its containerd, with systemd."""

import json
import subprocess
import time

import pytest
from dind_lab import BUSYBOX, REGISTRY

DOCKER = "ctr -n unshim-dind task exec --exec-id test-$$ dind docker -H unix:///run/dind/docker.sock "


@pytest.fixture(scope="module")
def running(lab, runbook):
    # Where containerd, and so dockerd, finds the lab's registry; an administrator's file.
    directory = f"/etc/containerd/certs.d/{REGISTRY}"
    lab.on(
        lab.host,
        f"mkdir -p '{directory}'; printf '[host.\"http://{REGISTRY}\"]\\n  capabilities = [\"pull\", \"resolve\"]\\n' >'{directory}/hosts.toml'",
    )
    return runbook("dind", "A host without Kubernetes")


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
    docker(lab, f"run -d --name web -p 8081:80 {BUSYBOX} httpd -f -p 80 -h /etc")
    script = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8081/passwd\", timeout=10).read().decode())'"
    assert lab.on(lab.host, script).startswith("root:")


def test_a_second_run_changes_nothing(lab, running):
    run = lab.dind("-e", f"unshim_hosts={lab.host}")
    assert run.code == 0 and run.recap()[lab.host]["changed"] == 0, run.output


def test_data_survives_a_restart_of_the_unit_and_of_the_machine(lab, running):
    docker(lab, f"run --rm -v kept:/v {BUSYBOX} sh -c 'echo kept >/v/file'")
    lab.on(lab.host, "systemctl restart unshim-dind.service")
    assert docker(lab, f"run --pull never --rm -v kept:/v {BUSYBOX} cat /v/file").strip() == "kept"
    subprocess.run(["docker", "restart", lab.host], check=True, capture_output=True)
    deadline = time.monotonic() + 120
    while lab.on(lab.host, "systemctl is-active unshim-dind.service || true").strip() != "active":
        assert time.monotonic() < deadline, lab.on(
            lab.host,
            "systemctl status unshim-dind.service; journalctl -n 50 -u unshim-dind.service || true",
            check=False,
        )
        time.sleep(1)
    assert docker(lab, f"run --pull never --rm -v kept:/v {BUSYBOX} cat /v/file").strip() == "kept"


def test_a_dockerd_that_dies_is_started_again(lab, running):
    pid = lab.on(lab.host, "systemctl show -p MainPID --value unshim-dind.service").strip()
    lab.on(lab.host, "ctr -n unshim-dind task kill --signal SIGKILL dind")
    deadline = time.monotonic() + 90
    while True:
        state = lab.on(lab.host, "systemctl show -p MainPID,ActiveState --value unshim-dind.service").split()
        if "active" in state and pid not in state:
            break
        assert time.monotonic() < deadline, state
        time.sleep(1)
    assert docker(lab, f"run --pull never --rm {BUSYBOX} echo again").strip() == "again"


def test_stopping_it_leaves_no_container(lab, running):
    lab.on(lab.host, "systemctl stop unshim-dind.service")
    assert lab.on(lab.host, "ctr -n unshim-dind task ls -q").strip() == ""
    lab.on(lab.host, "systemctl start unshim-dind.service")
