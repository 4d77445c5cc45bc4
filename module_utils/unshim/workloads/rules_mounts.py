"""Rules for what pods and volumes mount from their node."""

from __future__ import annotations

from collections.abc import Iterator

from . import host_paths
from .host_paths import real
from .images import name_of
from .model import Hit, Json, Path, Rule, ScanSettings
from .pod_specs import Container, PodSpec, Volume, text
from .uses_docker import names_host_socket, runs_docker

_TELEMETRY = (
    "kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/migrating-telemetry-and-security-agents"
)
_BUILD = (
    "Build with BuildKit, Podman or Buildah, or give the pod a Docker daemon of its own (docker:dind); an agent takes "
    "containerd's socket or the kubelet's API instead."
)

RULES = (
    Rule(
        "docker-socket-mount",
        "block",
        "mounts a socket of Docker's from its node",
        "On a containerd node nothing listens there: with hostPath type Socket the pod does not start, else the kubelet makes an "
        "empty directory in its place and every request fails. While Docker is kept, it has none of the cluster's containers.",
        _BUILD,
        f"{_TELEMETRY}; github.com/Azure/AKS/issues/1989; jenkinsci/helm-charts#591",
    ),
    Rule(
        "docker-socket-other-place",
        "warn",
        "mounts a docker.sock from an unusual place of its node",
        "If a dockerd of the node listens there, it ends with Docker; if a Docker daemon in a pod makes it, it stays.",
        "Find out who makes the socket. If it is the node's dockerd, proceed as with docker-socket-mount.",
        "binderhub helm-chart/binderhub/templates/container-builder/daemonset.yaml; docs.docker.com/reference/cli/dockerd (hosts)",
    ),
    Rule(
        "docker-socket-parent",
        "warn",
        "mounts a directory of its node that Docker's socket is in",
        "Whoever is in the container can reach Docker through it; nothing in the object says if it does. A read-only mount keeps "
        "nobody from using a socket.",
        "Ask the owner if it talks to Docker. If not, mount only what it needs, or put it on the allow-list with the reason.",
        f"{_TELEMETRY} (note on parent directories)",
    ),
    Rule(
        "docker-socket-parent-used",
        "block",
        "mounts a directory of its node that Docker's socket is in, and uses Docker",
        "It reaches Docker through the directory; on a containerd node nothing listens there.",
        _BUILD,
        f"{_TELEMETRY} (note on parent directories)",
    ),
    Rule(
        "docker-data-mount",
        "warn",
        "mounts Docker's data directory from its node",
        "Containers of a containerd node leave nothing there: logs are in /var/log/pods, layers and metadata in containerd's own "
        "directory. A log agent that follows /var/lib/docker/containers goes silent, and once Docker's data is deleted a mount of "
        "type Directory keeps the pod from starting.",
        "Mount /var/log/pods and /var/log/containers for logs; ask the kubelet (/stats/summary, /metrics/cadvisor) for metrics.",
        "kubernetes.io/docs/concepts/cluster-administration/logging; github.com/grafana/helm-charts (promtail mounts both)",
    ),
    Rule(
        "docker-binary-mount",
        "block",
        "mounts Docker's programs from its node",
        "The programs go with Docker's packages: with hostPath type File the pod does not start, else there is a directory where "
        "the program was. While they are there, they have no daemon to talk to.",
        _BUILD,
        "kubernetes.io/docs/tasks/administer-cluster/migrating-from-dockershim/check-if-dockershim-removal-affects-you",
    ),
    Rule(
        "docker-config-mount",
        "warn",
        "mounts Docker's configuration from its node",
        "containerd does not read it, so what the pod reads or writes there has no effect any more; commit.yml removes parts of it.",
        "Give the pod its registry login as a Secret; whatever writes certs.d or daemon.json must write containerd's hosts.toml.",
        "containerd docs/hosts.md; docs/carry-over.md",
    ),
    Rule(
        "docker-socket-group",
        "warn",
        "takes a group so that it may use Docker's socket",
        "The number is that of the group docker on the node. Another socket, containerd's or that of a Docker daemon in a pod, "
        "has another group (containerd's is root's; docker:dind makes one of its own), so the user is refused.",
        "Start the new daemon with --group of the same number, or take the group out.",
        "actions-runner-controller#2490; containerd docs/man (grpc.gid)",
    ),
)

