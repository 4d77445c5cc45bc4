"""Docker Engine on a node: its containers, stopping those of Kubernetes, and what it leaves running.

Docker is asked through its own command line, and only while docker.service is active: docker.socket would start a
stopped Docker for any client that connects.

Labels are those dockershim and cri-dockerd put on every container (kubernetes v1.20, pkg/kubelet/:
dockershim/docker_service.go, types/labels.go, kuberuntime/labels.go; annotations carry the prefix "annotation.").
"""

import concurrent.futures
import json
import os
import re
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import commands, systemd
from .errors import NodeError

SERVICE = "docker.service"
DEFAULT_ROOT = "/var/lib/docker"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_TYPE = "io.kubernetes.docker.type"
SANDBOX = "podsandbox"
# The deletion grace is there where a pod was deleted with one of its own; the kubelet lets it win.
GRACE_PERIODS = ("io.kubernetes.pod.deletionGracePeriod", "io.kubernetes.pod.terminationGracePeriod")
PRE_STOP = "annotation.io.kubernetes.container.preStopHandler"
DEFAULT_GRACE = 30  # s; of a pod that names none

# An API server stops listening at once and then waits up to a minute for its watches, which never end by themselves
# (kubernetes v1.20, staging/src/k8s.io/apiserver/pkg/server/secure_serving.go, Shutdown). All of that is outage, and its
# state is etcd's. Seconds, by container name in kube-system.
SHORTER_GRACE = {"kube-apiserver": 5}

# `docker stop` stops up to 50 containers at a time (cli/command/container/utils.go, parallelOperation); the rest would
# only begin when a slot is free.
STOPS_PER_COMMAND = 50
# `docker stop` returns when a container's state changes; `docker ps` shows it when that is on the disk, too.
LIST_LAG = 10  # s
SPARE_TIME = 60  # s; beyond the grace, for Docker to kill and clean up

Container = NamedTuple(
    "Container",
    [
        ("id", str),
        ("name", str),  # without Docker's leading slash
        ("image", str),  # as it was named when the container was made
        ("running", bool),
        ("pid", int),  # 0 if it does not run
        ("network_mode", str),  # "none", "host", "bridge", "container:ID", ...
        ("auto_remove", bool),
        ("stop_timeout", Optional[int]),  # s; the container's own, None if it names none
        ("labels", Dict[str, str]),
    ],
)


# Pure: what `docker inspect` and /proc say


def parse_containers(text: str) -> List[Container]:
    """Return the containers in the JSON list that `docker inspect` prints.

    Raises:
        NodeError: it is another list than Docker's.
    """
    try:
        return _containers(json.loads(text or "[]"))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise NodeError(
            "What `docker inspect` says is not understood (%s: %s); nothing was changed. Run it by hand to see what it says."
            % (type(error).__name__, error)
        ) from None


def _containers(inspected):
    found = []
    for data in inspected:
        state, host, config = data.get("State") or {}, data.get("HostConfig") or {}, data.get("Config") or {}
        found.append(
            Container(
                id=_text(data["Id"]),
                name=_text(data.get("Name") or data["Id"][:12]).lstrip("/"),
                image=_text(config.get("Image") or data.get("Image") or ""),
                running=bool(state.get("Running")),
                pid=int(state.get("Pid") or 0),
                network_mode=_text(host.get("NetworkMode") or ""),
                auto_remove=bool(host.get("AutoRemove")),
                stop_timeout=None if config.get("StopTimeout") is None else int(config["StopTimeout"]),
                labels={_text(name): _text(value) for name, value in (config.get("Labels") or {}).items()},
            )
        )
    return found


def _text(value):
    if not isinstance(value, str):
        raise TypeError("%r is no text" % (value,))
    return value


def is_kubernetes(container: Container) -> bool:
    return POD_NAME in container.labels


def is_sandbox(container: Container) -> bool:
    return is_kubernetes(container) and container.labels.get(CONTAINER_TYPE) == SANDBOX


def described(container: Container) -> str:
    """Return the container in words an operator finds again: pod and container, or name and image."""
    if is_kubernetes(container):
        pod = "%s/%s" % (container.labels.get(POD_NAMESPACE, "?"), container.labels[POD_NAME])
        what = "sandbox" if is_sandbox(container) else container.labels.get(CONTAINER_NAME, "?")
        return "%s of pod %s (%s)" % (what, pod, container.id[:12])
    return "%s (image %s, %s)" % (container.name, container.image, container.id[:12])


