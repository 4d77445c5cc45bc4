"""A real containerd as a process of a test: its own directories, socket and metrics, beside any other on the machine."""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from pathlib import Path

from unshim.monitoring import endpoint
from unshim_node import cri
from unshim_node.protobuf_wire import field, text

IMAGE = "unshim.invalid/busybox:1"  # sandbox image and container image
DEAD_REGISTRY = "127.0.0.1:9"  # discard: nobody listens
HOST_NETWORK = field(1, 2)  # NamespaceOption.network = NODE


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def config(directory, schema, cni_conf):
    """Return an administrator's config.toml, without metrics."""
    cri_tables = {
        2: f"""
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = "{cni_conf}"
""",
        3: f"""
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
conf_dir = "{cni_conf}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{IMAGE}"
""",
    }
    return f"""version = {schema}
root = "{directory}/root"
state = "{directory}/state"
[grpc]
address = "{directory}/containerd.sock"
[ttrpc]
address = "{directory}/ttrpc.sock"
[debug]
address = "{directory}/debug.sock"
{cri_tables[schema]}"""


class ContainerdProcess:
    """One containerd of a release; ``tree`` is where its package was unpacked, ``tools`` where runc was."""

    def __init__(self, tree: Path, directory: Path, tools: Path):
        self.tree, self.directory, self.tools = tree, directory, tools
        self.schema = 3 if self.version().startswith("2.") else 2
        self.port = free_port()
        self.socket = directory / "containerd.sock"
        self.process = None
        self.api = ""
        self.failed_pods = 0

    def version(self):
        said = subprocess.run(
            [self.tree / "usr/bin/containerd", "--version"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[2].lstrip("v")

    def start(self):
        (self.directory / "cni").mkdir(parents=True, exist_ok=True)
        path = self.directory / "config.toml"
        written = config(self.directory, self.schema, self.directory / "cni")
        path.write_text(endpoint.with_address(written, f"127.0.0.1:{self.port}"))
        environment = {**os.environ, "PATH": f"{self.tree}/usr/bin:{self.tools}/usr/sbin:{os.environ['PATH']}"}
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.tree / "usr/bin/containerd", "--config", path], stdout=log, stderr=log, env=environment
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.api = cri.wait_ready(str(self.socket), ["v1", "v1alpha2"], 20)["api"]
                break
            except cri.CriError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.log()
                time.sleep(0.2)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def remove(self):
        self.stop()
        for mount in Path("/proc/mounts").read_text().splitlines():
            if mount.split()[1].startswith(str(self.directory)):
                subprocess.run(["umount", "-l", mount.split()[1]], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        for hierarchy in Path("/sys/fs/cgroup").glob(f"**/{self.directory.name}"):
            hierarchy.rmdir()

    def log(self):
        return (self.directory / "log").read_text()[-3000:]

    def scrape(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/metrics", timeout=20) as reply:
            return reply.read().decode()

    # What a kubelet does

    @property
    def cri(self):
        return cri.Client(str(self.socket), self.api, 30.0)

    def pull_in_vain(self):
        """Ask for an image of a registry that is down; returns what containerd says."""
        try:
            self.cri._image("PullImage", field(1, field(1, f"{DEAD_REGISTRY}/shop/web:1")))
        except cri.CriError as error:
            return error.message
        raise AssertionError("a dead registry had an image")

    def import_image(self):
        """Import an image with nothing but a static busybox."""
        archive = self.directory / "image.tar"
        write_image(archive, self.tools / "bin/busybox")
        subprocess.run(
            [self.tree / "usr/bin/ctr", "-a", self.socket, "-n", "k8s.io", "images", "import", archive],
            check=True, capture_output=True,
        )  # fmt: skip

    def sandbox_config(self, name, host_network):
        metadata = field(1, name) + field(2, f"uid-{name}") + field(3, "default")
        security = field(1, f"/{self.directory.name}") + field(2, field(1, HOST_NETWORK if host_network else b""))
        # As the kubelet does: no host name of its own in the host's network.
        hostname = b"" if host_network else field(2, name)
        return field(1, metadata) + hostname + field(3, str(self.directory / "logs")) + field(8, security)

    def fail_to_run_pod(self):
        """Ask for a pod with a network where there is no CNI configuration; returns what containerd says.

        Each time for another pod: containerd keeps the name of one whose network it could not take down either.
        """
        self.failed_pods += 1
        try:
            self.cri._runtime("RunPodSandbox", field(1, self.sandbox_config(f"no-network-{self.failed_pods}", False)))
        except cri.CriError as error:
            return error.message
        raise AssertionError("a pod got a network without CNI")

    def run_pod(self):
        """Run a pod in the host's network to its end, and remove it; returns the bytes of its log, as a kubelet leaves it."""
        sandbox_config = self.sandbox_config("pod", True)
        sandbox = text(self.cri._runtime("RunPodSandbox", field(1, sandbox_config)), 1)
        command = ["/bin/busybox", "sh", "-c", "echo it runs; echo it fails >&2; printf 'no end'"]
        config = field(1, field(1, "main")) + field(2, field(1, IMAGE))
        for word in command:
            config += field(3, word)
        config += field(11, "main.log")
        request = field(1, sandbox) + field(2, config) + field(3, sandbox_config)
        try:
            container = text(self.cri._runtime("CreateContainer", request), 1)
            self.cri._runtime("StartContainer", field(1, container))
            deadline = time.monotonic() + 20
            while any(one.state != "exited" for one in self.cri.containers()):
                assert time.monotonic() < deadline, "the container does not end"
                time.sleep(0.1)
            return (self.directory / "logs/main.log").read_bytes()
        finally:
            self.cri.stop_pod_sandbox(sandbox)
            self.cri.remove_pod_sandbox(sandbox)


def write_image(path, busybox):
    """Write a `docker save` archive of IMAGE."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "etc", "tmp"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        tar.add(busybox, "bin/busybox")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    about = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "config": {"Cmd": ["/bin/busybox", "sleep", "1000000"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("layer.tar", layer.getvalue()),
            ("config.json", json.dumps(about).encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
