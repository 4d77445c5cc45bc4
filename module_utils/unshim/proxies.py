"""The proxy settings dockerd pulls with, as a drop-in of containerd.service.

Go's rules decide which variable counts (golang.org/x/net/http/httpproxy): the name in capitals, then the small one;
NO_PROXY holds addresses, networks, domains, and domains with a leading dot, separated by commas; "*" is everything.
daemon.json's "proxies" wins over the environment (moby daemon/command/daemon.go, since 23.0).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from .facts import File

PATH = "/etc/systemd/system/containerd.service.d/unshim-proxy.conf"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")
NAMES = (*PROXIES, "NO_PROXY")
# Where Go looks for the certificates it trusts, registries' and proxies' too: crypto/x509/root_unix.go.
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
HEADER = """\
# Written by unshim: containerd reaches registries as Docker did. NO_PROXY also holds what is inside the cluster.
[Service]
"""


def effective(environment: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Return what decides how dockerd reaches registries: NAMES and CERTIFICATES, as far as they are set.

    Args:
        environment: dockerd's variables.
        settings: dockerd's, by the keys of daemon.json.
    """
    found = {}
    proxies = settings.get("proxies")
    for name in NAMES:
        value = environment.get(name) or environment.get(name.lower()) or ""
        if isinstance(proxies, dict):
            value = str(proxies.get(name.lower().replace("_", "-")) or "") or value
        if value:
            found[name] = value
    found.update({name: environment[name] for name in CERTIFICATES if environment.get(name)})
    return found


def entries(no_proxy: str) -> list[str]:
    """Return the entries of a NO_PROXY."""
    return [entry.strip() for entry in no_proxy.split(",") if entry.strip()]


def no_proxy(given: str, inside: Iterable[str]) -> str:
    """Return a NO_PROXY that holds the entries ``given``, then what else is ``inside`` the cluster."""
    own = entries(given)
    if "*" in own:
        return "*"
    return ",".join(dict.fromkeys([*own, *inside]))


def has_password(variables: Mapping[str, str]) -> bool:
    return any("@" in variables.get(name, "") for name in PROXIES)


def hidden(text: str) -> str:
    """Return a proxy's address without its user and password, with which a scheme is optional."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", r"\1***@", text)


def drop_in(variables: Mapping[str, str]) -> str:
    """Return the text of a drop-in that sets ``variables``; raises ValueError for one that systemd has no form for."""
    lines = []
    for name, value in variables.items():
        if re.search(r"[\x00-\x1f\x7f]", value):
            raise ValueError(f"{name} holds a control character")
        # systemd takes off the quotes and backslashes, then expands what follows a "%": systemd.exec(5), systemd.unit(5).
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        lines.append(f'Environment="{name}={escaped}"\n')
    return HEADER + "".join(lines)


def pod_ranges(cni_text: str, files: Mapping[str, File], argv: Iterable[str]) -> list[str]:
    """Return the pod networks that the node's files name: its CNI configuration, flannel's, the controller manager's."""
    found: list[str] = []
    try:
        _networks_in(json.loads(cni_text or "{}"), found)
    except (ValueError, RecursionError):
        found = []
    for path, pattern in (
        ("/run/flannel/subnet.env", r"(?m)^FLANNEL_(?:IPV6_)?NETWORK=(\S+)"),
        ("/etc/kubernetes/manifests/kube-controller-manager.yaml", r"--cluster-cidr=([^\s\"']+)"),
    ):
        found += [part for text in re.findall(pattern, _text(files, path)) for part in text.split(",")]
    found += [word.split("=", 1)[1] for word in argv if word.startswith("--pod-cidr=")]
    return [network for network in dict.fromkeys(found) if _is_network(network)]


def service_ranges(files: Mapping[str, File]) -> list[str]:
    """Return the networks of Services, as a control plane's manifests name them; [] on any other node."""
    found: list[str] = []
    for name in ("kube-apiserver", "kube-controller-manager"):
        text = _text(files, f"/etc/kubernetes/manifests/{name}.yaml")
        found += [
            part for text in re.findall(r"--service-cluster-ip-range=([^\s\"']+)", text) for part in text.split(",")
        ]
    return [network for network in dict.fromkeys(found) if _is_network(network)]


def host(url: str) -> str:
    """Return the host in an address such as ``https://[fd00::1]:6443``, "" if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _networks_in(data: Any, found: list[str]) -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("subnet", "ipv4_pools", "ipv6_pools", "podCIDR"):
                found += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
            else:
                _networks_in(value, found)
    elif isinstance(data, list):
        for value in data:
            _networks_in(value, found)


def _text(files: Mapping[str, File], path: str) -> str:
    return (files[path].content if path in files else "") or ""


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
