"""What Docker-in-Docker is made from: the settings, the cluster as it was seen, and the registries Docker used."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

MODES = ("sidecar", "daemonset", "service")
#: Label of a node that was prepared for dockerd, and the taint of one that is there for nothing else.
NODE_LABEL = "unshim.io/dind"
#: Label of a pod that has a dockerd in it, and of one that may reach a dockerd over the network.
POD_LABEL = "unshim.io/dind"
CLIENT_LABEL = "unshim.io/dind-client"
#: Label of a namespace other than DIND's own whose labelled pods may reach it.
NAMESPACE_LABEL = "unshim.io/dind-clients"
SOCKET_DIRECTORY = "/run/dind"  # in every container
SOCKET = f"{SOCKET_DIRECTORY}/docker.sock"
DATA_DIRECTORY = "/var/lib/docker"
#: Of mode daemonset and of the unit, on the node.
HOST_SOCKET_DIRECTORY = "/run/unshim-dind"
HOST_DATA_DIRECTORY = "/var/lib/unshim-dind"
TLS_PORT = 2376


class DindError(Exception):
    """Docker-in-Docker cannot be had this way; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a user may say; the roles' ``unshim_dind_...`` variables without that."""

    mode: str = "sidecar"
    image: str = ""
    namespace: str = "unshim-dind"
    storage_driver: str = "overlay2"
    storage_size: str = "20Gi"
    storage_class: str = ""
    mtu: int = 0  # 0: that of the pod's own interface, seen when dockerd starts
    reserved_ranges: tuple[str, ...] = ()
    iptables: str = "auto"
    resources: dict[str, Any] = field(default_factory=dict)
    dedicated_nodes: bool = False
    client_namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Networks:
    """Address ranges that dockerd's own networks must stay clear of, and who named each."""

    pods: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()  # what the nodes have routes to, and the nodes' addresses
    given: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[tuple[str, str], ...]:
        """Return (range, whose it is)."""
        return (
            *((one, "pods") for one in self.pods),
            *((one, "Services") for one in self.services),
            *((one, "nodes") for one in self.nodes),
            *((one, "unshim_dind_reserved_ranges") for one in self.given),
        )


@dataclass(frozen=True)
class Registries:
    """How dockerd reaches registries, by the keys of daemon.json.

    ``ca``: PEM texts by registry as images name it. ``proxies``: variables of dockerd's environment; may hold a password.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    ca: dict[str, str] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """A cluster as far as manifests depend on it."""

    version: str  # "1.20.2"
    networks: Networks = field(default_factory=Networks)
    registries: Registries = field(default_factory=Registries)
    has_pod_security_policy: bool | None = None  # whether it serves them; None: by its version


def checked(settings: Settings) -> Settings:
    """Return settings that make sense; raises DindError for others."""
    if settings.mode not in MODES:
        raise DindError(f"unshim_dind_mode is {settings.mode!r}; it is one of {', '.join(MODES)}.")
    if not settings.image:
        raise DindError(
            "unshim_dind_image is empty. Name an image with dockerd and its command line by digest, such as one made from docker:dind: "
            "registry.example/docker@sha256:..."
        )
    name, at, digest = settings.image.partition("@")
    if not name or not at or not digest.startswith("sha256:") or len(digest) != len("sha256:") + 64:
        raise DindError(
            f"unshim_dind_image is {settings.image!r}, which is not named by digest; a privileged container is to be what was "
            "looked at. Write NAME@sha256:..., as `docker inspect --format '{{json .RepoDigests}}' IMAGE` shows it."
        )
    if settings.mtu and not 576 <= settings.mtu <= 65535:
        raise DindError(f"unshim_dind_mtu is {settings.mtu}; 0 takes the pod interface's, else it is 576 to 65535.")
    if settings.iptables not in ("auto", "nft", "legacy"):
        raise DindError(f"unshim_dind_iptables is {settings.iptables!r}; it is one of auto, nft, legacy.")
    for namespace in (settings.namespace, *settings.client_namespaces):
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            raise DindError(f"{namespace!r} is no name of a namespace: small letters, digits and dashes.")
    if not re.fullmatch(r"\d+(\.\d+)?([KMGTP]i?)?", settings.storage_size):
        raise DindError(f"unshim_dind_storage_size is {settings.storage_size!r}; write it as 20Gi.")
    return settings