#: Agents that mount the root of the node to read file systems and never speak to a runtime: github.com/prometheus/node_exporter
#: (README, "--path.rootfs").
READ_ONLY_FILE_SYSTEMS = ("node-exporter", "node_exporter", "prometheus-node-exporter")


def check_pod(pod: PodSpec, settings: ScanSettings) -> Iterator[Hit]:
    reaches_socket = False
    for volume in pod.volumes:
        if volume.host_path is None:
            continue
        users = [container for container in pod.users if _mounts(container, volume)]
        for path, mounted in _mounted(pod, volume, volume.host_path):
            where = real(mounted, settings.symlinks)
            for hit in check_path(path, mounted, where, settings):
                reaches_socket |= hit.rule in ("docker-socket-mount", "docker-socket-other-place")
                if hit.rule == "docker-socket-parent":
                    if any(runs_docker(one) or names_host_socket(pod, one, settings) for one in users):
                        reaches_socket = True
                        hit = Hit("docker-socket-parent-used", path, mounted)
                    elif users and all(name_of(one.image) in READ_ONLY_FILE_SYSTEMS for one in users):
                        continue
                yield hit
    if reaches_socket:
        yield from _groups(pod)


def check_path(path: Path, mounted: str, where: str, settings: ScanSettings) -> Iterator[Hit]:
    """Yield what is wrong with one path of a node; ``where`` is what ``mounted`` really names."""
    roots = tuple(real(root, settings.symlinks) for root in settings.docker_roots)
    if host_paths.is_socket(where):
        yield Hit("docker-socket-mount", path, mounted)
    elif host_paths.holds_socket(where):
        yield Hit("docker-socket-parent", path, mounted)
    elif host_paths.is_socket_elsewhere(where):
        yield Hit("docker-socket-other-place", path, mounted)
    elif host_paths.below_any(where, (*roots, *host_paths.SHIM_DATA)):
        yield Hit("docker-data-mount", path, mounted)
    elif host_paths.below_any(where, host_paths.BINARIES):
        yield Hit("docker-binary-mount", path, mounted)
    elif host_paths.below_any(where, host_paths.CONFIGURATION):
        yield Hit("docker-config-mount", path, mounted)


def check_object(data: Json, settings: ScanSettings) -> Iterator[Hit]:
    """Check a PersistentVolume: claims hide what it mounts from the pods that use it."""
    if data.get("kind") != "PersistentVolume":
        return
    spec = data.get("spec")
    for kind in ("hostPath", "local"):
        source = spec.get(kind) if isinstance(spec, dict) else None
        mounted = text(source.get("path")) if isinstance(source, dict) else ""
        if mounted:
            yield from check_path(("spec", kind, "path"), mounted, real(mounted, settings.symlinks), settings)


def _mounts(container: Container, volume: Volume) -> bool:
    return any(mount.get("name") == volume.name for _, mount in container.mounts)


def _mounted(pod: PodSpec, volume: Volume, host_path: str) -> list[tuple[Path, str]]:
    """Return what of a volume is mounted: the whole of it, or only what each mount's subPath says."""
    whole = ((*volume.path, "hostPath", "path"), host_path)
    parts: list[tuple[Path, str]] = []
    for container in pod.users:
        for path, mount in container.mounts:
            if mount.get("name") == volume.name:
                if not text(mount.get("subPath")):
                    return [whole]
                parts.append(((*path, "subPath"), f"{host_path.rstrip('/')}/{text(mount['subPath'])}"))
    return parts or [whole]


def _groups(pod: PodSpec) -> Iterator[Hit]:
    places: list[tuple[Path, Json]] = [(pod.path, pod.spec)]
    places += [(container.path, container.spec) for container in pod.containers]
    for path, spec in places:
        context = spec.get("securityContext")
        if not isinstance(context, dict):
            continue
        groups = context.get("supplementalGroups")
        for index, group in enumerate(groups if isinstance(groups, list) else []):
            yield Hit("docker-socket-group", (*path, "securityContext", "supplementalGroups", index), str(group))
        for key in ("fsGroup", "runAsGroup"):
            if context.get(key) not in (None, 0):
                yield Hit("docker-socket-group", (*path, "securityContext", key), str(context[key]))
