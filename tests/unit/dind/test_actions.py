"""The actions in a real run of ansible-playbook: what goes to a cluster, what to a file, and what nobody may read."""

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cluster_server import ClusterServer

ROOT = Path(__file__).parents[3]
PASSWORD = "proxy-secret-7a11"
FACTS = {
    "kubelet": {"installed": True},
    "files": {
        "/etc/docker/daemon.json": {
            "path": "/etc/docker/daemon.json",
            "kind": "file",
            "content": json.dumps({"proxies": {"https-proxy": f"http://u:{PASSWORD}@proxy.example:3128"}}),
        }
    },
}


@pytest.fixture
def api():
    server = ClusterServer()
    yield server
    server.shutdown()


@pytest.fixture
def run(api, tmp_path, image):
    def play(action, *arguments, check=True, mode="service", **options):
        task = {
            "kubeconfig": str(api.kubeconfig(tmp_path / "kubeconfig")),
            "settings": {"mode": mode, "image": image},
            "hosts": ["n1"],
            **options,
        }
        playbook = [
            {
                "hosts": "n1",
                "gather_facts": False,
                "tasks": [
                    {"set_fact": {"runtime": FACTS, "cacheable": True}, "no_log": True},
                    {"set_fact": {"dind_host": {"routes": "", "iptables": {"nft": "works"}}}},
                    {action: task, "delegate_to": "localhost", "register": "done"},
                    {"copy": {"content": "{{ done | to_json }}", "dest": str(tmp_path / "result.json")}, "check_mode": False},
                ],
            }
        ]  # fmt: skip
        (tmp_path / "play.yml").write_text(yaml.safe_dump(playbook))
        (tmp_path / "hosts.yml").write_text("all: {hosts: {n1: {ansible_connection: local}}}\n")
        finished = subprocess.run(
            [str(Path(sys.executable).parent / "ansible-playbook"), "-vvv", "--diff", "-i", tmp_path / "hosts.yml",
             tmp_path / "play.yml", *arguments],
            cwd=ROOT, text=True, capture_output=True, check=False, timeout=300,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "400"},
        )  # fmt: skip
        said = finished.stdout + finished.stderr
        assert "Traceback" not in said
        assert PASSWORD not in said and "PRIVATE KEY" not in said
        assert (finished.returncode == 0) is check, said
        result = json.loads((tmp_path / "result.json").read_text()) if check else {}
        return result, " ".join(said.split())

    return play


def test_secrets_go_to_the_cluster_and_into_no_result(api, run):
    first, _ = run("dind_secrets")
    namespace = "/api/v1/namespaces/unshim-dind"
    names = ("dind-proxy", "dind-ca", "dind-server-tls", "dind-client-tls")
    assert api.written == [namespace, *(f"{namespace}/secrets/{name}" for name in names)]
    stored = base64.b64decode(api.objects[f"{namespace}/secrets/dind-proxy"]["data"]["HTTPS_PROXY"]).decode()
    assert PASSWORD in stored
    assert first["changed"] and set(first["renewed"]) == {"dind-ca", "dind-server-tls", "dind-client-tls"}
    again, _ = run("dind_secrets")
    assert (again["changed"], again["renewed"], again["certificate"]) == (False, {}, first["certificate"])


def test_check_mode_writes_nothing(api, run):
    done, _ = run("dind_secrets", "--check")
    assert done["changed"] and api.written == []


def test_secrets_in_a_file_are_their_owners(api, run, tmp_path):
    run("dind_secrets", directory=str(tmp_path / "out"))
    path = tmp_path / "out/dind-secrets.yml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {one["metadata"]["name"] for one in yaml.safe_load_all(path.read_text())} >= {
        "dind-proxy",
        "dind-server-tls",
    }
    assert api.written == []


def test_manifests_are_rendered_for_the_cluster_that_is_there(api, run, tmp_path):
    done, _ = run("dind_manifests", mode="sidecar", directory=str(tmp_path / "out"))
    text = (tmp_path / "out/dind.yml").read_text()
    assert done["manifests"] == list(yaml.safe_load_all(text))
    assert (done["docker0"], done["iptables"], done["notes"]) == ("172.17.0.1/24", "nft", [])
    assert PASSWORD not in text and "PodSecurityPolicy" not in text
    assert api.written == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"image": "docker:dind"}, "is 'docker:dind', which is not named by digest"),
        ({"resources": "many"}, "A setting of DIND has the wrong type"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(wrong, sentence, run, image):
    _, said = run("dind_manifests", check=False, settings={"mode": "sidecar", "image": image, **wrong})
    assert sentence in said