def grace(container: Container, limit: Optional[int] = None) -> int:
    """Return the seconds the container may take to stop: its pod's grace period or its own, at most ``limit``."""
    seconds = DEFAULT_GRACE if container.stop_timeout is None else container.stop_timeout
    for name in GRACE_PERIODS:
        # cri-dockerd and dockershim write them as annotations; look under the plain name as well.
        value = container.labels.get("annotation." + name, container.labels.get(name, ""))
        if re.match(r"[0-9]{1,9}$", value):
            seconds = int(value)
            break
    if container.labels.get(POD_NAMESPACE) == "kube-system":
        seconds = min(seconds, SHORTER_GRACE.get(container.labels.get(CONTAINER_NAME, ""), seconds))
    return seconds if limit is None else min(seconds, limit)


def foreign_running(containers: List[Container]) -> List[Container]:
    """Return the running containers that are not Kubernetes'."""
    return [container for container in containers if container.running and not is_kubernetes(container)]


def stop_order(containers: List[Container]) -> List[List[Container]]:
    """Return Kubernetes' running containers in waves; each wave is stopped at once, after the one before.

    Applications first, then etcd, which an API server needs to the end of its own shutdown, then the sandboxes, whose
    network the others use.
    """
    ours = [container for container in containers if container.running and is_kubernetes(container)]
    sandboxes = [container for container in ours if is_sandbox(container)]
    applications = [container for container in ours if not is_sandbox(container)]
    last = [container for container in applications if container.labels.get(CONTAINER_NAME) == "etcd"]
    first = [container for container in applications if container not in last]
    return [wave for wave in (first, last, sandboxes) if wave]


def stop_commands(containers: List[Container], limit: int) -> List[Tuple[List[str], int]]:
    """Return (argv, seconds of grace) for each `docker stop` that, run side by side, stop all of ``containers``."""
    by_grace: Dict[int, List[str]] = {}
    for container in containers:
        by_grace.setdefault(grace(container, limit), []).append(container.id)
    found = []
    for seconds, ids in sorted(by_grace.items()):
        for start in range(0, len(ids), STOPS_PER_COMMAND):
            found.append((["docker", "stop", "-t", str(seconds)] + ids[start : start + STOPS_PER_COMMAND], seconds))
    return found


def parse_tasks(text: str) -> List[Tuple[str, str]]:
    """Return (id, status) of each line of `ctr tasks ls` ("TASK PID STATUS")."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [(row[0], row[2]) for row in rows if len(row) >= 3]


def shim_namespace(command_line: List[str]) -> Optional[Tuple[str, str]]:
    """Return (namespace, container id) of a containerd shim's command line, None if it is no shim.

    Shim v2 says ``-namespace NS -id ID``; shim v1 says ``-namespace NS -workdir DIR/NS/ID``.
    """
    if not command_line or "containerd-shim" not in os.path.basename(command_line[0]):
        return None
    values: Dict[str, str] = {}
    for place, option in enumerate(command_line[1:-1], 1):
        if option.lstrip("-") in ("namespace", "id", "workdir"):
            values.setdefault(option.lstrip("-"), command_line[place + 1])
    identity = values.get("id") or os.path.basename(values.get("workdir", "").rstrip("/"))
    return values.get("namespace", ""), identity


# What Docker says


def running() -> bool:
    """Return whether docker.service is active. Asks systemd, so it never wakes Docker."""
    return systemd.active(SERVICE)


def require_running(why: str) -> None:
    if not running():
        raise NodeError("Docker (%s) does not run on this node, but %s." % (SERVICE, why))


def containers() -> List[Container]:
    """Return every container Docker has, running or not.

    Raises:
        NodeError: Docker is stopped, or does not answer.
    """
    require_running("its containers have to be listed")
    ids = commands.run(["docker", "ps", "-aq", "--no-trunc"], timeout=120).out.split()
    found: List[Container] = []
    for start in range(0, len(ids), 100):  # a node may hold thousands of exited containers: keep below ARG_MAX
        argv = ["docker", "inspect", "--type=container"] + ids[start : start + 100]
        result = commands.run(argv, timeout=300, check=False)
        # A container may go between the two commands; the others are printed all the same.
        errors = [line for line in result.err.splitlines() if line.strip() and "No such " not in line]
        if errors or (result.rc != 0 and not result.out.strip()):
            raise NodeError("`docker inspect` failed: %s" % commands.last_lines(result.err))
        found.extend(parse_containers(result.out))
    return found


def running_ids() -> Set[str]:
    """Return the ids of the containers that run; cheap, however many have exited."""
    require_running("its containers have to be listed")
    return set(commands.run(["docker", "ps", "-q", "--no-trunc"], timeout=120).out.split())


def info() -> Dict[str, Any]:
    """Return `docker info` as Docker's API names its fields."""
    require_running("its settings have to be read")
    return json.loads(commands.run(["docker", "info", "--format", "{{json .}}"], timeout=120).out)


