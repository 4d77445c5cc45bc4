"""The lab as a benchmark sees it: a worker with pods to drain, the control plane with a prober, and what was seen meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "module_utils"), str(ROOT / "tests/story")]

import moments
from lab import Lab

from unshim_kube.client import connect
from unshim_kube.errors import KubeError

CROWD = Path(__file__).with_name("crowd.yml")
LABEL = "bench.unshim/crowd"  # the crowd runs where it says "here"
PROBES_PER_SECOND = 10
SETTLED = 3.0  # s of quiet before anything is timed


class BenchLab(Lab):
    remembers_in = "build/bench"

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        loader = DataLoader()
        found = InventoryManager(loader, sources=[str(ROOT / inventory)])
        # Ansible's strings have tags, which YAML cannot write.
        groups = {name: [str.__str__(host) for host in hosts] for name, hosts in found.get_groups_dict().items()}
        self.control_plane = groups["kube_control_plane"][0]
        self.workers = tuple(groups["kube_node"])
        self.nodes = (*groups["kube_control_plane"], *self.workers)
        self.registry = groups["registry"][0]
        variables = VariableManager(loader, found).get_vars(host=found.get_host(self.control_plane))
        self.kubeconfig = str(Templar(loader, variables=variables).template(variables["unshim_kubeconfig"]))
        super().__init__(ROOT)

    # Commands, each of which must succeed

    def run(self, command: list[str | Path], **environment: str) -> str:
        """Run a command on the controller and return what it printed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
        kept |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **environment}
        done = subprocess.run(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=kept
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}")
        return done.stdout

    def ansible(self, *arguments: str, **environment: str) -> str:
        return self.run(["ansible-playbook", "-i", self.inventory, *arguments], **environment)

    def wait_until(self, look: Callable[[], Any], what: str, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() >= deadline:
                raise SystemExit(f"after {seconds:.0f} s still not: {what}")
            time.sleep(0.5)

    # What is on the nodes

    def put_crowd(self, node: str, pods: int) -> None:
        """Have ``pods`` pods on a worker, which may go to the next one when it is drained, and nothing else to drain."""
        for one in self.nodes:
            self.kubectl("label", "node", one, f"{LABEL}-")
        self.kubectl("label", "node", node, f"{LABEL}=here")
        self.apply(CROWD.read_text().replace("REGISTRY", f"{self.registry}:5000").replace("REPLICAS", "0"))
        self.wait_until(lambda: not self._crowd(), "the crowd is gone")
        self.run([*self._kubectl(), "drain", node, "--ignore-daemonsets", "--delete-emptydir-data"])
        self.kubectl("uncordon", node)
        self.kubectl("--namespace=bench", "scale", "deployment/crowd", f"--replicas={pods}")
        self.wait_until(lambda: len(self._crowd(ready=True)) == pods, f"{pods} pods on {node}")
        self.kubectl("label", "node", self.refuge(node), f"{LABEL}=here")
        self.settle()

    def refuge(self, node: str) -> str:
        return next(one for one in self.workers if one != node)

    def settle(self) -> None:
        """Wait until every pod is ready and what was written is on the disk, so that no run pays for the one before."""
        for node in self.nodes:
            self.wait_for_pods(node)
        os.sync()
        time.sleep(SETTLED)

    def _kubectl(self) -> list[str | Path]:
        return [ROOT / "build/lab/kubectl", "--kubeconfig", ROOT / self.kubeconfig]

    def kubectl_words(self) -> str:
        return " ".join(map(str, self._kubectl()))

    def _crowd(self, ready: bool = False) -> list[dict[str, Any]]:
        pods = self.get("pods", "--namespace=bench", "--selector=app=crowd")["items"]
        return [
            pod
            for pod in pods
            if not ready or all(one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}]))
        ]

    def remove_images(self, node: str) -> None:
        """Empty containerd's namespace of Kubernetes, with the content that only it had."""
        self.on(node, "ctr -n k8s.io images ls -q | xargs -r ctr -n k8s.io images rm --sync >/dev/null")
        self.wait_until(lambda: not self.on(node, "ctr -n k8s.io content ls -q").strip(), f"{node} has no content left")
        os.sync()

    # What is seen

    @contextmanager
    def watching(self, node: str) -> Iterator[tuple[list[moments.NodeSeen], list[float]]]:
        """Collect what the API shows of a node, as it says it, and when each pod of the crowd was gone from there."""
        seen: list[moments.NodeSeen] = []
        gone: list[float] = []
        ended = threading.Event()

        def see_node(kind: str, item: dict[str, Any]) -> None:
            seen.append(moments.node_seen(time.time(), item))

        def see_pod(kind: str, item: dict[str, Any]) -> None:
            if kind == "DELETED":
                gone.append(time.time())

        crowd = {"fieldSelector": f"spec.nodeName={node}", "labelSelector": "app=crowd"}
        watches = (
            ("/api/v1/nodes", {"fieldSelector": f"metadata.name={node}"}, see_node),
            ("/api/v1/namespaces/bench/pods", crowd, see_pod),
        )
        for path, query, see in watches:
            threading.Thread(target=self._watch, args=(path, query, see, ended), daemon=True).start()
        self.wait_until(lambda: seen, f"the API shows {node}", 30)
        try:
            yield seen, gone
        finally:
            ended.set()

    def _watch(
        self, path: str, query: dict[str, str], see: Callable[[str, dict[str, Any]], None], ended: threading.Event
    ) -> None:
        while not ended.is_set():
            try:
                api = connect(str(ROOT / self.kubeconfig), timeout=1)
                items, version = api.list_with_version(path, **query)
                for item in items:
                    see("LISTED", item)
                for event in api.watch(path, seconds=600, resourceVersion=version, **query):
                    if ended.is_set() or event["type"] == "ERROR":
                        break
                    see(event["type"], event["object"])
            except (KubeError, ValueError, KeyError):
                time.sleep(0.1)

    def kubelet_stopped(self, node: str, since: float) -> float:
        """Return when systemd began to stop a node's kubelet."""
        said = self.on(node, f"journalctl --no-pager -o json UNIT=kubelet.service --since=@{int(since)}")
        return moments.first(moments.unit_events(said), moments.STOPPING, since)

    @contextmanager
    def probing_the_api(self) -> Iterator[Callable[[float, float], float]]:
        """Ask the API server for its health 10 times a second; gives outage(since, until)."""
        unit, log = "unshim-bench-prober", "/var/tmp/unshim-bench-prober.log"
        prober = (ROOT / "molecule/_lab/prober.py").read_text()
        self.on(self.control_plane, f"cat >/run/bench-prober.py <<'END'\n{prober}\nEND")
        self.on(
            self.control_plane,
            f"systemd-run --quiet --unit {unit} python3 /run/bench-prober.py "
            f"https://127.0.0.1:6443/healthz {PROBES_PER_SECOND} {log}",
        )
        try:
            yield lambda since, until: moments.outage(self.on(self.control_plane, f"cat {log}"), since, until)
        finally:
            self.on(self.control_plane, f"systemctl stop {unit}; rm -f {log}", check=False)

    def processor_seconds(self) -> float:
        """Return what all processes of the machine have used of its processors since it was started."""
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        user, nice, system, _idle, _waiting, irq, softirq, _stolen = fields
        return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")

    def versions(self) -> dict[str, str]:
        """Return what was measured on, in words."""
        info = self.get("node", self.workers[0])["status"]["nodeInfo"]
        memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
        packages = self.on(self.workers[0], "dpkg-query -W -f '${Package} ${Version}, ' docker.io containerd runc")
        ansible = json.loads(
            subprocess.run(
                [sys.executable, "-c", "import json, ansible.release; print(json.dumps(ansible.release.__version__))"],
                text=True,
                capture_output=True,
                check=True,
            ).stdout
        )
        return {
            "machine": f"{os.cpu_count()} cores, {int(memory.split()[1]) >> 20} GiB; all nodes of the lab are on it",
            "nodes": f"{len(self.nodes)}; Kubernetes {info['kubeletVersion']}, {packages}{info['osImage']}",
            "controller": f"ansible-core {ansible}, Python {sys.version.split()[0]}",
        }
