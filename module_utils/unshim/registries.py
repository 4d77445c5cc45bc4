"""Docker's registry settings as containerd's: hosts.toml files, or the tables config.toml had before there were any.

What Docker does (moby registry/config.go, service_v2.go, registry.go; the same from 17.x to 29):

- docker.io is asked through its mirrors in order, then at registry-1.docker.io. A mirror is asked as its URL says, without
  checking its certificate if its host is insecure. Docker Hub itself is never insecure, and has no certs.d of its own.
- An insecure registry is asked over HTTPS without checking its certificate, then over HTTP; its certs.d is not read.
- Any other is asked over HTTPS. certs.d/HOST/*.crt are CAs beside the system's, *.cert with *.key a client's certificate.
- HOST is looked up as it stands in the image's name, port and all. An address in an insecure network is insecure, and so
  is every loopback address; a name is, if it resolves to one.

What containerd does (remotes/docker/config/hosts.go, resolver.go, pkg/cri/server/image_pull.go; read in 1.4.13, 1.6.20,
1.7.24, 2.1.9, 2.2.7 and 2.3.4):

- It tries the hosts of a file in order, then its server, and goes on after any failure: refused, TLS, 4xx.
- A hosts.toml without a [host] is an error up to 1.7; so the server is always listed as a host too.
- HTTP with a certificate or skip_verify is tried as HTTPS first from 1.7 on; so such settings are on HTTPS hosts only.
- 1.4 has no hosts.toml, only registry.mirrors and registry.configs; 2.0 has no TLS settings in configs any more.
- The first of HOST_PORT_, HOST:PORT and _default in the directory is used, whole.
"""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import compat
from .facts import File, Image

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKER_CERTS_D = "/etc/docker/certs.d"
HEADER = "# Written by unshim from Docker's registry settings.\n"
HUB = "docker.io"
HUB_SERVER = "https://registry-1.docker.io"
HUB_NAMES = (HUB, "index.docker.io")
LOOPBACK = ("127.0.0.0/8", "::1/128")  # always insecure; the latter since Docker 28
BUNDLE = "ca-bundle.pem"  # several CAs where containerd takes one file

_SECRET = re.compile(r"(?i)(://)[^/@\s\"]+@")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# Also what keeps "..", quotes and slashes out of a path and out of TOML.
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<v6>[0-9A-Fa-f:.]+)\])(?::\d{{1,5}})?")
_PATH = r"(?:/[A-Za-z0-9._~%!$&'()*+,;=:-]+)*"
_CERTIFICATE_NAME = r"[^/\"\\\x00-\x1f\x7f]+\.(?:crt|cert|key)"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)


def redacted(text: str) -> str:
    """Return ``text`` with the user and password of every URL hidden."""
    return _SECRET.sub(r"\1***@", text)


@dataclass(frozen=True)
class Certificates:
    """What Docker trusts one host with: paths under /etc/docker/certs.d."""

    ca: tuple[str, ...] = ()
    client: tuple[tuple[str, str], ...] = ()  # (certificate, key)

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.ca, *(path for pair in self.client for path in pair))


@dataclass(frozen=True)
class Endpoint:
    """One place to ask for images. ``host`` says whose certificates count; "" for none."""

    url: str
    skip_verify: bool = False
    host: str = ""


