"""The lab's cluster as a test sees it: its nodes, its API, its registry, and unshim's playbooks run against it."""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Run:
    """One finished ansible-playbook run."""

    code: int
    output: str

    def recap(self):
        return recap(self.output)


def plain(output):
    """Return output on one line, with apostrophes as they were before YAML doubled them."""
    return " ".join(output.split()).replace("''", "'")


def recap(output):
    """Return {host: {"ok": n, "changed": n, ...}} from the PLAY RECAP of a run."""
    hosts = {}
    for line in output.partition("PLAY RECAP")[2].splitlines()[1:]:
        name, found, counts = line.partition(" : ")
        if found:
            hosts[name.strip()] = {key: int(value) for key, value in (pair.split("=") for pair in counts.split())}
    return hosts


class Lab:
    control_plane = "unshim-cp1"
    workers = ("unshim-w1", "unshim-w2")
    registry = "unshim-registry"
    nodes = (control_plane, *workers)
    inventory = "inventory/lab/hosts.yml"
    kubeconfig = "build/lab/kubeconfig"
    remembers_in = "build/story"

    def __init__(self, root: Path):
        self.root = root
        self.records = root / self.remembers_in
        self.records.mkdir(parents=True, exist_ok=True)

    def on(self, node, script, check=True):
        """Return what a shell script prints on a node."""
        done = subprocess.run(
            ["docker", "exec", "-i", node, "sh", "-s"], input=script, text=True, capture_output=True, check=False
        )
        assert not check or done.returncode == 0, f"{node}: {script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def kubectl(self, *arguments):
        return subprocess.run(
            [self.root / "build/lab/kubectl", "--kubeconfig", self.root / self.kubeconfig, *arguments],
            text=True, capture_output=True, check=True,
        ).stdout  # fmt: skip

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def apply(self, manifest):
        """Create or change the objects of a YAML text."""
        command = [self.root / "build/lab/kubectl", "--kubeconfig", self.root / self.kubeconfig, "apply", "-f", "-"]
        subprocess.run(command, input=manifest, text=True, capture_output=True, check=True)

    def kubeconfig_of(self, account, path):
        """Write a kubeconfig of a ServiceAccount in kube-system, with a token of its own for two hours; return its path."""
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [], "expirationSeconds": 7200},
        }
        answer = subprocess.run(
            [self.root / "build/lab/kubectl", "--kubeconfig", self.root / self.kubeconfig, "create", "-f", "-",
             "--raw", f"/api/v1/namespaces/kube-system/serviceaccounts/{account}/token"],
            input=json.dumps(request), text=True, capture_output=True, check=True,
        ).stdout  # fmt: skip
        config = yaml.safe_load((self.root / self.kubeconfig).read_text())
        config["users"] = [
            {"name": one["name"], "user": {"token": json.loads(answer)["status"]["token"]}} for one in config["users"]
        ]
        path.write_text(yaml.safe_dump(config))
        return path

    def object_versions(self):
        """Return {kind/namespace/name: [uid, resourceVersion]} of objects that nothing should write during a move."""
        return {
            "/".join([item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]]): [
                item["metadata"]["uid"],
                item["metadata"]["resourceVersion"],
            ]
            for item in self.get("secrets,serviceaccounts,clusterroles,services", "-A")["items"]
        }

    def playbook(self, name, *arguments, inventory=None):
        """Run one of unshim's playbooks as a user would: from the checkout, with its ansible.cfg."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "MOLECULE_"))}
        done = subprocess.run(
            ["ansible-playbook", "-i", inventory or self.inventory, f"playbooks/{name}.yml", *arguments],
            cwd=self.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env={**kept, "ANSIBLE_NOCOLOR": "1"},
        )  # fmt: skip
        return Run(done.returncode, done.stdout)

    def ready_by_owner(self):
        """Return {"namespace/kind/name": ready pods} of every controller in the cluster, Deployments by their ReplicaSet."""
        found = {}
        for pod in self.get("pods", "-A")["items"]:
            owner = (pod["metadata"].get("ownerReferences") or [{"kind": "none", "name": pod["metadata"]["name"]}])[0]
            if owner["kind"] == "Node" or pod["status"]["phase"] == "Succeeded":
                continue
            name = f"{pod['metadata']['namespace']}/{owner['kind']}/{owner['name']}"
            ready = all(status["ready"] for status in pod["status"].get("containerStatuses", [{"ready": False}]))
            found[name] = found.get(name, 0) + ready
        return found

    def restart(self, node, seconds=180):
        """Restart a node's machine, as a reboot would, and wait until it is Ready again."""
        self.on(node, "touch /run/before-the-restart")
        since = time.time()
        subprocess.run(["docker", "restart", node], check=True, capture_output=True)
        deadline = time.monotonic() + seconds
        while True:
            ready = next(c for c in self.get("node", node)["status"]["conditions"] if c["type"] == "Ready")
            heard = datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp()
            if ready["status"] == "True" and heard > since:
                break
            assert time.monotonic() < deadline, f"{node} is not Ready {seconds} s after its restart: {ready}"
            time.sleep(0.5)
        assert self.on(node, "ls /run/before-the-restart 2>/dev/null || true") == "", "the machine was not restarted"

    def docker_containers(self, node):
        """Return {container ID: time it was started} of the running containers on a node's Docker."""
        lines = self.on(
            node, "docker ps -q --no-trunc | xargs -r docker inspect --format '{{.Id}} {{.State.StartedAt}}'"
        )
        return dict(line.split() for line in lines.splitlines())

    def containerd_tasks(self, node):
        """Return {container ID: process id} of what runs in containerd's namespace of Kubernetes."""
        rows = [line.split() for line in self.on(node, "ctr -n k8s.io tasks ls").splitlines()[1:]]
        return {row[0]: row[1] for row in rows if row[2] == "RUNNING"}

    def wait_for_pods(self, node, seconds=180):
        """Wait until every pod of a node that shall run is ready."""
        deadline = time.monotonic() + seconds
        while True:
            items = self.get("pods", "-A", "--field-selector", f"spec.nodeName={node}")["items"]
            waiting = [
                pod["metadata"]["name"]
                for pod in items
                if pod["status"]["phase"] != "Succeeded"
                and not all(status["ready"] for status in pod["status"].get("containerStatuses", [{"ready": False}]))
            ]
            if not waiting:
                return
            assert time.monotonic() < deadline, f"not ready on {node} after {seconds} s: {waiting}"
            time.sleep(0.5)

    def journal(self, node):
        return json.loads(self.on(node, "cat /var/lib/unshim/journal.json"))

    def prober(self, name):
        """Return [(time, outcome, milliseconds)] of a prober that runs on the control-plane node."""
        lines = self.on(self.control_plane, f"cat /var/tmp/unshim-prober-{name}.log").splitlines()
        return [(float(time), outcome, float(took)) for time, outcome, took in (line.split() for line in lines)]

    def registry_pulls(self):
        """Return (address, repository) of every manifest or blob asked of the registry, in order, by its access log."""
        log = subprocess.run(["docker", "logs", self.registry], text=True, capture_output=True, check=True)
        return re.findall(r'^(\S+) .*"GET /v2/(\S+)/(?:manifests|blobs)/', log.stdout + log.stderr, re.MULTILINE)

    def repositories(self, node):
        """Return the repositories of the lab's registry that a node's Docker has images of."""
        names = self.on(node, "docker images --format '{{.Repository}}'").split()
        return sorted({name.removeprefix(f"{self.registry}:5000/") for name in names if name.startswith(self.registry)})

    def address(self, node):
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return subprocess.run(
            ["docker", "inspect", "-f", template, node], text=True, capture_output=True, check=True
        ).stdout.strip()

    def remember(self, name, record):
        (self.records / f"{name}.json").write_text(json.dumps(record, indent=1, sort_keys=True))

    def remembered(self, name):
        return json.loads((self.records / f"{name}.json").read_text())
