"""A real Prometheus sees the moved nodes, by the files that monitoring.yml wrote; nothing of the move is undone by it.

Named to run after the tests that compare the nodes with what was announced.
"""

import json
import subprocess
import sys
from pathlib import Path

import node_snapshot
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "monitoring"))

import debian_trees
from prometheus_process import PrometheusProcess, wait_for

# Outside of the nodes, so it has to reach containerd there.
METRICS_PORT = 1338
#: What stays on a node after a rollback, in keys of node_snapshot.
COLLECTOR = {
    "file /etc/systemd/system/timers.target.wants/unshim-collector.timer",
    "file /etc/systemd/system/unshim-collector.service",
    "file /etc/systemd/system/unshim-collector.timer",
    "file /usr/local/lib/unshim",
    "file /usr/local/lib/unshim/unshim_collector.py",
}
EXPORTER = "/usr/local/bin/test-node-exporter"

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def written(lab):
    return lab.records / "monitoring"


@pytest.fixture(scope="module")
def run(lab, written):
    settings = {
        "unshim_containerd_metrics_address": f"0.0.0.0:{METRICS_PORT}",
        "unshim_monitoring_dir": str(written),
    }
    return lambda name, *arguments: lab.playbook(name, "-e", json.dumps(settings), *arguments)


@pytest.fixture(scope="module")
def programs():
    """Where Debian's Prometheus and node_exporter are unpacked."""
    return debian_trees.unpacked("prometheus", "bookworm", "prometheus", "prometheus-node-exporter") / "usr/bin"


@pytest.fixture(scope="module")
def exporters(lab, programs):
    """node_exporter on every node, with what the collector wrote just now."""
    try:
        for node in lab.nodes:
            copy = ["docker", "cp", "-q", programs / "prometheus-node-exporter", f"{node}:{EXPORTER}"]
            subprocess.run(copy, check=True)
            lab.on(node, f"""set -e
                systemd-run -q --unit test-node-exporter {EXPORTER} --collector.textfile.directory=/var/lib/prometheus/node-exporter
                systemctl start unshim-collector.service""")  # fmt: skip
        yield
    finally:
        for node in lab.nodes:
            lab.on(node, f"systemctl stop test-node-exporter; rm -f {EXPORTER}", check=False)


@pytest.fixture(scope="module")
def prometheus(programs, exporters, written, tmp_path_factory):
    process = PrometheusProcess(programs / "prometheus", tmp_path_factory.mktemp("prometheus"), 19090)
    process.start((written / "prometheus/scrape.yml").read_text(), (written / "prometheus/rules.yml").read_text())
    yield process
    process.stop()


def test_it_is_set_up_while_pods_run(lab, run):
    before = {node: (node_snapshot.take(lab, node), lab.containerd_tasks(node)) for node in lab.nodes}
    done = run("monitoring")
    assert done.code == 0, done.output
    announced = lab.remembered("before")
    for node in lab.nodes:
        tasks = lab.containerd_tasks(node)
        assert {name: tasks.get(name) for name in before[node][1]} == before[node][1]
        after = node_snapshot.take(lab, node)
        changed = set(node_snapshot.changes(before[node][0], after))
        of_containerd = {key for key in changed if key.startswith("file /etc/containerd/")}
        own = {key for key in changed if key.startswith("file /var/lib/unshim")}
        assert of_containerd and changed - of_containerd - own == COLLECTOR
        # Later phases compare what a rollback leaves with what was there before the move.
        announced[node].update({key: after[key] for key in COLLECTOR})
    lab.remember("before", announced)


def test_again_it_changes_nothing_and_the_move_has_nothing_left_to_do(lab, run):
    again = run("monitoring")
    assert again.code == 0, again.output
    assert {node: again.recap()[node]["changed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0)
    move = lab.playbook("migrate", "--check")
    assert move.code == 0, move.output
    assert {node: move.recap()[node]["changed"] for node in lab.nodes} == dict.fromkeys(lab.nodes, 0)


def test_prometheus_sees_every_node(lab, prometheus):
    wanted = {(job, node): "up" for job in ("containerd", "node") for node in lab.nodes}
    wait_for(lambda: prometheus.targets() == wanted, 60, "every target is up")

    def nodes_with(query):
        return {one["metric"]["node"] for one in prometheus.ask("query", query=query)["result"]}

    for query in (
        'unshim_kubelet_runtime_info{runtime="containerd"}',
        'unshim_migration_state{state="verified"} == 1',
        'grpc_server_handled_total{grpc_service="runtime.v1alpha2.RuntimeService",grpc_code="OK"} > 0',
    ):
        wait_for(lambda query=query: nodes_with(query) == set(lab.nodes), 30, query)
    assert prometheus.firing() == set()
