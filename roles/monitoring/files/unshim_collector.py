#!/usr/bin/env python3
"""Write what node_exporter cannot see of a node's container runtimes as a file for its textfile collector.

Reads only: /proc, the node's journal of unshim, containerd's version, and Docker's API through its socket. A part that
fails is told as unshim_collector_part_success 0 and on standard error; the others go on. Python 3.6 or newer, nothing else.
The names are in module_utils/unshim/monitoring/metrics.py.
"""

import argparse
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

STATES = ("docker", "prepared", "drained", "switched", "verified", "committed")  # of unshim's journal
DOCKER_TIMEOUT = 5  # s
DU_TIMEOUT = 1800  # s
CONTAINERD_SOCKET = "unix:///run/containerd/containerd.sock"


class Sample(object):
    """One line of the file."""

    def __init__(self, name, value, **labels):
        self.name, self.value, self.labels = name, value, labels

    def line(self):
        labels = ",".join('%s="%s"' % (key, escaped(text)) for key, text in sorted(self.labels.items()))
        return "%s%s %s\n" % (self.name, "{%s}" % labels if labels else "", number(self.value))


def escaped(text):
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value):
    return str(int(value)) if float(value) == int(value) else repr(float(value))


def render(samples):
    """Return the exposition format; samples of one metric stand together, as the format asks."""
    by_name = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    text = ""
    for name in sorted(by_name):
        text += "# TYPE %s gauge\n" % name + "".join(sample.line() for sample in by_name[name])
    return text


def read(path):
    """Return a file's text, None if it cannot be read: a process may end at any moment."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return None


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def output(argv, timeout=15):
    """Return what a command prints, None if it is not there or fails."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


