"""What Prometheus has to read of each node: containerd's metrics, and node_exporter's with the collector's among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..facts import Facts
from ..kubelet_command_line import flag_value
from . import templating
from .endpoint import PATH, split


@dataclass(frozen=True)
class Node:
    """A node as Prometheus reaches it."""

    name: str  # in Kubernetes
    host: str  # its address
    containerd: str  # host:port of containerd's metrics, as it listens
    is_loopback: bool = False


def node_name(facts: Facts) -> str:
    """Return the name under which a node's kubelet registers, "" without a kubelet."""
    return flag_value(facts.kubelet.command_line, "hostname-override") or facts.kubelet.hostname


def target(node: Node) -> str:
    """Return the address at which Prometheus finds a node's containerd: one that listens everywhere at the node's own."""
    host, port = split(node.containerd)
    if host in ("0.0.0.0", "::"):
        return f"[{node.host}]:{port}" if ":" in node.host else f"{node.host}:{port}"
    return node.containerd


def render(nodes: Iterable[Node], node_exporter_port: int) -> dict[str, str]:
    """Return the scrape configurations by file name: for a central Prometheus, and for an agent on each node.

    What listens on loopback only an agent can read; its ports are the same on every node, or there are several jobs.
    """
    nodes = sorted(nodes, key=lambda node: node.name)
    reachable = [(node.name, target(node)) for node in nodes if not node.is_loopback]
    on_node = sorted({node.containerd for node in nodes if node.is_loopback})
    files = {
        "scrape.yml": templating.render(
            "scrape.yml.j2",
            path=PATH,
            containerd=reachable,
            left_out=[node.name for node in nodes if node.is_loopback],
            nodes=[(node.name, f"[{node.host}]" if ":" in node.host else node.host) for node in nodes],
            port=node_exporter_port,
        )
    }
    if on_node:
        files["scrape-on-node.yml"] = templating.render(
            "scrape-on-node.yml.j2", path=PATH, targets=on_node, port=node_exporter_port
        )
    return files
