"""Docker's registry settings as containerd's hosts.toml files.

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

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_CERTS_D = "/etc/docker/certs.d"
HEADER = "# Written by unshim from Docker's registry settings.\n"


_SECRET = re.compile(r"(?i)(://)[^/@\s\"]+@")


def redacted(text: str) -> str:
    """Return ``text`` with the user and password of every URL hidden."""
    return _SECRET.sub(r"\1***@", text)


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
