"""Docker's daemon.json, and its registry settings as containerd's hosts.toml files.

Docker tries an insecure registry over HTTPS without looking at the certificate, then over HTTP; and docker.io through
its mirrors in order, then itself. The files written here make containerd do the same. Sources: moby
registry/service_v2.go and config.go, docs.docker.com/reference/cli/dockerd; containerd docs/hosts.md.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .facts import File
from .plan_model import NotCarried

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_CERTS_D = "/etc/docker/certs.d"
HEADER = "# Written by unshim from Docker's registry settings.\n"


class DaemonJsonError(Exception):
    """daemon.json cannot be read; the message says where."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def parse_daemon_json(text: str) -> dict[str, Any]:
    """Return daemon.json as data, {} if it is empty; raises DaemonJsonError where it is not a JSON object."""
    if not text.strip():
        return {}
    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise DaemonJsonError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise DaemonJsonError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise DaemonJsonError("it is not a JSON object", 1, 1)
    return data


# What becomes of every other key. Source: docs.docker.com/reference/cli/dockerd, "Daemon configuration file".
_KUBELETS = "Kubernetes' containers never used it"
_LOGS = "the kubelet rotates container logs on containerd: containerLogMaxSize and containerLogMaxFiles, 10Mi and 5 by default"
_NETWORK = "pod networks are the CNI's; Docker's own bridge goes with Docker"
_DAEMON = "it configures dockerd itself"
_LATER = "not carried over in this release; set it in containerd's configuration if pods need it"
_BUILDS = "image builds are not the kubelet's"
REASONS = {
    "live-restore": "containerd's containers always survive its restart",
    "log-driver": _LOGS, "log-opts": _LOGS,
    "exec-opts": "the cgroup driver is taken from the kubelet",
    "storage-driver": "containerd chooses its own snapshotter, overlayfs", "storage-opts": "containerd's overlayfs takes no such options",
    "data-root": "containerd keeps its data in /var/lib/containerd; images that pods use are moved there",
    "graph": "containerd keeps its data in /var/lib/containerd; images that pods use are moved there",
    "exec-root": _DAEMON, "hosts": _DAEMON, "tls": _DAEMON, "tlsverify": _DAEMON, "tlscacert": _DAEMON, "tlscert": _DAEMON,
    "tlskey": _DAEMON, "debug": _DAEMON, "log-level": _DAEMON, "pidfile": _DAEMON, "group": _DAEMON, "metrics-addr": _DAEMON,
    "experimental": _DAEMON, "features": _DAEMON, "shutdown-timeout": _DAEMON, "api-cors-header": _DAEMON,
    "authorization-plugins": _DAEMON, "containerd": _DAEMON, "min-api-version": _DAEMON, "oom-score-adjust": _DAEMON,
    "builder": _BUILDS, "buildkit": _BUILDS,
    "bip": _NETWORK, "bridge": _NETWORK, "mtu": _NETWORK, "fixed-cidr": _NETWORK, "fixed-cidr-v6": _NETWORK, "ipv6": _NETWORK,
    "default-address-pools": _NETWORK, "default-gateway": _NETWORK, "default-gateway-v6": _NETWORK, "icc": _NETWORK,
    "ip": _NETWORK, "ip-masq": _NETWORK, "iptables": _NETWORK, "ip6tables": _NETWORK, "userland-proxy": _NETWORK,
    "userland-proxy-path": _NETWORK, "network-control-plane-mtu": _NETWORK, "default-network-opts": _NETWORK, "firewall-backend": _NETWORK,
    "ip-forward": "unshim sets net.ipv4.ip_forward itself", "ip-forward-no-drop": _NETWORK,
    "dns": "pods' DNS is the kubelet's: clusterDNS and resolvConf", "dns-opts": "pods' DNS is the kubelet's",
    "dns-search": "pods' DNS is the kubelet's",
    "default-ulimits": _LATER, "runtimes": _LATER, "default-runtime": _LATER, "seccomp-profile": _LATER, "selinux-enabled": _LATER,
    "proxies": _LATER, "http-proxy": _LATER, "https-proxy": _LATER, "no-proxy": _LATER, "max-concurrent-downloads": _LATER,
    "max-download-attempts": _LATER, "default-shm-size": _LATER, "init": _LATER, "no-new-privileges": _LATER,
    "cgroup-parent": "the kubelet sets every pod's cgroup", "default-cgroupns-mode": "containerd decides by cgroup version and privilege",
    "userns-remap": "containerd has user namespaces per pod (hostUsers: false), not for the daemon",
    "allow-nondistributable-artifacts": _KUBELETS, "max-concurrent-uploads": _KUBELETS, "labels": _KUBELETS,
    "node-generic-resources": _KUBELETS, "swarm-default-advertise-addr": _KUBELETS, "cluster-store": _KUBELETS,
    "init-path": _KUBELETS, "default-ipc-mode": _KUBELETS, "add-runtime": _LATER, "no-pivot-root": _KUBELETS,
}  # fmt: skip
CARRIED = ("insecure-registries", "registry-mirrors")
_SECRET = re.compile(r"(?i)(://)[^/@\s\"]+@")


def redacted(text: str) -> str:
    """Return ``text`` with the user and password of every URL hidden."""
    return _SECRET.sub(r"\1***@", text)


