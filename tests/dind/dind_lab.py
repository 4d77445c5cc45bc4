"""inventory/lab-dind as a test sees it: its dockerds, and pods made from what dind.yml has put into the cluster."""

import copy
import json
import subprocess
import time
from functools import cached_property

from lab import Lab

NAMESPACE = "unshim-dind"
WORKER = "unshim-d-worker"  # its pod network has an MTU of 1400
REGISTRY, PRIVATE = "unshim-d-registry:5000", "unshim-d-private:5000"
BUSYBOX = f"{REGISTRY}/busybox:1.35"
STAY = ["sh", "-c", "while :; do sleep 1; done"]


class DindLab(Lab):
    control_plane = "unshim-d-cp"
    workers = (WORKER,)
    registry = "unshim-d-registry"
    nodes = (control_plane, *workers)
    host = "unshim-d-host"
    inventory = "inventory/lab-dind"
    kubeconfig = "build/lab-dind/kubeconfig"
    remembers_in = "build/dind"

    @cached_property
    def image(self):
        """The lab's Docker, by digest as the registry keeps it."""
        link = "/var/lib/registry/docker/registry/v2/repositories/dind/_manifests/tags/1/current/link"
        return f"{REGISTRY}/dind@{self.on(self.registry, f'cat {link}').strip()}"

    def runtime(self):
        return self.get("node", WORKER)["status"]["nodeInfo"]["containerRuntimeVersion"].partition(":")[0]

    def dind(self, *arguments, playbook="dind"):
        return self.playbook(playbook, "-e", f"unshim_dind_image={self.image}", *arguments)

    def execute(self, pod, *command, container="job", namespace=NAMESPACE, seconds=120, stdin=None):
        """Return what a command in a container did; it is ended after some seconds, as timeout(1) does: 124."""
        words = [self.root / "build/lab/kubectl", "--kubeconfig", self.root / self.kubeconfig, "exec", "-i"]
        words += ["-n", namespace, pod, "-c", container, "--", "timeout", str(seconds), *command]
        return subprocess.run(words, text=True, capture_output=True, check=False, input=stdin, timeout=seconds + 60)

    def done(self, pod, *command, **options):
        """As :meth:`execute`, and it has to succeed; returns what it printed."""
        ran = self.execute(pod, *command, **options)
        assert ran.returncode == 0, f"{pod}: {command}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def template(self):
        return self.get("podtemplate", "dind-job", "-n", NAMESPACE)["template"]

    def job_pod(self, name, command=STAY, change=None):
        """Make a pod from the template that dind.yml has left, with another command."""
        template = copy.deepcopy(self.template())
        spec = template["spec"]
        spec["terminationGracePeriodSeconds"] = 5
        job = next(one for one in spec["containers"] if one["name"] == "job")
        job["command"][job["command"].index("docker") :] = command
        if change:
            change(spec)
        meta = {"name": name, "namespace": NAMESPACE, "labels": template["metadata"]["labels"]}
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}))
        return name

    def plain_pod(self, name, namespace=NAMESPACE, labels=None):
        """Make a pod that has no dockerd, and wait until it is ready."""
        self.apply(json.dumps({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "job", "image": BUSYBOX, "command": STAY}],
            },
        }))  # fmt: skip
        self.wait_ready(name, namespace)
        return name

    def wait_ready(self, name, namespace=NAMESPACE, seconds=180):
        try:
            self.kubectl("wait", "--for=condition=ready", "pod", name, "-n", namespace, f"--timeout={seconds}s")
        except subprocess.CalledProcessError as error:
            said = self.kubectl("describe", "pod", name, "-n", namespace)[-3000:]
            log = subprocess.run(
                [self.root / "build/lab/kubectl", "--kubeconfig", self.root / self.kubeconfig, "logs", name, "-n", namespace,
                 "--all-containers", "--tail=40"],
                text=True, capture_output=True, check=False,
            )  # fmt: skip
            raise AssertionError(f"{error.stderr}\n{said}\n{log.stdout}{log.stderr}") from None

    def phase(self, pod, seconds=120):
        """Return the phase of a pod once it has ended, or after some seconds."""
        deadline = time.monotonic() + seconds
        while (phase := self.get("pod", pod, "-n", NAMESPACE)["status"]["phase"]) in ("Pending", "Running"):
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return phase

    def address_of(self, pod, namespace=NAMESPACE):
        return self.get("pod", pod, "-n", namespace)["status"]["podIP"]

    def remove(self, *pods, namespace=NAMESPACE):
        """Delete pods; what they still do is nobody's concern."""
        self.kubectl("delete", "pod", *pods, "-n", namespace, "--ignore-not-found", "--grace-period=1", "--wait=false")

    def listening(self, pod):
        """Return the TCP ports at which something listens in a dockerd's pod."""
        lines = self.done(pod, "cat", "/proc/net/tcp", "/proc/net/tcp6", container="dind").splitlines()
        sockets = [line.split() for line in lines if "local_address" not in line]
        # 0A: listening.
        return {int(words[1].rpartition(":")[2], 16) for words in sockets if words[3] == "0A"}

    def cgroups_of(self, words):
        """Return the memory cgroup of each process on the worker whose command line holds some words, as the node sees it."""
        script = r"""
for directory in /proc/[0-9]*; do
  tr '\0' ' ' <"$directory/cmdline" 2>/dev/null | grep -qF -e "$WORDS" || continue
  sed -n 's/^[0-9]*:memory://p; s/^0::\(\/.\)/\1/p' "$directory/cgroup" 2>/dev/null | head -n 1
done"""
        return self.on(WORKER, f"WORDS='{words}'\n{script}").split()
