"""The action workload_scan and the playbook, in real runs of Ansible against an API server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from planted_data import DATA

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/findings.schema.json").read_text())
BIN = Path(sys.executable).parent


def ansible(tmp_path, *arguments):
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path),
    }
    return subprocess.run(
        [str(BIN / "ansible-playbook"), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def scanned(tmp_path):
    """Run the module and return its result; ``check``: in check mode."""

    def run(check=False, **arguments):
        out = tmp_path / "out.json"
        tasks = [
            {"workload_scan": arguments, "register": "scanned", "ignore_errors": True},
            {
                "ansible.builtin.copy": {"content": "{{ scanned | to_json }}", "dest": str(out)},
                "check_mode": False,
                "vars": {"ansible_python_interpreter": sys.executable},
            },
        ]
        play = tmp_path / "play.yml"
        play.write_text(
            yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
        )
        done = ansible(tmp_path, "-i", "localhost,", *(["--check"] if check else []), play)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(out.read_text())

    return run


def test_a_cluster_and_its_static_pods(api_server, scanned, tmp_path):
    static = (DATA / "static/node-logger.yaml").read_text()
    nodes = [
        {
            "node": "w1",
            "docker_root": "/data/docker",
            "manifests": {"/etc/kubernetes/manifests/node-logger.yaml": static},
        },
        {"node": "w2", "seen": False},
    ]
    reports = tmp_path / "reports"
    arguments = {
        "kubeconfig": api_server().kubeconfig(tmp_path / "kubeconfig"),
        "nodes": nodes,
        "manifest_types": str(DATA / "manifest_types.json"),
        "report_dir": str(reports),
    }
    foreseen = scanned(check=True, **arguments)
    assert foreseen["changed"] and not reports.exists()
    result = scanned(**arguments)
    jsonschema.validate(result["report"], SCHEMA)
    assert result["changed"] and not result["failed"]
    assert {one["id"] for one in result["report"]["findings"] if one["node"] == "w1"} == {
        "docker-socket-mount",
        "docker-data-mount",
    }
    assert [one["message"][:8] for one in result["report"]["problems"]] == ["Node w2 "]
    assert json.loads((reports / "findings.json").read_text()) == result["report"]
    assert (reports / "findings.txt").read_text().strip() == result["text"].strip()
    assert sorted(path.name for path in reports.iterdir()) == [
        "findings.json",
        "findings.sarif",
        "findings.txt",
        "findings.xml",
    ]
    assert scanned(**arguments)["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kubeconfig": "/nowhere/kubeconfig"}, "There is no kubeconfig at /nowhere/kubeconfig"),
        ({"allow_list": "/nowhere/allow.yml"}, "/nowhere/allow.yml cannot be read on the controller"),
        ({"allow_list": str(DATA / "namespaces.yml")}, "namespaces.yml:5: it is not valid YAML"),
        ({"report_dir": "/proc/nowhere"}, "/proc/nowhere/findings.txt cannot be written on the controller"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(api_server, scanned, tmp_path, arguments, says):
    given = {"kubeconfig": api_server([]).kubeconfig(tmp_path / "kubeconfig"), **arguments}
    result = scanned(**given)
    assert result["failed"] and says in result["msg"] and "\n" not in result["msg"]


@pytest.mark.parametrize(("allowed", "code"), [(False, 2), (True, 0)])
def test_the_playbook_fails_where_something_blocks_and_a_node_is_away(api_server, tmp_path, allowed, code):
    runtime_class = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "old"},
        "handler": "docker",
    }
    api_server([runtime_class]).kubeconfig(tmp_path / "kubeconfig")
    allow = tmp_path / "allow.yml"
    allow.write_text(
        "allow: [{rule: runtimeclass-docker, object: RuntimeClass/old, reason: known, expires: 2999-01-01}]\n"
    )
    hosts = tmp_path / "hosts.yml"
    # Nobody listens on port 1: the node is away, the cluster is not.
    hosts.write_text(
        yaml.safe_dump(
            {
                "kube_node": {
                    "hosts": {"w1": {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0}},
                    # Of the inventory: localhost, which is not in it, would not know it.
                    "vars": {"unshim_kubeconfig": "{{ inventory_dir }}/kubeconfig"},
                }
            }
        )
    )
    arguments = ["-i", hosts, "playbooks/scan.yml"]
    if allowed:
        arguments[2:2] = ["-e", f"unshim_scan_allow_list={allow}"]
    done = ansible(tmp_path, *arguments)
    said = " ".join(done.stdout.split())
    assert done.returncode == code, done.stdout
    assert "Node w1 could not be looked at" in said
    assert ("What blocks must be changed" in said) is not allowed
    assert ("ALLOWED (1)" in said) is allowed
