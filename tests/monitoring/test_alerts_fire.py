"""A real Prometheus reads real containerds of each release, and raises each alert when what it is about happens."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import debian_trees
import pytest
from containerd_process import ContainerdProcess, free_port
from prometheus_process import PrometheusProcess, wait_for

from unshim.monitoring import alerts, rules, scrape

COLLECTOR = Path(__file__).parents[2] / "roles/monitoring/files/unshim_collector.py"
SECONDS = 120
# What the test would have to wait for otherwise; thresholds and expressions are those that are shipped.
AT_ONCE = {alert.name: {"for": "2s"} for alert in alerts.ALERTS}


class Fleet:
    """A containerd of each release, called by it; a node_exporter with the collector's file; Prometheus over them all."""

    def __init__(self, programs, directory, tools):
        self.programs, self.directory = programs, directory
        self.nodes = {
            release: ContainerdProcess(
                debian_trees.containerd(release), Path(tempfile.mkdtemp(prefix="unshim-")), tools
            )
            for release in debian_trees.RELEASES
        }
        self.exporter_port = free_port()
        self.exporter = None
        self.prometheus = PrometheusProcess(programs / "prometheus", directory, free_port())

    def start(self):
        for node in self.nodes.values():
            node.start()
            node.import_image()
        textfiles = self.directory / "textfiles"
        textfiles.mkdir()
        self.exporter = subprocess.Popen(
            [
                self.programs / "prometheus-node-exporter",
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={textfiles}",
                f"--web.listen-address=127.0.0.1:{self.exporter_port}",
            ],
            stderr=subprocess.DEVNULL,
        )
        nodes = [scrape.Node(name, "127.0.0.1", f"127.0.0.1:{node.port}") for name, node in self.nodes.items()]
        texts = scrape.render(nodes, self.exporter_port)
        self.prometheus.start(texts["scrape.yml"], rules.render(rules.chosen(AT_ONCE)))

    def collect(self, *arguments):
        output = self.directory / "textfiles/unshim.prom"
        subprocess.run(
            [sys.executable, COLLECTOR, "--output", output, "--measure-every", "1e9", *arguments], check=True
        )

    def stop(self):
        if self.prometheus.process:
            self.prometheus.stop()
        if self.exporter:
            self.exporter.terminate()
            self.exporter.wait(30)
        for node in self.nodes.values():
            node.remove()


@pytest.fixture(scope="module")
def fleet(prometheus, tools, tmp_path_factory):
    if os.getuid() != 0:
        pytest.skip("only root can run containerd")
    fleet = Fleet(prometheus, tmp_path_factory.mktemp("fleet"), tools)
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()


def expect(fleet, alert, node, meanwhile=lambda: None):
    """Wait until an alert fires for a node, doing something again and again until then."""

    def look():
        meanwhile()
        return (alert, node) in fleet.prometheus.firing()

    wait_for(look, SECONDS, f"{alert} fires for {node}")


def test_every_target_is_read_and_nothing_fires(fleet):
    fleet.collect()
    for node in fleet.nodes.values():
        node.run_pod()
    wait_for(lambda: set(fleet.prometheus.targets().values()) == {"up"}, SECONDS, "every target is up")
    assert {("containerd", release) for release in fleet.nodes} <= set(fleet.prometheus.targets())
    of_containerd = {name for name, node in fleet.prometheus.firing() if not name.startswith(("Dind", "Docker"))}
    assert of_containerd == set()


@pytest.mark.parametrize("release", debian_trees.RELEASES)
def test_pulls_from_a_dead_registry(fleet, release):
    expect(fleet, "ImagePullsFail", release, fleet.nodes[release].pull_in_vain)


@pytest.mark.parametrize("release", debian_trees.RELEASES)
def test_pods_that_get_no_network(fleet, release):
    expect(fleet, "PodNetworkFails", release, fleet.nodes[release].fail_to_run_pod)
    expect(fleet, "CRIOperationsFail", release, fleet.nodes[release].fail_to_run_pod)


def test_a_docker_in_a_container_that_does_not_answer(fleet, tmp_path):
    fleet.collect("--dind-socket", str(tmp_path / "docker.sock"))
    wait_for(lambda: "DindDown" in {name for name, _ in fleet.prometheus.firing()}, SECONDS, "DindDown fires")


def test_containerd_that_ends_again_and_again(fleet):
    node = fleet.nodes["1.7"]

    def restart():
        node.stop()
        node.start()
        wait_for(lambda: fleet.prometheus.targets()[("containerd", "1.7")] == "up", 30, "it is read again")

    expect(fleet, "ContainerdRestarts", "1.7", restart)


def test_containerd_stopped_and_started(fleet):
    fleet.nodes["2.1"].stop()
    expect(fleet, "ContainerdDown", "2.1")
    assert ("ContainerdDown", "1.6") not in fleet.prometheus.firing()
    fleet.nodes["2.1"].start()
    wait_for(lambda: ("ContainerdDown", "2.1") not in fleet.prometheus.firing(), SECONDS, "ContainerdDown is over")
