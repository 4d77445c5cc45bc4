"""Rules for where a container is told that Docker's daemon is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from . import host_paths
from .model import Hit, Json, Rule, ScanSettings
from .pod_specs import Container, PodSpec, text
from .uses_docker import has_daemon, sockets_named

_CLIENT = "docs.docker.com/reference/cli/docker (DOCKER_HOST)"
RULES = (
    Rule(
        "docker-host-socket",
        "block",
        "has DOCKER_HOST point at Docker's socket of its node",
        "On a containerd node nothing listens there.",
        "Let DOCKER_HOST point at a Docker daemon in a pod, or build without one (BuildKit, Podman, Buildah).",
        _CLIENT,
    ),
    Rule(
        "docker-host-node",
        "block",
        "has DOCKER_HOST point at Docker of its node over the network",
        "The dockerd of the node ends with the move, and its port with it.",
        "Let DOCKER_HOST point at a Docker daemon in a pod, or build without one (BuildKit, Podman, Buildah).",
        f"{_CLIENT}; kubernetes.io/docs/concepts/workloads/pods/downward-api (status.hostIP)",
    ),
    Rule(
        "docker-host-elsewhere",
        "info",
        "has DOCKER_HOST point at a daemon outside of the pod",
        "A daemon in another pod or outside of the cluster stays; one on a node of this cluster does not.",
        "Check who answers at that address.",
        f"{_CLIENT}; github.com/actions/actions-runner-controller#2548",
    ),
    Rule(
        "docker-socket-named",
        "warn",
        "names Docker's socket in its configuration",
        "Nothing listens at that path on a containerd node. Whether the program could reach it here cannot be told from the object.",
        "Tell it containerd's socket, /run/containerd/containerd.sock, or take the setting out.",
        "docs.datadoghq.com/agent/guide/docker-deprecation (DD_CRI_SOCKET_PATH, DOCKER_HOST)",
    ),
)

_HOST_ADDRESSES = ("status.hostIP", "status.hostIPs", "spec.nodeName")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_pod(pod: PodSpec, settings: ScanSettings) -> Iterator[Hit]:
    if has_daemon(pod):  # it has what it asks for beside it
        return
    for container in pod.containers:
        yield from _docker_host(pod, container, settings)
        yield from _sockets_named(pod, container, settings)


def _docker_host(pod: PodSpec, container: Container, settings: ScanSettings) -> Iterator[Hit]:
    for path, entry in container.environment:
        if entry.get("name") != "DOCKER_HOST":
            continue
        if _from_node(entry):
            yield Hit("docker-host-node", (*path, "valueFrom", "fieldRef", "fieldPath"), _from_node(entry))
            continue
        value = text(entry.get("value")).strip()
        address = urlsplit(value) if "://" in value else None
        if address is None or not value:
            continue
        if address.scheme == "unix":
            behind = pod.behind(container, address.path, settings)
            if behind is not None and host_paths.is_socket(behind):
                yield Hit("docker-host-socket", (*path, "value"), value)
        elif address.scheme in ("tcp", "http", "https", "ssh"):
            if _is_node(pod, container, value, address.hostname or ""):
                yield Hit("docker-host-node", (*path, "value"), value)
            elif (address.hostname or "") not in _LOOPBACK:
                yield Hit("docker-host-elsewhere", (*path, "value"), value)


def _sockets_named(pod: PodSpec, container: Container, settings: ScanSettings) -> Iterator[Hit]:
    values = [((*path, "value"), text(entry.get("value")), entry.get("name")) for path, entry in container.environment]
    values += [(path, word, "") for path, word in container.words()]
    for path, value, name in values:
        for named in sockets_named(value):
            behind = pod.behind(container, named, settings)
            if behind is None or (behind and not host_paths.is_socket(behind)):
                continue  # something else than the node's is mounted there
            if name == "DOCKER_HOST" and behind:
                continue  # docker-host-socket says so
            if behind or host_paths.is_socket(host_paths.real(named)):
                yield Hit("docker-socket-named", path, value)
                break


def _from_node(entry: Json) -> str:
    source = entry.get("valueFrom")
    reference = source.get("fieldRef") if isinstance(source, dict) else None
    field = text(reference.get("fieldPath")) if isinstance(reference, dict) else ""
    return field if field in _HOST_ADDRESSES else ""


def _is_node(pod: PodSpec, container: Container, value: str, host: str) -> bool:
    """True if an address is the node's: its loopback in a pod on the node's network, or a variable that holds the node's address."""
    if host in _LOOPBACK:
        return bool(pod.spec.get("hostNetwork"))
    from_node = {text(entry.get("name")) for _, entry in container.environment if _from_node(entry)}
    return any(name in from_node for name in re.findall(r"\$\((\w+)\)", value))
