"""Paths on a node: what they really name, and what of Docker's is there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

#: Sockets that end with Docker, by their real paths (/var/run is a symbolic link to /run on every supported OS: FHS 3.0, 5.13).
#: Sources: docs.docker.com/reference/cli/dockerd; kubernetes 1.20 cmd/kubelet/app/options; cri-dockerd packaging/systemd;
#: moby libcontainerd/supervisor (the containerd that dockerd starts for itself).
SOCKETS = (
    "/run/docker.sock",
    "/run/dockershim.sock",
    "/run/cri-dockerd.sock",
    "/run/docker/containerd/containerd.sock",
)
#: docs.docker.com/engine/install/binaries and .../compose/install; Debian's and Red Hat's packages.
BINARIES = tuple(
    f"{directory}/{name}"
    for directory in ("/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin")
    for name in ("docker", "dockerd", "docker-compose", "docker-current")
) + ("/usr/libexec/docker", "/usr/lib/docker", "/usr/local/lib/docker")
#: docs.docker.com/engine/daemon, docs.docker.com/engine/security/certificates, and the packages of Debian and Red Hat.
CONFIGURATION = (
    "/etc/docker",
    "/root/.docker",
    "/etc/default/docker",
    "/etc/sysconfig/docker",
    "/etc/systemd/system/docker.service.d",
)
#: Data of dockershim and cri-dockerd beside Docker's own: kubernetes 1.20 pkg/kubelet/dockershim/checkpoint_store, cri-dockerd.
SHIM_DATA = ("/var/lib/dockershim", "/var/lib/cri-dockerd")
_LINKS = {"/var/run": "/run"}
_OTHER_ROOT = re.compile(r"^/proc/(?:1|self)/root(?=/|$)")
_SOCKET_NAME = re.compile(r"^(?:docker|dockershim|cri-dockerd)\.sock$")


def real(path: str, symlinks: Mapping[str, str] | None = None) -> str:
    """Return ``path`` without doubled slashes, dots, ways through /proc and known symbolic links."""
    links = {**_LINKS, **(symlinks or {})}
    path = posixpath.normpath("/" + path.strip().lstrip("/"))
    for _ in range(16):  # a link may lead to a link, and in a circle
        changed = _OTHER_ROOT.sub("", path) or "/"
        for link in sorted(links, key=len, reverse=True):
            if is_below(changed, link):
                changed = posixpath.normpath(links[link] + changed[len(link) :])
                break
        if changed == path:
            break
        path = changed
    return path


def is_below(path: str, directory: str) -> bool:
    """True if ``path`` is ``directory`` or in it."""
    return directory == "/" or path == directory or path.startswith(directory + "/")


def is_socket(path: str) -> bool:
    """True for one of Docker's sockets on the node, by its real path."""
    return path in SOCKETS


def holds_socket(path: str) -> bool:
    """True for a directory that one of Docker's sockets is in.

    /var is none: what a pod sees of /var/run there is a link, which leads into the pod's own /run.
    """
    return not is_socket(path) and any(is_below(socket, path) for socket in SOCKETS)


def is_socket_elsewhere(path: str) -> bool:
    """True for a path called like Docker's socket at a place where Docker does not have it by default."""
    return not is_socket(path) and bool(_SOCKET_NAME.match(posixpath.basename(path)))


def below_any(path: str, directories: tuple[str, ...]) -> bool:
    return any(is_below(path, directory) for directory in directories)