def not_carried(settings: Mapping[str, Any]) -> list[NotCarried]:
    """Return every key of daemon.json that has no successor on a containerd node, with its reason."""
    found = []
    for key in settings:
        if key not in CARRIED:
            value = redacted(json.dumps(settings[key], ensure_ascii=False))
            found.append(NotCarried(f"{DAEMON_JSON}: {key}", value, REASONS.get(key, "unshim does not know it")))
    return found


@dataclass(frozen=True)
class Registries:
    """``files``: hosts.toml texts by path. ``networks``: CIDR entries, which containerd has no form for. ``odd``: entries
    that are neither a host nor a network."""

    files: dict[str, str]
    networks: tuple[str, ...]
    odd: tuple[str, ...]
    secret: tuple[str, ...]  # paths whose text holds a password


def hosts_files(settings: Mapping[str, Any], files: Mapping[str, File], directory: str) -> Registries:
    """Return the hosts.toml files that make containerd treat registries as Docker does.

    Args:
        settings: daemon.json.
        files: the node's files; those under /etc/docker/certs.d name the CAs and client certificates.
        directory: containerd's registry config_path.
    """
    insecure: list[str] = []
    networks: list[str] = []
    odd: list[str] = []
    for entry in _strings(settings.get("insecure-registries"), odd):
        host = re.sub(r"^https?://", "", entry.strip()).rstrip("/")
        if _is_network(host):
            networks.append(host)
        elif _is_host(host):
            insecure.append(host)
        else:
            odd.append(entry)
    certificates = _certificates(files)
    texts: dict[str, str] = {}
    secret: list[str] = []
    mirrors: list[str] = []
    for entry in _strings(settings.get("registry-mirrors"), odd):
        match = re.fullmatch(r"(https?)://(?:[^/@\s\"\\]+@)?([^/@\s]+)/*", entry.strip())
        if match and _is_host(match[2]):
            mirrors.append(entry.strip().rstrip("/"))
        else:
            odd.append(entry)
    if mirrors:
        blocks = []
        for mirror in dict.fromkeys(mirrors):
            host = mirror.split("://", 1)[1].rsplit("@", 1)[-1]
            blocks.append(_block(mirror, certificates.get(host), host in insecure))
            if host in insecure and mirror.startswith("https://"):
                blocks.append(_block("http://" + mirror.split("://", 1)[1], None, False))
        path = f"{directory}/docker.io/hosts.toml"
        texts[path] = HEADER + 'server = "https://registry-1.docker.io"\n' + "".join(blocks)
        if any("@" in mirror for mirror in mirrors):
            secret.append(path)
    for host in dict.fromkeys([*insecure, *certificates]):
        if host == "docker.io" and mirrors:
            continue
        if host in insecure:
            text = f'server = "http://{host}"\n' + _block(f"https://{host}", certificates.get(host), True)
        else:
            text = f'server = "https://{host}"\n' + _block(f"https://{host}", certificates[host], False)
        texts[f"{directory}/{host}/hosts.toml"] = HEADER + text
    return Registries(texts, tuple(dict.fromkeys(networks)), tuple(odd), tuple(secret))


def _strings(value: Any, odd: list[str]) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        odd.append(json.dumps(value))
        return []
    odd += [json.dumps(entry) for entry in value if not isinstance(entry, str)]
    return [entry for entry in value if isinstance(entry, str)]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_host(text: str) -> bool:
    # Also what keeps "..", quotes and slashes out of a path and out of TOML.
    return bool(
        re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?|\[[0-9A-Fa-f:]+\](?::\d{1,5})?", text)
    )


@dataclass(frozen=True)
class _Certificates:
    ca: tuple[str, ...]
    client: tuple[tuple[str, str], ...]


def _certificates(files: Mapping[str, File]) -> dict[str, _Certificates]:
    """Return the certificates in /etc/docker/certs.d/HOST/ by host: *.crt are CAs, *.cert with *.key a client's."""
    by_host: dict[str, list[str]] = {}
    for path, file in sorted(files.items()):
        match = re.fullmatch(rf"{DOCKER_CERTS_D}/([^/]+)/([^/\"\\]+\.(?:crt|cert|key))", path)
        if match and file.kind in ("file", "symlink", "unreadable") and _is_host(match[1]):
            by_host.setdefault(match[1], []).append(path)
    found = {}
    for host, paths in by_host.items():
        ca = tuple(path for path in paths if path.endswith(".crt"))
        client = tuple(
            (path, path[:-5] + ".key") for path in paths if path.endswith(".cert") and path[:-5] + ".key" in paths
        )
        if ca or client:
            found[host] = _Certificates(ca, client)
    return found


def _block(url: str, certificates: _Certificates | None, skip_verify: bool) -> str:
    lines = [f'\n[host."{url}"]', '  capabilities = ["pull", "resolve"]']
    if skip_verify:
        lines.append("  skip_verify = true")
    if certificates and certificates.ca:
        lines.append("  ca = [" + ", ".join(f'"{path}"' for path in certificates.ca) + "]")
    if certificates and certificates.client:
        lines.append("  client = [" + ", ".join(f'["{cert}", "{key}"]' for cert, key in certificates.client) + "]")
    return "\n".join(lines) + "\n"
