"""How dockerd in a pod reaches registries: as the node's Docker did, or as the node's containerd does since.

Docker's own settings say it best. Where they are gone, unshim's translation of them is read back: hosts.toml files and the
drop-in of containerd.service.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .. import docker_settings, proxies, unit_environment
from ..facts import Facts, File, Unit
from ..kubelet_flags import FlagError
from ..registries import DOCKER_CERTS_D, HUB, HUB_SERVER, redacted
from .model import Networks, Registries

CERTS_D = "/etc/containerd/certs.d"


def of_node(facts: Facts) -> Registries:
    """Return how one node reaches registries."""
    values = _docker_values(facts)
    found = _of_docker(values, facts.files) if values or _has(facts.files, DOCKER_CERTS_D) else None
    if found is None:
        found = _of_hosts_toml(facts.files)
    # dockerd starts with no mirror that has a user in its URL (moby registry/config.go, ValidateMirror), and daemon.json becomes
    # a ConfigMap, which others may read.
    mirrors = tuple(url for url in found.mirrors if redacted(url) == url)
    return replace(found, mirrors=mirrors, proxies=_proxies(facts, values))


def of_nodes(nodes: Mapping[str, Facts]) -> tuple[Registries, list[str]]:
    """Return the settings of all nodes together, and where they contradict each other (the first node's counts then)."""
    together = Registries()
    problems = []
    for name, facts in nodes.items():
        one = of_node(facts)
        for host, text in one.ca.items():
            if together.ca.get(host, text) != text:
                problems.append(f"{name} trusts another CA for {host} than the nodes before it; theirs is used")
        if together.proxies and one.proxies and together.proxies != one.proxies:
            problems.append(f"{name} has other proxy settings than the nodes before it; theirs are used")
        together = Registries(
            tuple(dict.fromkeys((*together.mirrors, *one.mirrors))),
            tuple(dict.fromkeys((*together.insecure, *one.insecure))),
            {**one.ca, **together.ca},
            together.proxies or one.proxies,
        )
    return together, problems


def with_cluster(found: Registries, networks: Networks) -> Registries:
    """Return the settings with what is inside the cluster in NO_PROXY."""
    if not any(name in found.proxies for name in proxies.PROXIES):
        return replace(found, proxies={})
    inside = ["localhost", "127.0.0.1", *networks.pods, *networks.services, ".svc", ".cluster.local"]
    return replace(
        found, proxies={**found.proxies, "NO_PROXY": proxies.no_proxy(found.proxies.get("NO_PROXY", ""), inside)}
    )


def _docker_values(facts: Facts) -> dict[str, Any]:
    file = facts.files.get(docker_settings.DAEMON_JSON, File(docker_settings.DAEMON_JSON))
    try:
        there = docker_settings.read_daemon_json(file.content or "")
    except docker_settings.DaemonJsonError:
        there = docker_settings.DaemonJson({}, {})
    flags = docker_settings.from_flags(facts.docker.command_line)
    return docker_settings.merge(there, docker_settings.DAEMON_JSON, flags).values


def _has(files: Mapping[str, File], directory: str) -> bool:
    return any(path.startswith(directory + "/") for path in files)


def _of_docker(values: Mapping[str, Any], files: Mapping[str, File]) -> Registries:
    return Registries(
        _strings(values.get("registry-mirrors")),
        _strings(values.get("insecure-registries")),
        _authorities(
            (path.split("/")[-2], files[path].content)
            for path in sorted(files)
            if path.startswith(DOCKER_CERTS_D + "/") and path.endswith(".crt")
        ),
    )


def _of_hosts_toml(files: Mapping[str, File]) -> Registries:
    mirrors: list[str] = []
    insecure: list[str] = []
    authorities: list[tuple[str, str | None]] = []
    for path in sorted(files):
        if not path.startswith(CERTS_D + "/") or not path.endswith("/hosts.toml"):
            continue
        name = path.split("/")[-2]
        try:
            data = tomllib.loads(files[path].content or "")
        except (tomllib.TOMLDecodeError, RecursionError, ValueError):
            continue
        tables = data.get("host")
        hosts = {url: one for url, one in tables.items() if isinstance(one, dict)} if isinstance(tables, dict) else {}
        if name == HUB:
            mirrors += [url.removesuffix("/v2") for url in hosts if url != HUB_SERVER]
            continue
        server = str(data.get("server") or "")
        if server.startswith("http://") or any(
            url.startswith("http://") or table.get("skip_verify") for url, table in hosts.items()
        ):
            insecure.append(name)
            continue
        for table in hosts.values():
            listed = table.get("ca")
            for one in listed if isinstance(listed, list) else [listed]:
                if isinstance(one, str) and one in files:
                    authorities.append((name, files[one].content))
    return Registries(tuple(mirrors), tuple(insecure), _authorities(authorities))


def _authorities(found: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for host, text in found:
        # What holds a key as well is withheld from the facts.
        if text and "PRIVATE KEY" not in text:
            texts.setdefault(host, []).append(text.rstrip("\n") + "\n")
    return {host: "".join(dict.fromkeys(parts)) for host, parts in texts.items()}


def _proxies(facts: Facts, values: Mapping[str, Any]) -> dict[str, str]:
    environment = facts.docker.environment or {}
    for unit in ("docker.service", "containerd.service"):
        if not any(name in environment or name.lower() in environment for name in proxies.PROXIES):
            try:
                seen = unit_environment.environment(
                    unit_environment.unmasked(facts.units.get(unit, Unit(unit)), facts.files), facts.files
                )
            except FlagError:
                continue
            environment = {name: variable.value for name, variable in seen.items()}
    found = proxies.effective(environment, values)
    return {name: value for name, value in found.items() if name in proxies.NAMES}


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
