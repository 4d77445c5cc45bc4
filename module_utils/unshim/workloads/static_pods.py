"""Static pods: what a node's facts hold of the directory that its kubelet starts pods from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..facts import Facts
from ..kubelet_command_line import flag_value
from .manifests import read
from .model import Document, Problem
from .texts import as_yaml

DIRECTORY = "/etc/kubernetes/manifests"
CONFIG = "/var/lib/kubelet/config.yaml"


@dataclass(frozen=True)
class ScannedNode:
    """What the scan is told of one node."""

    node: str  # as Kubernetes calls it
    docker_root: str = ""
    manifests: dict[str, str] = field(default_factory=dict)  # content by path
    seen: bool = True  # False: the node could not be looked at


def node_of(name: str, facts: Facts) -> ScannedNode:
    """Return a node's part of the scan from its facts."""
    argv = facts.kubelet.command_line
    directory = flag_value(argv, "pod-manifest-path") or _configured(facts, flag_value(argv, "config") or CONFIG)
    # The kubelet takes every file in it, whatever it is called, but those that begin with a dot (pkg/kubelet/config/file.go).
    file_in_it = re.compile(rf"{re.escape((directory or DIRECTORY).rstrip('/'))}/[^./][^/]*")
    manifests = {
        path: file.content for path, file in sorted(facts.files.items()) if file_in_it.fullmatch(path) and file.content
    }
    return ScannedNode(name, facts.docker.root, manifests)


def documents(nodes: list[ScannedNode]) -> tuple[list[Document], list[Problem]]:
    """Return the static pods of some nodes, and what could not be read of them."""
    found: list[Document] = []
    problems: list[Problem] = []
    for one in nodes:
        if not one.seen:
            problems.append(
                Problem(f"Node {one.node} could not be looked at: its static pods are known from the API only.")
            )
        for path, content in one.manifests.items():
            read_documents, read_problems = read(content, f"{one.node}:{path}", one.node)
            found += read_documents
            problems += read_problems
    return found, problems


def docker_roots(nodes: list[ScannedNode]) -> tuple[str, ...]:
    """Return Docker's data directories on some nodes; the default one is always among them."""
    return tuple(dict.fromkeys(["/var/lib/docker", *(one.docker_root for one in nodes if one.docker_root)]))


def _configured(facts: Facts, path: str) -> str:
    file = facts.files.get(path)
    parsed: list[Any] = as_yaml(file.content) if file and file.content else []
    config: Mapping[str, Any] = parsed[0] if parsed and isinstance(parsed[0], dict) else {}
    return str(config.get("staticPodPath") or "")
