"""inventory/lab-mixed as a test sees it: what its registries and its proxy were asked, and by whom."""

import re
import subprocess
import time
from dataclasses import dataclass

from lab import Lab

NAMESPACE = "carry-over"
BULLSEYE, BOOKWORM, TRIXIE = "unshim-x-bullseye", "unshim-x-bookworm", "unshim-x-trixie"
WORKERS = (BULLSEYE, BOOKWORM, TRIXIE)
REGISTRY, MIRROR, PRIVATE, RANGE, PROXY = (
    "unshim-x-registry", "unshim-x-mirror", "unshim-x-private", "unshim-x-range", "unshim-x-proxy",
)  # fmt: skip
RANGE_ADDRESS = "10.213.0.49:5000"

# What default-ulimits says; containers of the others have what Docker's unit gives.
OPEN_FILES = {BULLSEYE: "16384 18000", BOOKWORM: "4096 8192"}

# What nobody may read anywhere: two passwords, and how a login is written in an authorization header.
SECRETS = (
    "registry-secret-9c41",
    "bGFiOnJlZ2lzdHJ5LXNlY3JldC05YzQx",
    "proxy-secret-5f1c",
    "bGFiOnByb3h5LXNlY3JldC01ZjFj",
)

# Image -> (registry, repository there), for {} "before" and "after" the move.
IMAGES = {
    f"{REGISTRY}:5000/plain-{{}}:1": (REGISTRY, "plain-{}"),
    f"{RANGE_ADDRESS}/range-{{}}:1": (RANGE, "range-{}"),
    f"{PRIVATE}:5000/private-{{}}:1": (PRIVATE, "private-{}"),
    "mirrored-{}:1": (MIRROR, "library/mirrored-{}"),
}
ROLES = tuple(IMAGES.values())

_LINE = re.compile(r'^(\S+) \S+ \S+ \[[^]]+\] "(\S+) (/v2/(\S+?)/(manifests|blobs)/[^? ]+)(?:\?(\S*))? [^"]*" (\d+) .* "([^"]*)"$', re.MULTILINE)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One line of a registry's access log. ``what`` is "manifests" or "blobs", ``agent`` the client's name for itself."""

    address: str
    method: str
    path: str
    repository: str
    what: str
    query: str
    status: int
    agent: str


class MixedLab(Lab):
    control_plane = "unshim-x-cp"
    workers = WORKERS
    registry = REGISTRY
    nodes = (control_plane, *workers)
    inventory = "inventory/lab-mixed"
    kubeconfig = "build/lab-mixed/kubeconfig"
    remembers_in = "build/carry_over"

    def log_of(self, machine):
        done = subprocess.run(["docker", "logs", machine], text=True, capture_output=True, check=True)
        return done.stdout + done.stderr

    def requests(self, registry, repository):
        """Return what was asked of a registry about a repository, in order, by its access log."""
        found = [Request(*groups[:6], int(groups[6]), groups[7]) for groups in _LINE.findall(self.log_of(registry))]
        return [request for request in found if request.repository == repository]

    def pods(self, node, app=None):
        arguments = ["pods", "-n", NAMESPACE, "--field-selector", f"spec.nodeName={node}"]
        return self.get(*arguments, *(["-l", f"app={app}"] if app else []))["items"]

    def sample(self, node):
        """Return the pod of daemon set `samples` on a node."""
        (pod,) = self.pods(node, "samples")
        return pod

    def inside(self, pod, container, script):
        return self.kubectl("exec", "-n", NAMESPACE, pod, "-c", container, "--", "sh", "-c", script)

    def limits(self, node):
        """Return {limit: value} of a container on a node, as the kernel tells it: {"Max open files": "4096 8192", ...}.

        Of the container's own process: what is executed in it gets the hard limit of open files now and then (runc#4195).
        """
        text = self.inside(self.sample(node)["metadata"]["name"], "plain", "cat /proc/1/limits")
        rows = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[1:]]
        return {row[0]: " ".join(row[1:3]) for row in rows}

    def log_files(self, node, directory, pattern="*"):
        """Return {name: size} of the files of a container's log; links to what Docker wrote are none."""
        lines = self.on(node, f"find {directory} -type f -name '{pattern}' -printf '%f %s\\n'").splitlines()
        return {name: int(size) for name, size in map(str.split, lines)}

    def eventually(self, look, seconds=60):
        """Return what ``look`` returns once that is true, else the last it returned."""
        deadline = time.monotonic() + seconds
        while not (seen := look()) and time.monotonic() < deadline:
            time.sleep(1)
        return seen
