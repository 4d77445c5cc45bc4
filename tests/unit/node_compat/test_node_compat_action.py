"""The action node_compat in real runs of Ansible: this machine is the node, and an API server says what it would be."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest
import yaml

from unshim.node_compat.registry import CHECKS

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/compat.schema.json").read_text())


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        node = self.path.partition("?")[0].removeprefix("/api/v1/nodes/")
        found = {"/version": {"major": "1"}, "/api/v1/nodes": {"metadata": {}, "items": []}}.get(
            self.path.partition("?")[0]
        )
        if node in self.server.runtimes:
            runtimes = self.server.runtimes[node]
            shown = runtimes.pop(0) if len(runtimes) > 1 else runtimes[0]
            info = {"containerRuntimeVersion": shown, "kubeletVersion": "v1.20.2"}
            found = {"metadata": {"name": node}, "status": {"nodeInfo": info}}
        body = json.dumps(found or {"message": "not found", "reason": "NotFound"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def cluster(tmp_path):
    """An API server; ``runtimes`` is what it says of a node, from one look to the next."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.runtimes = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    server.kubeconfig = tmp_path / "kubeconfig"
    server.kubeconfig.write_text(yaml.safe_dump(config))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def look(cluster, tmp_path):
    """Run the module on this machine, once for each of some arguments in one play, and return its results."""

    def run(*looks, check=False):
        out = tmp_path / "out.json"
        tasks = []
        for number, arguments in enumerate(looks):
            given = {"kubeconfig": str(cluster.kubeconfig), "directory": str(tmp_path / "kept"), **arguments}
            tasks.append({"node_compat": given, "register": f"looked{number}", "ignore_errors": True})
        content = "{{ [" + ", ".join(f"looked{number}" for number in range(len(looks))) + "] | to_json }}"
        tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(out)}, "check_mode": False})
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": tasks,
        }
        path = tmp_path / "play.yml"
        path.write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", *(["--check"] * check), path],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        results = json.loads(out.read_text())
        for result in results:
            assert "internal error" not in str(result.get("msg")), result["msg"]
        return results

    return run


def kept(directory):
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []


def test_before_and_after_without_a_pod(cluster, look, tmp_path):
    cluster.runtimes["w1"] = ["docker://20.10.24", "docker://20.10.24", "containerd://1.6.20"]
    quick, before, after = look(
        {"node_name": "w1", "quick": True, "image": "i:1"},
        {"node_name": "w1"},
        {"node_name": "w1", "cri_endpoint": "unix:///no/such.sock"},
    )
    assert [one["id"] for one in quick["results"]] == [check.id for check in CHECKS if check.quick]
    assert [one["id"] for one in before["results"]] == [check.id for check in CHECKS]
    told = {one["id"]: one["evidence"] for one in before["results"]}
    assert told["C12"].startswith("no image with a shell is named") and told["C39"] == "docker://20.10.24"
    assert kept(tmp_path / "kept") == sorted(
        f"w1.{runtime}.{suffix}"
        for runtime in ("docker.quick", "docker", "containerd")
        for suffix in ("json", "md", "xml")
    )
    data = json.loads(Path(after["files"]["json"]).read_text())
    jsonschema.validate(data, SCHEMA)
    assert data["compared_with"].startswith("docker 20.10.24 of ")
    told = {one["id"]: one for one in after["results"]}
    assert told["C39"]["outcome"] == told["C39"]["before"] == "ok"
    assert told["C01"]["outcome"] == "broken" and "C01" in after["regressions"] and after["failed"]
    assert "/no/such.sock" in told["C01"]["evidence"] and told["C01"]["evidence"] in after["msg"]
    assert after["msg"].startswith("w1 on containerd is not compatible")


def test_check_mode_makes_no_pod_and_writes_nothing(cluster, look, tmp_path):
    cluster.runtimes["w1"] = ["docker://20.10.24"]
    [seen] = look({"node_name": "w1", "image": "i:1"}, check=True)
    assert [one["id"] for one in seen["results"]] == [check.id for check in CHECKS if check.quick]
    assert kept(tmp_path / "kept") == []


def test_refusals(cluster, look, tmp_path):
    cluster.runtimes.update({"w1": ["containerd://1.6.20"], "w2": ["docker://20.10.24"], "w3": ["cri-o://1.20"]})
    (tmp_path / "file").write_text("")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged/w1.docker.json").write_text("{")
    nobody, unknown, _, other, damaged, missing, cannot = look(
        {"node_name": "nobody"},
        {"node_name": "w3"},
        {"node_name": "w2"},
        {"node_name": "w1", "compare_with": str(tmp_path / "kept/w2.docker.json")},
        {"node_name": "w1", "directory": str(tmp_path / "damaged")},
        {"node_name": "w1", "compare_with": str(tmp_path / "none.json")},
        {"node_name": "w2", "directory": str(tmp_path / "file")},
    )
    assert "There is no node named nobody" in nobody["msg"]
    assert "cri-o://1.20" in unknown["msg"]
    assert other["failed"] and other["msg"].startswith("The earlier result is of node w2, not of w1")
    assert damaged["failed"] and "w1.docker.json is not JSON" in damaged["msg"]
    assert missing["msg"].endswith("none.json cannot be read on the controller: No such file or directory.")
    assert "unshim_compat_dir" in cannot["msg"]
