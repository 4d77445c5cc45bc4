"""inventory/lab-rolling as a test sees it, and a run of migrate.yml that a test accompanies while it goes on."""

import json
import os
import subprocess
import time

from lab import Lab, Run

CANARY, GOOD, BAD, LAST = "unshim-r-bullseye", "unshim-r-bookworm", "unshim-r-trixie", "unshim-r-second"


class RollingLab(Lab):
    control_plane = "unshim-r-cp"
    workers = (CANARY, GOOD, BAD, LAST)
    registry = "unshim-r-registry"
    nodes = (control_plane, *workers)
    inventory = "inventory/lab-rolling"
    kubeconfig = "build/lab-rolling/kubeconfig"
    remembers_in = "build/rolling"
    may_do = ()  # arguments of the playbooks: whose rights in the cluster they have

    def runtime(self, node):
        """Return "docker" or "containerd", if the node is Ready and open for pods; else what is wrong with it."""
        item = self.get("node", node)
        ready = {c["type"]: c["status"] for c in item["status"]["conditions"]}["Ready"]
        if ready != "True" or item["spec"].get("unschedulable"):
            return f"Ready is {ready}, unschedulable is {item['spec'].get('unschedulable', False)}"
        return item["status"]["nodeInfo"]["containerRuntimeVersion"].partition(":")[0]

    def playbook(self, name, *arguments, inventory=None):
        return super().playbook(name, *self.may_do, *arguments, inventory=inventory)

    def started(self, name, *arguments):
        """Start one of unshim's playbooks and return it as it runs."""
        return Running(self, name, (*self.may_do, *arguments))

    def timeline(self, node):
        return {entry["event"]: entry["time"] for entry in self.journal(node)["timeline"]}

    def lease(self):
        """Return who holds the lock, "" if nobody."""
        found = json.loads(self.kubectl("get", "leases", "-n", "kube-system", "-o", "json"))["items"]
        return next((item["spec"]["holderIdentity"] for item in found if item["metadata"]["name"] == "unshim"), "")


class Running:
    """A run of ansible-playbook in the background."""

    def __init__(self, lab, name, arguments):
        self.path = lab.records / f"{name}.log"
        # Not unbuffered: what a gate says must be seen in a file as soon as it is said.
        others = ("ANSIBLE_", "MOLECULE_", "PYTHONUNBUFFERED")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        with self.path.open("w") as out:
            self._process = subprocess.Popen(
                ["ansible-playbook", "-i", lab.inventory, f"playbooks/{name}.yml", *arguments],
                cwd=lab.root, stdout=out, stderr=subprocess.STDOUT, env={**kept, "ANSIBLE_NOCOLOR": "1"},
            )  # fmt: skip

    @property
    def output(self):
        return self.path.read_text()

    def wait_for(self, text, seconds):
        """Return once the run has printed some text."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self._process.poll() is None, f"it ended before it said {text!r}:\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, f"it did not say {text!r} in {seconds} s:\n{self.output[-3000:]}"
            time.sleep(0.2)

    def wait(self, seconds):
        """Return the run when it has ended."""
        self._process.wait(seconds)
        return Run(self._process.returncode, self.output)

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
