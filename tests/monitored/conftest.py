"""A machine of the lab, watched by a real Prometheus with the files that monitoring.yml wrote."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/monitoring"))

import debian_trees
from containerd_process import free_port, write_image
from prometheus_process import PrometheusProcess, wait_for

from unshim.monitoring import alerts, rules

MACHINE = "unshim-p-one"
WRITTEN = ROOT / "build/monitoring"
KUBELET = {"job_name": "kubelet", "metrics_path": "/metrics"}


class Machine:
    """The machine, and what Prometheus says of it."""

    def __init__(self, directory):
        self.directory = directory
        programs = debian_trees.unpacked("prometheus", "bookworm", "prometheus", "prometheus-node-exporter") / "usr/bin"
        self.exporter = programs / "prometheus-node-exporter"
        self.prometheus = PrometheusProcess(programs / "prometheus", directory, free_port())

    def on(self, script):
        done = subprocess.run(
            ["docker", "exec", "-i", MACHINE, "sh", "-es"], input=script, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def copy(self, source, path):
        subprocess.run(["docker", "cp", "-q", source, f"{MACHINE}:{path}"], check=True, capture_output=True)

    def start(self):
        self.copy(self.exporter, "/usr/local/bin/node-exporter")
        self.on("""
            systemctl is-active -q test-node-exporter || systemd-run -q --unit test-node-exporter \\
              /usr/local/bin/node-exporter --collector.textfile.directory=/var/lib/prometheus/node-exporter
        """)
        # The image of every pod here; the sandbox's, too.
        archive = self.directory / "image.tar"
        write_image(archive, debian_trees.unpacked("tools", "bookworm", "busybox-static", "runc") / "bin/busybox")
        self.copy(archive, "/root/image.tar")
        self.on("""
            ctr -n k8s.io images import /root/image.tar >/dev/null
            pause=$(containerd config dump | sed -n 's/^ *sandbox_image = "\\(.*\\)"/\\1/p')
            ctr -n k8s.io images tag --force unshim.invalid/busybox:1 "$pause" >/dev/null
        """)
        written = yaml.safe_load((WRITTEN / "prometheus/scrape.yml").read_text())
        address = written["scrape_configs"][0]["static_configs"][0]["targets"][0].rpartition(":")[0]
        targets = {"targets": [f"{address}:10255"], "labels": {"node": MACHINE}}
        written["scrape_configs"].append({**KUBELET, "static_configs": [targets]})
        # The rules that are shipped, but for the time that each waits.
        at_once = rules.chosen({alert.name: {"for": "2s"} for alert in alerts.ALERTS})
        self.prometheus.start(yaml.safe_dump(written), rules.render(at_once))

    def collect(self):
        """Have the collector run now; systemd starts no unit as often as a test asks, but for the reset."""
        self.on(
            "systemctl reset-failed unshim-collector.service 2>/dev/null || true; systemctl start unshim-collector.service"
        )

    def has(self, query):
        return self.prometheus.ask("query", query=query)["result"]

    def firing(self):
        return {name for name, _ in self.prometheus.firing()}

    def expect(self, alert, seconds=180, collect=False):
        self.wait(lambda: alert in self.firing(), seconds, f"{alert} fires", collect)

    def expect_over(self, alert, seconds=180, collect=False):
        self.wait(lambda: alert not in self.firing(), seconds, f"{alert} is over", collect)

    def wait(self, condition, seconds, what, collect=False):
        def look():
            if collect:
                self.collect()
            return condition()

        return wait_for(look, seconds, what)

    def pod(self, name, container, **spec):
        """Have the kubelet run a pod in the node's network: a file in its directory."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "hostNetwork": True,
                "containers": [{"name": "main", "imagePullPolicy": "IfNotPresent", **container}],
                **spec,
            },
        }
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps(manifest))
        self.copy(path, f"/etc/kubernetes/manifests/{name}.json")

    def no_pod(self, *names):
        self.on("rm -f " + " ".join(f"/etc/kubernetes/manifests/{name}.json" for name in names))


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.start()
    yield machine
    machine.prometheus.stop()