class Process(object):
    def __init__(self, pid):
        self.directory, self.pid = "/proc/%d" % pid, pid
        self.comm = (read(self.directory + "/comm") or "").strip()
        self.parent = self._parent()

    def _parent(self):
        # The name, in parentheses, may hold anything.
        words = (read(self.directory + "/stat") or "").rpartition(")")[2].split()
        return int(words[1]) if len(words) > 1 else 0

    @property
    def argv(self):
        return (read(self.directory + "/cmdline") or "").split("\0")[:-1]

    @property
    def environment(self):
        pairs = (read(self.directory + "/environ") or "").split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def namespace(self, kind):
        return link(self.directory + "/ns/" + kind)

    def root(self):
        """Return what tells its root directory from any other; None if it has ended."""
        try:
            info = os.stat(self.directory + "/root/")
        except OSError:
            return None
        return info.st_dev, info.st_ino

    def cgroup(self):
        """Return its cgroup of the memory controller, of the only hierarchy with cgroup v2; "" if it has ended."""
        found = ""
        for line in (read(self.directory + "/cgroup") or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if "memory" in controllers.split(","):
                return path
            if not controllers:
                found = path
        return found


def processes():
    return {int(name): Process(int(name)) for name in os.listdir("/proc") if name.isdecimal()}


def is_of_the_node(process, all_of_them):
    """Return whether a process runs on the node itself, as the collector does, and not in a container.

    A unit may have a mount namespace of its own (PrivateTmp), and a container the node's PID namespace (hostPID).
    """
    own = all_of_them[os.getpid()]
    return process.namespace("pid") == own.namespace("pid") and process.root() == own.root()


# The kubelet


def flag(argv, name):
    """Return the last value of a flag, None without it."""
    found = None
    for position, word in enumerate(argv):
        if word.lstrip("-").startswith(name + "="):
            found = word.split("=", 1)[1]
        elif word.lstrip("-") == name and word.startswith("-") and position + 1 < len(argv):
            found = argv[position + 1]
    return found


def configured_endpoint(text):
    """Return containerRuntimeEndpoint of a KubeletConfiguration, YAML or JSON; "" if it sets none."""
    match = re.search(r"""(?m)^[ \t{]*["']?containerRuntimeEndpoint["']?[ \t]*:[ \t]*["']?([^"'\s,}]+)""", text or "")
    return match.group(1) if match else ""


def runtime_of(argv, configuration, version):
    """Return (runtime, endpoint) of a kubelet by its command line, its configuration file and its minor version.

    Source: kubernetes cmd/kubelet/app/options; without any setting it is dockershim up to 1.23, containerd's socket after.
    """
    endpoint = flag(argv, "container-runtime-endpoint") or configured_endpoint(configuration)
    if not endpoint and version >= 24:
        endpoint = CONTAINERD_SOCKET
    if flag(argv, "container-runtime") in (None, "docker") and version < 24:
        return "docker", ""
    for word, runtime in (
        ("cri-docker", "cri-dockerd"),
        ("dockershim", "docker"),
        ("containerd", "containerd"),
        ("crio", "cri-o"),
    ):
        if word in endpoint:
            return runtime, endpoint
    return "other", endpoint


def kubelet(options, all_of_them):
    for process in all_of_them.values():
        if process.comm == "kubelet" and is_of_the_node(process, all_of_them):
            argv = process.argv
            said = output([process.directory + "/exe", "--version"]) or output(["kubelet", "--version"]) or ""
            match = re.search(r"v1\.(\d+)\.", said)
            if not match:
                raise ValueError("the running kubelet does not tell its version")
            path = flag(argv, "config")
            configuration = read(path) if path else ""
            runtime, endpoint = runtime_of(argv, configuration, int(match.group(1)))
            yield Sample("unshim_kubelet_runtime_info", 1, runtime=runtime, endpoint=endpoint)
            return


# containerd, and the journal


def containerd(options, all_of_them):
    said = (output(["containerd", "--version"]) or "").split()
    if len(said) > 2:
        yield Sample("unshim_containerd_info", 1, version=said[2].lstrip("v"))
    if os.path.isdir(options.containerd_root):
        for sample in filesystem("unshim_containerd_filesystem", options.containerd_root):
            yield sample


def filesystem(prefix, path, **labels):
    info = os.statvfs(path)
    yield Sample(prefix + "_size_bytes", info.f_blocks * info.f_frsize, **labels)
    yield Sample(prefix + "_avail_bytes", info.f_bavail * info.f_frsize, **labels)


def migration(options, all_of_them):
    text = read(options.journal)
    if text is None:
        return  # never moved by unshim
    journal = json.loads(text)
    for state in STATES:
        yield Sample("unshim_migration_state", int(journal.get("state") == state), state=state)
    times = [one["time"] for one in journal.get("timeline", []) if one.get("event") == journal.get("state")]
    if times:
        yield Sample("unshim_migration_state_timestamp_seconds", times[-1])


# Docker on the node


def docker(options, all_of_them):
    active = any(one.comm == "dockerd" and is_of_the_node(one, all_of_them) for one in all_of_them.values())
    yield Sample("unshim_docker_active", int(active))


def docker_root(options):
    """Return Docker's data directory, as daemon.json names it."""
    try:
        settings = json.loads(read(options.daemon_json) or "{}")
    except ValueError:
        settings = {}
    return (
        (settings.get("data-root") or settings.get("graph") or "/var/lib/docker") if isinstance(settings, dict) else ""
    )


def last_measured(text):
    """Return (bytes, time) from the file that was written before, None if it does not say."""
    found = re.findall(r"(?m)^unshim_docker_data_(bytes|measured_timestamp_seconds) (\S+)$", text or "")
    values = dict(found)
    return (float(values["bytes"]), float(values["measured_timestamp_seconds"])) if len(values) == 2 else None


def measure(path):
    """Return how much is in a directory, without what is mounted below it; 0 if it is not there."""
    if not os.path.isdir(path):
        return 0
    said = output(["nice", "-n", "19", "du", "-s", "-x", "-k", path], DU_TIMEOUT)
    if said is None:
        # du fails when a file goes while it looks, and says all the same what it found; Docker that runs is such a case.
        return None
    return int(said.split()[0]) * 1024


def data_samples(measured):
    if measured:
        yield Sample("unshim_docker_data_bytes", measured[0])
        yield Sample("unshim_docker_data_measured_timestamp_seconds", measured[1])


# Docker in containers


class DockerConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super(DockerConnection, self).__init__("docker", timeout=DOCKER_TIMEOUT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask_docker(path):
    """Return `docker info` of the Docker that listens on a socket, None if none answers there."""
    connection = DockerConnection(path)
    try:
        connection.request("GET", "/info")
        reply = connection.getresponse()
        found = json.loads(reply.read().decode("utf-8"))
        return found if reply.status == 200 and isinstance(found, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def sockets_of(process):
    """Return where a dockerd in a container may listen, as seen from the node: by its -H, then the usual places."""
    named = [word.split("unix://", 1)[1] for word in process.argv if "unix://" in word]
    for path in named + ["/run/docker.sock", "/var/run/docker.sock"]:
        yield process.directory + "/root" + path
        # A link such as /var/run -> /run leads out of the container when it is followed from here.
        if path.startswith("/var/run/"):
            yield process.directory + "/root" + path[4:]


def first_of_container(process, all_of_them):
    """Return the process that a container began with: the topmost one in the same PID namespace."""
    while process.parent in all_of_them and all_of_them[process.parent].namespace("pid") == process.namespace("pid"):
        process = all_of_them[process.parent]
    return process


def below(process, all_of_them):
    """Return a process and everything it started; a process whose parent ended belongs to the container's first one."""
    children = {}
    for one in all_of_them.values():
        children.setdefault(one.parent, []).append(one)
    found, pending = [], [process]
    while pending:
        one = pending.pop()
        found.append(one)
        pending += children.get(one.pid, [])
    return found


def container_of(first, all_of_them):
    """Return (namespace, ID) in containerd of a container, by the command line of its shim; ("", "") if it has none."""
    shim = all_of_them.get(first.parent)
    argv = shim.argv if shim else []
    return (flag(argv, "namespace") or "", flag(argv, "id") or "")


def escaped_processes(first, namespace, container, all_of_them):
    """Return how many processes of a container are in a cgroup outside of the pod's, or the container's, own."""
    inside = "kubepods" if namespace == "k8s.io" else container
    groups = [one.cgroup() for one in below(first, all_of_them)]
    return sum(1 for group in groups if group and inside and inside not in group)


def dind(options, all_of_them):
    answered = set()
    for process in all_of_them.values():
        if process.comm != "dockerd" or is_of_the_node(process, all_of_them):
            continue
        first = first_of_container(process, all_of_them)
        namespace, container = container_of(first, all_of_them)
        name = process.environment.get("HOSTNAME") or container[:12] or "process %d" % process.pid
        labels = {"dind": name, "container": container[:12]}
        info = None
        for path in sockets_of(process):
            info = ask_docker(path)
            if info:
                break
        for sample in about_dind(info, labels):
            yield sample
        yield Sample(
            "unshim_dind_escaped_processes", escaped_processes(first, namespace, container, all_of_them), **labels
        )
        if info:
            answered.add(info.get("ID"))
            root = process.directory + "/root" + str(info.get("DockerRootDir") or "/var/lib/docker")
            if os.path.isdir(root):
                for sample in filesystem("unshim_dind_filesystem", root, **labels):
                    yield sample
    for path in options.dind_socket:
        info = ask_docker(path)
        if not info or info.get("ID") not in answered:
            for sample in about_dind(info, {"dind": path, "container": ""}):
                yield sample


def about_dind(info, labels):
    yield Sample("unshim_dind_up", int(info is not None), **labels)
    if info:
        yield Sample(
            "unshim_dind_info", 1, version=info.get("ServerVersion", ""), driver=info.get("Driver", ""), **labels
        )


PARTS = (kubelet, containerd, migration, docker, dind)


def collect(options):
    """Return the samples of every part, and whether each could look."""
    all_of_them = processes()
    samples = [Sample("unshim_collector_run_timestamp_seconds", time.time())]
    for part in PARTS:
        try:
            found, success = list(part(options, all_of_them)), 1
        except Exception as error:  # noqa: BLE001  what cannot be seen must not hide the rest
            print("%s: %s: %s" % (part.__name__, type(error).__name__, error), file=sys.stderr)
            found, success = [], 0
        samples += found
        samples.append(Sample("unshim_collector_part_success", success, part=part.__name__))
    return samples


def write(path, text):
    """Replace the file at once: node_exporter must never read half of it, and reads only names that end in .prom."""
    descriptor, temporary = tempfile.mkstemp(prefix=".unshim-", suffix=".tmp", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def parse(argv):
    parser = argparse.ArgumentParser(description="Write what there is to tell of a node's runtimes for node_exporter.")
    parser.add_argument("--output", required=True, help="file to write; its name ends in .prom")
    parser.add_argument(
        "--dind-socket", action="append", default=[], help="socket on which a Docker in a container has to answer"
    )
    parser.add_argument(
        "--measure-every", type=float, default=21600, help="seconds between two times Docker's data is added up"
    )
    parser.add_argument("--containerd-root", default="/var/lib/containerd")
    parser.add_argument("--journal", default="/var/lib/unshim/journal.json")
    parser.add_argument("--daemon-json", default="/etc/docker/daemon.json")
    return parser.parse_args(argv)


def main(argv):
    options = parse(argv)
    measured = last_measured(read(options.output))
    try:
        write(options.output, render(collect(options) + list(data_samples(measured))))
        # Long after the rest, which must not wait for it.
        if measured is None or time.time() - measured[1] >= options.measure_every:
            size = measure(docker_root(options))
            if size is not None:
                write(options.output, render(collect(options) + list(data_samples((size, time.time())))))
    except OSError as error:
        print("%s cannot be written: %s" % (options.output, error.strerror), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
