"""Runs on a machine: start a pod through CRI as a kubelet does, say as JSON what there is to see of it, and remove it.

Arguments: the container's image. It is pulled, and so is the sandbox image. Python 3.6 or newer, nothing else.
Messages and field numbers: https://github.com/kubernetes/cri-api, pkg/apis/runtime/v1/api.proto
"""

import json
import shutil
import subprocess
import sys
import time
import urllib.request

from unshim_node import cri
from unshim_node.protobuf_wire import field, integer, message, text

SOCKET = "/run/containerd/containerd.sock"
UID = "unshim-matrix-1"
SLICE = "kubepods.slice"
LOGS = "/var/log/pods/unshim-matrix"
COMMAND = ["sh", "-c", "echo it runs; cd /tmp; echo it answers >index.html; exec httpd -f -p 8080"]


def sandbox_config():
    metadata = field(1, "matrix") + field(2, UID) + field(3, "default")
    return field(1, metadata) + field(2, "matrix") + field(3, LOGS) + field(8, field(1, SLICE))


def container_config(image):
    config = field(1, field(1, "web")) + field(2, field(1, image))
    for word in COMMAND:
        config += field(3, word)
    return config + field(11, "web.log")


def output(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.decode()


def when_there(read, seconds=20):
    """Return what ``read`` returns, once it does not raise and is not empty."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = read()
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                raise
            found = None
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def read_file(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def get(url):
    with urllib.request.urlopen(url, timeout=5) as reply:
        return reply.read().decode()


class Pods(cri.Client):
    """The calls that start a pod, which unshim itself never makes."""

    def run(self, image):
        """Return what there is to see of a pod with one container of ``image``, which is removed again."""
        seen = {"api": self.api, "network_ready": self.status()["NetworkReady"].status}
        seen["image"] = text(self._image("PullImage", field(1, field(1, image))), 1)
        for one in self.pod_sandboxes():
            if one.uid == UID:  # an earlier run's that failed
                self.remove_pod_sandbox(one.id)
        sandbox = text(self._runtime("RunPodSandbox", field(1, sandbox_config())), 1)
        try:
            request = field(1, sandbox) + field(2, container_config(image)) + field(3, sandbox_config())
            container = text(self._runtime("CreateContainer", request), 1)
            self._runtime("StartContainer", field(1, container))
            seen.update(sandbox=sandbox, container=container, **self.look(sandbox, container))
        finally:
            self.stop_pod_sandbox(sandbox)
            self.remove_pod_sandbox(sandbox)
            shutil.rmtree(LOGS, ignore_errors=True)
        seen["left"] = [one.id for one in self.containers()] + [one.id for one in self.pod_sandboxes()]
        return seen

    def look(self, sandbox, container):
        status = message(self._runtime("PodSandboxStatus", field(1, sandbox)), 1)
        address = text(message(status, 5), 1)
        state = integer(message(self._runtime("ContainerStatus", field(1, container)), 1), 3)
        words = field(1, container) + field(2, "cat") + field(2, "/proc/self/cgroup") + field(3, 10)
        return {
            "state": cri.CONTAINER_STATES[state],
            "log": when_there(lambda: read_file(LOGS + "/web.log")),
            "address": address,
            "answer": when_there(lambda: get("http://" + address + ":8080/")),
            "tasks": [line.split() for line in output("ctr", "-n", "k8s.io", "tasks", "ls").splitlines()[1:]],
            "exec": text(self._runtime("ExecSync", words), 1),
            "cgroups": read_file("/proc/" + self.process(container) + "/cgroup"),
        }

    @staticmethod
    def process(container):
        for line in output("ctr", "-n", "k8s.io", "tasks", "ls").splitlines():
            if line.startswith(container):
                return line.split()[1]
        raise LookupError("no task " + container)


def main():
    api = cri.wait_ready(SOCKET, [], 30)["api"]
    print(json.dumps(Pods(SOCKET, api, 60.0).run(sys.argv[1])))


main()