def stop_containers(chosen: List[Container], limit: int) -> None:
    """Stop the containers, all at once, each with its own grace of at most ``limit`` seconds; then look again.

    Raises:
        NodeError: naming each container that still runs, and what Docker said.
    """
    if not chosen:
        return
    stops = stop_commands(chosen, limit)
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(stops)) as pool:
        # Two per grace: Docker signals, waits, kills and waits again.
        futures = [
            pool.submit(commands.run, argv, timeout=2 * seconds + SPARE_TIME, check=False) for argv, seconds in stops
        ]
        said = []
        for future in futures:
            try:
                said.append(commands.last_lines(future.result().err))
            except commands.CommandFailed as error:
                said.append(error.message)
    left = _left_of(chosen)
    if left:
        raise NodeError(
            "Docker could not stop %s. It said: %s"
            % (", ".join(described(container) for container in left), "; ".join(filter(None, said)) or "nothing"),
            {"still_running": [container.id for container in left]},
        )


def _left_of(chosen: List[Container]) -> List[Container]:
    """Return those that Docker still lists as running after LIST_LAG (moby daemon/monitor.go: state first, then CheckpointTo)."""
    deadline = time.monotonic() + LIST_LAG
    while True:
        still = running_ids()
        left = [container for container in chosen if container.id in still]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.1)


# What runs without Docker's leave


def left_running(
    containerd_socket: str = CONTAINERD_SOCKET, root: str = DEFAULT_ROOT, with_empty_shims: bool = True
) -> List[str]:
    """Return in words what of Docker still runs: dockerd itself, containerd tasks and shims of its namespace "moby".

    A Docker that runs inside a pod has dockerd and shims of the same names; they are told apart by their PID
    namespace and by their cgroup, and are not reported.

    Args:
        with_empty_shims: whether shims count that have no process, and no task or a stopped one. On a busy node dockerd
            gives up after 2 s to have a task deleted (moby 20.10 daemon/monitor.go), and its shim stays, holding nothing.
    """
    found: Dict[str, str] = {}
    # What a shim starts shows the shim's own words until it has become another program.
    shims: Dict[str, List[int]] = {}
    for pid, command_line in _own_processes():
        if os.path.basename(command_line[0]) == "dockerd":
            found["dockerd"] = "dockerd (process %d)" % pid
        shim = shim_namespace(command_line)
        if shim is not None and shim[0] == "moby":
            shims.setdefault(shim[1] or "shim %d" % pid, []).append(pid)
    tasks: Optional[Dict[str, str]] = None
    if os.path.exists(containerd_socket) and commands.find("ctr"):
        argv = ["ctr", "--address", containerd_socket, "--namespace", "moby", "tasks", "ls"]
        result = commands.run(argv, timeout=60, check=False)
        if result.rc == 0:
            tasks = dict(parse_tasks(result.out))
    parents = _parents() if shims else set()
    for identity, pids in shims.items():
        stopped = tasks is not None and tasks.get(identity, "STOPPED") == "STOPPED"
        empty = stopped and parents.isdisjoint(pids)
        if with_empty_shims or not empty:
            found[identity] = "%s (shim process %d)" % (_container_name(root, identity), min(pids))
    for identity, status in (tasks or {}).items():
        if status != "STOPPED":
            name = _container_name(root, identity)
            found.setdefault(identity, "%s (containerd task, %s)" % (name, status.lower()))
    return [found[key] for key in sorted(found)]


def _parents() -> Set[int]:
    """Return the process ids that have a living child, which a shim of a running container has."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stream:
                    state, parent = stream.read().rsplit(")", 1)[1].split()[:2]
                if state != "Z":
                    found.add(int(parent))
            except OSError:  # it has ended meanwhile
                continue
    return found


def _container_name(root: str, identity: str) -> str:
    """Return "NAME (ID)" from the container's file in Docker's data directory, readable while Docker is down."""
    try:
        with open(os.path.join(root, "containers", identity, "config.v2.json"), encoding="utf-8") as stream:
            return "container %s %s" % (json.load(stream).get("Name", "").lstrip("/"), identity[:12])
    except (OSError, ValueError):
        return "container %s" % identity[:12]


def _own_processes() -> Iterator[Tuple[int, List[str]]]:
    """Yield (pid, command line) of the processes that are the node's own: of our PID namespace and outside any pod."""
    ours = os.readlink("/proc/self/ns/pid")
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        try:
            with open("/proc/%s/cmdline" % name, "rb") as stream:
                line = stream.read()
            if not line or os.readlink("/proc/%s/ns/pid" % name) != ours:
                continue
            with open("/proc/%s/cgroup" % name, encoding="utf-8", errors="replace") as stream:
                if "kubepods" in stream.read():
                    continue
        except OSError:  # it has ended meanwhile
            continue
        yield int(name), line.decode("utf-8", "replace").rstrip("\0").split("\0")