@dataclass(frozen=True)
class Registry:
    """One registry as images name it: ``endpoints`` are asked in order, then ``server``."""

    name: str
    server: str
    endpoints: tuple[Endpoint, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return whose certificates it needs."""
        return tuple(dict.fromkeys(endpoint.host for endpoint in self.endpoints if endpoint.host))


@dataclass(frozen=True)
class Problem:
    """Something of Docker's registry settings that cannot be carried over, or only in part."""

    id: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class DockerRegistries:
    """Docker's registry settings.

    ``networks``: each insecure network, with the registries of the node's images that are in it. ``names``: registries of
    the node's images that are names, so may be in such a network.
    """

    registries: tuple[Registry, ...] = ()
    certificates: dict[str, Certificates] = field(default_factory=dict)
    networks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def read(
    settings: Mapping[str, Any],
    files: Mapping[str, File],
    images: Iterable[str],
    origins: Mapping[str, str] | None = None,
) -> DockerRegistries:
    """Return what Docker's settings say of registries.

    Args:
        settings: dockerd's, by the keys of daemon.json.
        files: the node's files; those under /etc/docker/certs.d hold CAs and client certificates.
        images: names of images that this node has, for the registries in insecure networks.
        origins: where each setting was given; daemon.json if not told.
    """
    problems: list[Problem] = []

    def told(key: str, entry: str) -> str:
        return f"{(origins or {}).get(key, DAEMON_JSON)}: {key}: {entry}"

    def odd(key: str, entry: str) -> None:
        said = f"{told(key, entry)} is not what Docker would accept, and is left out"
        problems.append(Problem("registry-not-understood", said))

    def listed(key: str) -> list[str]:
        value = settings.get(key)
        if isinstance(value, list):
            for entry in value:
                if not isinstance(entry, str):
                    odd(key, json.dumps(entry))
            return [entry for entry in value if isinstance(entry, str)]
        if value is not None:
            odd(key, json.dumps(value))
        return []

    insecure: list[str] = []
    networks: list[str] = []
    for entry in listed("insecure-registries"):
        host = re.sub(r"(?i)^https?://", "", entry.strip()).rstrip("/")
        if _network(host) is not None:
            networks.append(host)
        elif host in HUB_NAMES:
            said = (
                f"{told('insecure-registries', entry)}: Docker never takes Docker Hub for insecure, nor will containerd"
            )
            problems.append(Problem("registry-not-used", said))
        elif is_host(host):
            insecure.append(host)
        else:
            odd("insecure-registries", entry)
    seen = {host: _address(host) for host in dict.fromkeys(map(registry_of, images)) if host != HUB and is_host(host)}
    within = {network: tuple(host for host, ip in seen.items() if _contains(network, ip)) for network in networks}
    loopback = [host for host, ip in seen.items() if any(_contains(network, ip) for network in LOOPBACK)]
    insecure = list(dict.fromkeys([*insecure, *(host for hosts in within.values() for host in hosts), *loopback]))

    def is_insecure(host: str) -> bool:
        return host in insecure or any(_contains(network, _address(host)) for network in (*networks, *LOOPBACK))

    certificates = _certificates(files, problems)
    for host in [host for host in certificates if host in HUB_NAMES or is_insecure(host)]:
        why = "for Docker Hub" if host in HUB_NAMES else "for an insecure registry"
        problems.append(Problem("registry-not-used", f"{DOCKER_CERTS_D}/{host}: Docker reads no certificates {why}"))
        del certificates[host]

    found: list[Registry] = []
    mirrors: list[Endpoint] = []
    for entry in listed("registry-mirrors"):
        match = re.fullmatch(rf"((?i:https?))://([^/@\s\"\\]+)({_PATH})/*", entry.strip())
        if not match or not is_host(match[2]):
            odd("registry-mirrors", entry)
            continue
        scheme, host, path = match[1].lower(), match[2], match[3]
        # Docker puts /v2 behind any path, containerd only if the path does not end in it.
        url = f"{scheme}://{host}{path}/v2" if path else f"{scheme}://{host}"
        unverified = scheme == "https" and is_insecure(host)
        mirrors.append(Endpoint(url, unverified, host if scheme == "https" and host in certificates else ""))
    if mirrors:
        found.append(Registry(HUB, HUB_SERVER, tuple(dict.fromkeys(mirrors))))
    for host in insecure:
        found.append(Registry(host, f"http://{host}", (Endpoint(f"https://{host}", True),)))
    for host in certificates:
        found.append(Registry(host, f"https://{host}", (Endpoint(f"https://{host}", False, host),)))
    names = tuple(host for host, ip in seen.items() if ip is None and host not in insecure)
    return DockerRegistries(tuple(found), certificates, within, names, tuple(problems))


def registry_of(image: str) -> str:
    """Return the registry in an image's name, as Docker reads it: docker.io if it names none."""
    first, slash, _ = image.partition("/")
    if not slash or not (("." in first) or (":" in first) or first == "localhost" or first != first.lower()):
        return HUB
    return HUB if first in HUB_NAMES else first


def is_host(text: str) -> bool:
    """Return whether ``text`` is a registry's host, with or without a port."""
    match = _HOST.fullmatch(text)
    if not match or int((re.search(r":(\d+)$", text) or ("", "0"))[1]) > 65535:
        return False
    return match["v6"] is None or _address(text) is not None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a host's address if it is one, or localhost; None for a name."""
    name = re.sub(r":\d+$", "", host) if not host.startswith("[") else re.sub(r"^\[|\].*$", "", host)
    try:
        address = ipaddress.ip_address("127.0.0.1" if name == "localhost" else name)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _contains(network: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    range_ = _network(network)
    return address is not None and range_ is not None and address.version == range_.version and address in range_


def _certificates(files: Mapping[str, File], problems: list[Problem]) -> dict[str, Certificates]:
    """Return the certificates in /etc/docker/certs.d/HOST/ by host, without those that would break containerd's pulls."""
    by_host: dict[str, dict[str, File]] = {}
    for path, file in sorted(files.items()):
        match = re.fullmatch(rf"{DOCKER_CERTS_D}/([^/]+)/({_CERTIFICATE_NAME})", path)
        if match and file.kind in ("file", "symlink", "unreadable") and is_host(match[1]):
            by_host.setdefault(match[1], {})[path] = file
    found = {}
    for host, present in by_host.items():
        problems += [problem for path in present if (problem := _unreadable(present[path]))]
        paths = [path for path, file in present.items() if file.kind != "symlink" or file.mode]
        ca = [path for path in paths if path.endswith(".crt")]
        unusable = [path for path in ca if not _may_hold_certificate(present[path])]
        for path in unusable:
            said = f"{path} holds no certificate in PEM form; Docker passes over such a file, containerd would not pull at all"
            remedy = "It is left out. Convert it if it is meant to count."
            problems.append(Problem("registry-ca-unusable", said, remedy))
        client = []
        for path in paths:
            stem, _, ending = path.rpartition(".")
            other = f"{stem}.{'key' if ending == 'cert' else 'cert'}"
            if ending == "cert" and other in paths:
                client.append((path, other))
            elif ending in ("cert", "key") and other not in paths:
                what = "certificate has no key" if ending == "cert" else "key has no certificate"
                said = f"{path}: this client {what} {other.rsplit('/', 1)[1]} beside it, so Docker pulls nothing from {host}"
                remedy = "It is left out. Put the other file there, or remove this one."
                problems.append(Problem("registry-client-certificate", said, remedy))
        if set(ca) - set(unusable) or client:
            found[host] = Certificates(tuple(path for path in ca if path not in unusable), tuple(client))
    return found


def _unreadable(file: File) -> Problem | None:
    if file.kind == "symlink" and not file.mode:
        said, remedy = f"{file.path} is a symlink to nothing ({file.target})", "Correct it, or remove it."
    elif file.kind == "unreadable":
        said, remedy = f"{file.path} cannot be read by this user", "Plan again as root."
    else:
        return None
    return Problem("registry-file-unreadable", said, remedy)


def _may_hold_certificate(file: File) -> bool:
    withheld = file.content is None and file.is_utf8  # it holds a key as well, or may not be read
    return withheld or any(map(_is_certificate, _PEM.findall(file.content or "")))


def _is_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True


# As hosts.toml


def host_directories(host: str) -> tuple[str, ...]:
    """Return the names a host's directory may have, the first that is there counts; hosts.go hostPaths."""
    name, colon, port = host.rpartition(":")
    return (f"{name}_{port}_", host) if colon and name else (host,)


def copied(path: str, directory: str) -> str:
    """Return where a file of Docker's certs.d goes below containerd's ``directory``."""
    return directory + path.removeprefix(DOCKER_CERTS_D)


def hosts_toml(registry: Registry, certificates: Mapping[str, Certificates], directory: str) -> str:
    """Return a registry's hosts.toml, for certificates copied below ``directory``."""
    parts = [HEADER, f"server = {_toml(registry.server)}\n"]
    for endpoint in registry.endpoints:
        parts.append(f'\n[host.{_toml(endpoint.url)}]\n  capabilities = ["pull", "resolve"]\n')
        if endpoint.skip_verify:
            parts.append("  skip_verify = true\n")
        trusted = certificates.get(endpoint.host, Certificates())
        if trusted.ca:
            parts.append("  ca = [" + ", ".join(_toml(copied(path, directory)) for path in trusted.ca) + "]\n")
        if trusted.client:
            pairs = (f"[{_toml(copied(c, directory))}, {_toml(copied(k, directory))}]" for c, k in trusted.client)
            parts.append("  client = [" + ", ".join(pairs) + "]\n")
    return "".join(parts)


def _toml(text: str) -> str:
    # Nothing that reaches a file needs escaping: see _HOST, _PATH and _CERTIFICATE_NAME.
    return f'"{text}"'


# As tables of config.toml

Row = tuple[tuple[str, ...], Any]  # keys below the registry table, value


def needs_tables(version: str, table: Mapping[str, Any]) -> bool:
    """Return whether registries must go to config.toml: containerd before 1.5, or one that is set up so already.

    Args:
        version: containerd's.
        table: the registry table that config.toml has.
    """
    return not reads_hosts_toml(version) or bool(table.get("mirrors")) or _has_tls(table)


def reads_hosts_toml(version: str) -> bool:
    """Return whether this containerd has config_path."""
    parsed = compat.parse_version(version)
    return not parsed or parsed >= (1, 5, 0)


def tables_lack_tls(version: str) -> bool:
    """Return whether this containerd takes mirrors only: registry.configs.*.tls went in 2.0."""
    parsed = compat.parse_version(version)
    return bool(parsed and parsed >= (2, 0, 0))


def _has_tls(table: Mapping[str, Any]) -> bool:
    configs = table.get("configs")
    return isinstance(configs, dict) and any(isinstance(c, dict) and c.get("tls") for c in configs.values())


def rows(registry: Registry, certificates: Mapping[str, Certificates], directory: str) -> list[Row]:
    """Return a registry as registry.mirrors and registry.configs, as containerd 1.4 reads them.

    A table takes one CA file and one client certificate: several CAs are expected in BUNDLE, of the clients' the first
    counts. containerd asks the registry itself last unless it is among the endpoints.
    """
    found: list[Row] = []
    urls = [endpoint.url for endpoint in registry.endpoints]
    if registry.name == HUB or registry.server not in urls:
        if registry.name != HUB:
            urls.append(registry.server)
        found.append((("mirrors", registry.name, "endpoint"), urls))
    for endpoint in registry.endpoints:
        host = endpoint.url.split("://", 1)[1].split("/", 1)[0]
        tls = ("configs", host, "tls")
        if endpoint.skip_verify:
            found.append(((*tls, "insecure_skip_verify"), True))
        trusted = certificates.get(endpoint.host, Certificates())
        if trusted.ca:
            ca = copied(trusted.ca[0], directory) if len(trusted.ca) == 1 else f"{directory}/{endpoint.host}/{BUNDLE}"
            found.append(((*tls, "ca_file"), ca))
        if trusted.client:
            found.append(((*tls, "cert_file"), copied(trusted.client[0][0], directory)))
            found.append(((*tls, "key_file"), copied(trusted.client[0][1], directory)))
    return found


def merged(table: Mapping[str, Any], wanted: Iterable[Row]) -> list[Row] | None:
    """Return the rows that ``table`` lacks, None if it says something else of one of their registries.

    A "*" among the mirrors answers for every registry that has no entry, so an entry would take its place.
    """
    lacking: list[Row] = []
    for keys, value in wanted:
        now = _at(table, keys)
        if now == value:
            continue
        if keys == ("mirrors", HUB, "endpoint") and now == [HUB_SERVER]:
            lacking.append((keys, value))  # containerd's own default, which 1.4 writes out
            continue
        entry = _at(table, keys[:-1])
        if keys[0] == "mirrors" and (entry is not None or "*" in table.get("mirrors", {})):
            return None
        if keys[0] == "configs" and entry is not None:
            return None
        lacking.append((keys, value))
    return lacking


def _at(table: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table


# Logins


@dataclass(frozen=True)
class LoginSearch:
    """Where a kubelet looks for registry logins, in its order, up to the first file it can read as JSON."""

    root_directory: str = "/var/lib/kubelet"
    working_directory: str = "/"
    home: str = ""  # "" : not set, as for a service of systemd

    @property
    def paths(self) -> tuple[str, ...]:
        """pkg/credentialprovider/config.go, the same from 1.16 to 1.36; an empty HOME is the working directory there."""
        home = self.home or self.working_directory
        first = [f"{self.root_directory}/config.json", f"{self.working_directory}/config.json"]
        first += [f"{home}/.docker/config.json", "/.docker/config.json"]
        second = [f"{place}/.dockercfg" for place in (self.root_directory, self.working_directory, home, "")]
        return tuple(dict.fromkeys(re.sub("/+", "/", path) for path in (*first, *second)))


def logged_in(names: Iterable[str]) -> tuple[str, ...]:
    """Return the registries among the keys of a config.json."""
    hosts = []
    for name in names:
        host = re.sub(r"^https?://", "", name).split("/", 1)[0]
        if "://" not in host and is_host(host) and ("." in host or ":" in host or host == "localhost"):
            hosts.append(HUB if host in HUB_NAMES else host)
    return tuple(dict.fromkeys(hosts))


def images_named(images: Iterable[Image]) -> list[str]:
    """Return every name of the images."""
    return [name for image in images for name in (*image.tags, *image.digests)]
