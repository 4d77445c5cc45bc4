"""The collector for node_exporter: what it makes of a kubelet, of cgroups and of Docker, and what it writes."""

import http.server
import importlib.util
import json
import os
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from unshim.monitoring import metrics

PROGRAM = Path(__file__).parents[3] / "roles/monitoring/files/unshim_collector.py"
_spec = importlib.util.spec_from_file_location("unshim_collector", PROGRAM)
collector = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(collector)


@pytest.mark.parametrize(
    ("argv", "configuration", "version", "runtime"),
    [
        (["kubelet", "--network-plugin=cni"], "", 20, "docker"),
        (["kubelet", "--container-runtime=docker"], "", 23, "docker"),
        (["kubelet", "--container-runtime=remote", "--container-runtime-endpoint=unix:///run/containerd/containerd.sock"],
         "", 20, "containerd"),
        (["kubelet", "--container-runtime-endpoint", "/run/cri-dockerd.sock"], "", 26, "cri-dockerd"),
        (["kubelet"], "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///run/containerd/containerd.sock\n", 28,
         "containerd"),
        (["kubelet"], '{"kind": "KubeletConfiguration",\n "containerRuntimeEndpoint": "unix:///run/crio/crio.sock"}', 28, "cri-o"),
        (["kubelet"], "# containerRuntimeEndpoint: unix:///run/crio/crio.sock\n", 30, "containerd"),
        (["kubelet", "--container-runtime-endpoint=unix:///run/other.sock"], "", 30, "other"),
    ],
)  # fmt: skip
def test_runtime_of_a_kubelet(argv, configuration, version, runtime):
    assert collector.runtime_of(argv, configuration, version)[0] == runtime


class StandIn:
    """A process as the collector asks it, where there is no way to have a real one: cgroups of other machines."""

    def __init__(self, pid, parent, group, namespace="pod", argv=()):
        self.pid, self.parent, self.group, self.pid_namespace, self.argv = pid, parent, group, namespace, list(argv)

    def cgroup(self):
        return self.group

    def namespace(self, kind):
        return self.pid_namespace


SHIM = StandIn(10, 1, "/system.slice/containerd.service", "node", ["shim", "-namespace", "k8s.io", "-id", "0123abcd"])
POD = "/kubepods/burstable/pod1/0123abcd"


@pytest.mark.parametrize(
    ("nested", "escaped"),
    [
        (POD + "/docker/ffff", 0),
        ("/docker/ffff", 2),  # no cgroup namespace, no cgroup parent: moby#45378
        ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-0123abcd.scope/docker/ffff", 0),
        ("/init", 2),
    ],
)
def test_processes_outside_of_the_pods_cgroup_are_counted(nested, escaped):
    tree = [SHIM, StandIn(11, 10, POD), StandIn(12, 11, POD), StandIn(20, 11, nested), StandIn(21, 20, nested)]
    all_of_them = {one.pid: one for one in tree}
    first = collector.first_of_container(all_of_them[12], all_of_them)
    assert first.pid == 11
    namespace, container = collector.container_of(first, all_of_them)
    assert (namespace, container) == ("k8s.io", "0123abcd")
    assert collector.escaped_processes(first, namespace, container, all_of_them) == escaped


def test_container_outside_of_kubernetes_is_judged_by_its_id():
    shim = StandIn(10, 1, "/", "node", ["shim", "-namespace", "default", "-id", "dind"])
    tree = {10: shim, 11: StandIn(11, 10, "/default/dind"), 12: StandIn(12, 11, "/docker/ffff")}
    assert collector.escaped_processes(tree[11], "default", "dind", tree) == 1


class DockerStandIn(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Answer(http.server.BaseHTTPRequestHandler):
    status, body = 200, b"{}"

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [(200, b'{"Driver": "vfs"}', {"Driver": "vfs"}), (500, b'{"message": "no"}', None), (200, b"not JSON", None)],
)
def test_docker_is_asked_through_its_socket(tmp_path, status, body, found):
    path = str(tmp_path / "docker.sock")
    handler = type("Handler", (Answer,), {"status": status, "body": body})
    with DockerStandIn(path, handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert collector.ask_docker(path) == found
        server.shutdown()


def test_socket_that_is_not_there_is_no_docker(tmp_path):
    assert collector.ask_docker(str(tmp_path / "docker.sock")) is None


def run(directory, *arguments):
    output = directory / "unshim.prom"
    done = subprocess.run(
        [sys.executable, PROGRAM, "--output", output, "--daemon-json", directory / "daemon.json", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, output


def samples(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_this_machine_is_told_of(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/layer").write_bytes(b"x" * 100_000)
    (tmp_path / "daemon.json").write_text(json.dumps({"data-root": str(tmp_path / "data")}))
    timeline = [
        {"event": "prepared", "time": 5.0},
        {"event": "verified", "time": 9.5},
        {"event": "uncordoned", "time": 9},
    ]
    (tmp_path / "journal.json").write_text(json.dumps({"state": "verified", "timeline": timeline}))
    done, output = run(tmp_path, "--journal", tmp_path / "journal.json", "--dind-socket", tmp_path / "none.sock")
    assert (done.returncode, done.stderr) == (0, "")
    found = samples(output)
    assert found['unshim_migration_state{state="verified"}'] == 1
    assert found['unshim_migration_state{state="docker"}'] == 0
    assert found["unshim_migration_state_timestamp_seconds"] == 9.5
    assert 100_000 <= found["unshim_docker_data_bytes"] < 300_000
    assert found[f'unshim_dind_up{{container="",dind="{tmp_path}/none.sock"}}'] == 0
    parts = {name: value for name, value in found.items() if "part_success" in name}
    assert len(parts) == len(collector.PARTS) and set(parts.values()) == {1}
    assert {name.split("{")[0] for name in found} <= set(metrics.BY_NAME)
    assert output.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_data_is_added_up_only_now_and_then(tmp_path):
    (tmp_path / "daemon.json").write_text(json.dumps({"data-root": str(tmp_path / "data")}))
    _, output = run(tmp_path)
    assert samples(output)["unshim_docker_data_bytes"] == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "data/layer").write_bytes(b"x" * 100_000)
    run(tmp_path)
    assert samples(output)["unshim_docker_data_bytes"] == 0
    run(tmp_path, "--measure-every", "0")
    assert samples(output)["unshim_docker_data_bytes"] > 0


def test_part_that_cannot_look_hides_no_other(tmp_path):
    (tmp_path / "journal.json").write_text("{half")
    done, output = run(tmp_path, "--journal", tmp_path / "journal.json")
    assert done.returncode == 0 and done.stderr.startswith("migration: ")
    found = samples(output)
    assert found['unshim_collector_part_success{part="migration"}'] == 0
    assert found['unshim_collector_part_success{part="docker"}'] == 1
    assert "unshim_docker_active" in found


def test_directory_that_is_not_there_is_said(tmp_path):
    done, _ = run(tmp_path / "none")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_labels_are_escaped():
    sample = collector.Sample("x", 1.5, path='a"b\\c\nd')
    assert sample.line() == 'x{path="a\\"b\\\\c\\nd"} 1.5\n'


def test_it_is_a_process_of_the_node_itself():
    all_of_them = collector.processes()
    assert collector.is_of_the_node(all_of_them[os.getpid()], all_of_them)
