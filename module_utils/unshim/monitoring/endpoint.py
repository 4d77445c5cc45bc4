"""containerd's metrics endpoint: what config.toml must say for it, and whether it says so already.

It is plain HTTP without a login, at /v1/metrics, and off by default. An address that the node's administrator set stays, also
one in an imported file. Sources: containerd docs/ops.md and cmd/containerd/server/config/config.go (in a file of version 4
the table [metrics] is read no more, plugins/server/metrics is).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from .. import containerd_config, containerd_imports
from ..containerd_config import ConfigError
from ..facts import Facts, File
from ..plan_model import FileChange

PATH = "/v1/metrics"
SERVER_METRICS = "io.containerd.server.v1.metrics"  # schema 4


class EndpointError(Exception):
    """The endpoint cannot be set; the message says why and what to do."""


@dataclass(frozen=True)
class Endpoint:
    """Where a node's containerd serves its metrics, and what has to change for that."""

    address: str  # host:port
    is_loopback: bool  # a Prometheus elsewhere cannot read it
    files: tuple[FileChange, ...] = ()


def split(address: str) -> tuple[str, int]:
    """Return host and port of an address; raises EndpointError if it is not HOST:PORT with an IP address for a host."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise EndpointError(
            f"unshim_containerd_metrics_address is {address!r}; it must be an IP address of the node and a port, such as "
            "127.0.0.1:1338 or [::1]:1338."
        )
    return host, number


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(split(address)[0]).is_loopback


def keys(schema: int) -> tuple[str, ...]:
    """Return where a file of this schema has the address."""
    return ("plugins", SERVER_METRICS, "address") if schema >= 4 else ("metrics", "address")


def with_address(text: str, address: str) -> str:
    """Return config.toml with the endpoint's address, and nothing else touched.

    Raises:
        ConfigError: the file is not TOML, or cannot be edited without changing more.
    """
    where = keys(containerd_config.schema(containerd_config.parse(text)))
    return containerd_config.edited(text, [(where, address)])


def make(facts: Facts, address: str) -> Endpoint:
    """Return where a node's containerd will serve its metrics: where it does already, else at ``address``.

    Raises:
        EndpointError: there is no containerd, or its configuration cannot be read or changed.
    """
    split(address)
    if not facts.containerd.installed:
        raise EndpointError("containerd is not installed on this node. Run migrate.yml or provision.yml first.")
    path = containerd_config.PATH
    file = facts.files.get(path, File(path))
    if file.kind == "missing" or file.content is None:
        raise EndpointError(
            f"{path} {'is not there' if file.kind == 'missing' else 'cannot be read as text'}. "
            "Run migrate.yml or provision.yml first, which configure containerd."
        )
    try:
        whole = containerd_imports.load(path, file.content, facts.files, facts.containerd.version)
        now = _effective(whole)
        if now:
            return Endpoint(now, is_loopback(now))
        after = with_address(file.content, address)
        made = containerd_imports.load(path, after, facts.files, facts.containerd.version)
    except ConfigError as error:
        place = f"{path}:{error.line}" if error.line else path
        raise EndpointError(f"{place}: {error.message}. Correct it.") from None
    for trouble in made.troubles:
        if trouble.blocks:
            raise EndpointError(f"{trouble.message}. {trouble.remedy}")
    if _effective(made) != address:
        raise EndpointError(f"a file that {path} imports takes the metrics' address away. Remove [metrics] there.")
    change = FileChange(
        file.target if file.kind == "symlink" and file.target else path,
        "prepare",
        "containerd's metrics for Prometheus",
        file.content,
        after,
        file.mode or "0644",
        file.owner or "root",
        file.group or "root",
        "containerd_config",
        containerd_config.holds_logins(containerd_config.parse(file.content)),
    )
    return Endpoint(address, is_loopback(address), (change,))


def _effective(whole: containerd_imports.Configuration) -> str:
    """Return the address that containerd takes from a file and its imports, by the schema of the file itself."""
    schema = containerd_config.schema(whole.files[0][1]) if whole.files else 1
    value = containerd_imports.value(whole.data, keys(schema))
    return value if isinstance(value, str) else ""
