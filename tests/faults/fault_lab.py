"""The lab in which faults are injected: any inventory with one control plane, workers and a registry.

It is the one that UNSHIM_LAB_INVENTORY names, inventory/lab-rolling by default.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "story"))

import cluster_watch
from cluster_api import ClusterApi
from lab import Lab
from playbook_process import PlaybookProcess

# Short, for a test; what a real fleet gets are the defaults.
SETTINGS = {
    "unshim_soak": 1,
    "unshim_drain_timeout": 120,
    "unshim_ready_timeout": 240,
    "unshim_gate_timeout": 60,
}
SERVICE = "http://10.96.0.80/"  # workloads/shop.yml


class FaultLab(Lab):
    remembers_in = "build/faults"

    def __init__(self, root: Path = ROOT):
        self.inventory = os.environ.get("UNSHIM_LAB_INVENTORY", "inventory/lab-rolling")
        loader = DataLoader()
        inventory = InventoryManager(loader, sources=[str(root / self.inventory)])
        groups = inventory.get_groups_dict()
        self.control_plane = groups["kube_control_plane"][0]
        self.workers = tuple(groups["kube_node"])
        self.nodes = (*groups["kube_control_plane"], *self.workers)
        self.registry = groups["registry"][0]
        variables = VariableManager(loader, inventory).get_vars(host=inventory.get_host(self.control_plane))
        self.kubeconfig = str(Templar(loader, variables=variables).template(variables["unshim_kubeconfig"]))
        self.largest_batch = max(one for one in variables.get("unshim_batches", [1]) if isinstance(one, int))
        self._runs = 0
        self._cluster = None
        super().__init__(root)

    # Runs

    def start(self, playbook, *arguments, limit=None, settings=None, controller=None):
        """Start one of unshim's playbooks, as a user would, with SETTINGS.

        Args:
            settings: further extra vars.
            controller: host name of another controller than this machine, with processes of its own, which end all at once.
        """
        self._runs += 1
        values = {**SETTINGS, **(settings or {})}
        command = ["ansible-playbook", "-i", self.inventory, f"playbooks/{playbook}.yml"]
        command += ["--limit", limit] if limit else []
        for name, value in values.items():
            command += ["-e", f"{name}={value}"]
        log = self.records / f"{time.strftime('%H%M%S')}-{self._runs}-{playbook}.log"
        elsewhere = []
        if controller:
            elsewhere = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
            elsewhere += ["sh", "-c", 'hostname "$0" && exec "$@"', controller]
        return PlaybookProcess([*elsewhere, *command, *arguments], self.root, log)

    def run(self, playbook, *arguments, limit=None, settings=None, seconds=1200):
        """Run one of unshim's playbooks to its end and return the Run."""
        return self.start(playbook, *arguments, limit=limit, settings=settings).finish(seconds)

    # Waiting

    def wait_until(self, look, what, seconds=120, every=0.2):
        """Wait until ``look()`` is true and return that; ``what`` says it in the error."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
            time.sleep(every)
        return seen

    def wait_on_node(self, node, script, seconds=120):
        """Wait, on the node itself and looking every 20 ms, until a shell condition holds: "pgrep -x dpkg"."""
        self.on(node, f"timeout {seconds} sh -c 'until {{ {script}; }} >/dev/null 2>&1; do sleep 0.02; done'")

    def wait_for_step(self, node, name, status="started", seconds=600):
        """Wait until the node's journal has a step of this name with this status as its last one."""

        def look():
            with contextlib.suppress(AssertionError, ValueError):
                steps = self.journal(node)["steps"]
                return bool(steps) and (steps[-1]["name"], steps[-1]["status"]) == (name, status)

        self.wait_until(look, f"step {name!r} {status} on {node}", seconds, every=0.05)

    # A node

    def api(self, *arguments):
        """Return what kubectl prints, None if the API does not answer in time."""
        with contextlib.suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return self.kubectl("--request-timeout=4s", *arguments)
        return None

    def runtime(self, node):
        """Return "docker" or "containerd" as the API knows it, "" if it does not answer."""
        said = self.api("get", "node", node, "-o", "jsonpath={.status.nodeInfo.containerRuntimeVersion}")
        return (said or "").partition(":")[0]

    def safe_state(self, node):
        """Return (safe, runtime, why not): Ready and open for pods by the API, with a kubelet that answers it."""
        if self._cluster is None:
            self._cluster = ClusterApi(Path(self.root / self.kubeconfig))
        found = self._cluster.get_object(f"/api/v1/nodes/{node}")
        if found is None:
            return False, "", "the API does not answer or has no such node"
        runtime = found["status"].get("nodeInfo", {}).get("containerRuntimeVersion", "").partition(":")[0]
        ready = next(
            (one["status"] for one in found["status"].get("conditions", ()) if one["type"] == "Ready"), "not told"
        )
        if ready != "True":
            return False, runtime, f"Ready is {ready}"
        if found["spec"].get("unschedulable"):
            return False, runtime, "unschedulable"
        if self._cluster.get(f"/api/v1/nodes/{node}/proxy/healthz") is None:
            return False, runtime, "its kubelet does not answer"
        return True, runtime, ""

    def restart_machine(self, node):
        """Cut a machine's power and start it again."""
        subprocess.run(["docker", "kill", "--signal", "KILL", node], check=True, capture_output=True)
        subprocess.run(["docker", "start", node], check=True, capture_output=True)

    def is_up(self, node):
        said = subprocess.run(
            ["docker", "inspect", "-f", "{{.State.Running}}", node], text=True, capture_output=True, check=True
        )
        return said.stdout.strip() == "true"

    def made_on(self, node):
        """Return what a node is made of, in words, for the table."""
        info = self.get("node", node)["status"]["nodeInfo"]
        versions = self.on(node, "dpkg-query -W -f '${Package} ${Version}, ' docker.io containerd", check=False)
        kernel = info["kernelVersion"].partition("-")[0]
        return f"Kubernetes {info['kubeletVersion']}, {versions}{info['osImage']}, kernel {kernel}"

    def is_untouched(self, node):
        """Return whether a node is as before any move: open for pods on Docker, and its journal has nothing to undo."""
        if self.safe_state(node)[:2] != (True, "docker"):
            return False
        journal = self.on(node, "cat /var/lib/unshim/journal.json 2>/dev/null", check=False)
        return not journal.strip() or (json.loads(journal)["state"], json.loads(journal)["steps"]) == ("docker", [])

    def back_to_docker(self, node):
        """Put a node back on Docker with rollback.yml, from wherever a fault has left it."""
        said = ""
        for _ in range(2):
            if not self.is_up(node):
                subprocess.run(["docker", "start", node], check=True, capture_output=True)
                self.wait_on_node(node, "systemctl is-system-running | grep -qE 'running|degraded'")
            with contextlib.suppress(AssertionError, ValueError):
                if self.is_untouched(node):
                    return
            said = self.run("rollback", limit=node).output
        with contextlib.suppress(AssertionError):
            self.wait_until(lambda: self.is_untouched(node), "back on Docker", 60, every=1)
            return
        raise AssertionError(f"{node} is not back on Docker: {self.safe_state(node)}\n{said[-4000:]}")

    # The workload

    def owners(self):
        """Return {kind/namespace/name: uid} of everything that keeps pods, and of pods that nobody keeps."""
        kinds = "deployments,statefulsets,daemonsets,jobs"
        found = {
            f"{item['kind']}/{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"]["uid"]
            for item in self.get(kinds, "-A")["items"]
        }
        for pod in self.get("pods", "-A")["items"]:
            if not pod["metadata"].get("ownerReferences"):
                found[f"Pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"] = pod["metadata"]["uid"]
        return found

    def not_running(self):
        """Return what of the workload is not as complete as its owner wants it."""
        missing = []
        for item in self.get("deployments,statefulsets,daemonsets,jobs", "-A")["items"]:
            spec, status = item["spec"], item["status"]
            if item["kind"] == "DaemonSet":
                wanted, has = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
            elif item["kind"] == "Job":
                wanted, has = spec.get("completions", 1), status.get("succeeded", 0)
            else:
                wanted, has = spec.get("replicas", 1), status.get("readyReplicas", 0)
            if (
                has < wanted
                or status.get("observedGeneration", 0) < item["metadata"].get("generation", 0)
                and item["kind"] != "Job"
            ):
                missing.append(
                    f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}: {has} of {wanted}"
                )
        return missing

    def wait_for_workload(self, seconds=300):
        """Wait until everything that keeps pods has all of them ready."""
        deadline = time.monotonic() + seconds
        while missing := self.not_running():
            assert time.monotonic() < deadline, f"after {seconds} s: {missing}"
            time.sleep(1)

    def service_answers(self):
        script = f"python3 -c 'import urllib.request; print(urllib.request.urlopen(\"{SERVICE}\", timeout=3).status)'"
        return self.on(self.control_plane, script, check=False).strip() == "200"

    def start_prober(self):
        """Ask the Service all the time, from now on."""
        self._start("unshim-prober-service*", "/var/tmp/unshim-prober-*.log", "start_probers.yml", "service")

    def start_watcher(self):
        """Watch the closed nodes and the disruption budgets all the time, from now on."""
        self._start("unshim-watch-cluster*", cluster_watch.LOG, "start_watcher.yml")

    def _start(self, units, logs, playbook, *probers):
        if "unshim" not in self.on(self.control_plane, f"systemctl list-units --state=active --no-legend '{units}'"):
            self.on(self.control_plane, f"systemctl reset-failed '{units}'; rm -f {logs}", check=False)
            subprocess.run(
                ["ansible-playbook", "-i", self.inventory, f"molecule/_lab/{playbook}", "-e", json.dumps({"lab_probers": probers})],
                cwd=self.root, check=True, capture_output=True,
            )  # fmt: skip

    def failed_requests(self, since):
        """Return [(time, outcome)] of the requests to the Service since a Unix time that got no 200."""
        return [(when, outcome) for when, outcome, _ in self.prober("service") if when >= since and outcome != "200"]
