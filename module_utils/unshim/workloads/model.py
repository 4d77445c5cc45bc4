"""What the scan speaks of: rules, the objects they look at, and findings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..plan_model import Finding

Json = dict[str, Any]
#: Where a value is in its object: keys and indexes.
Path = tuple[str | int, ...]
#: Line of a path in the file an object came from; 0 if there is none.
LineOf = Callable[[Path], int]


@dataclass(frozen=True)
class Rule:
    """One thing to look for. Its ``id`` never gets another meaning: a rule that changes its meaning gets a new id.

    ``title`` goes on where the object's name stopped: "mounts ...".
    """

    id: str
    severity: str  # "block", "warn", "info"; see plan_model.SEVERITIES
    title: str
    why: str  # sentences: what happens on a containerd node
    instead: str  # sentences: what to do
    source: str  # where that is known from


@dataclass(frozen=True)
class Hit:
    """A rule met in one object."""

    rule: str
    path: Path
    value: str


def _no_line(_path: Path) -> int:
    return 0


@dataclass(frozen=True)
class Document:
    """One Kubernetes object, and where it was read."""

    object: Json
    file: str = ""  # "" : from the API
    line_of: LineOf = _no_line
    node: str = ""  # of a static pod: the node whose directory holds it

    @property
    def kind(self) -> str:
        return str(self.object.get("kind") or "")

    @property
    def metadata(self) -> Json:
        meta = self.object.get("metadata")
        return meta if isinstance(meta, dict) else {}

    @property
    def namespace(self) -> str:
        """ "" for what has none; objects in files that name none end up in ``default``."""
        if self.kind in CLUSTER_SCOPED:
            return ""
        return str(self.metadata.get("namespace") or "default")

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or self.metadata.get("generateName") or "(no name)")

    @property
    def key(self) -> str:
        """``Kind/namespace/name``, as findings and allow-lists name it; without the API version, which upgrades change."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


CLUSTER_SCOPED = ("ClusterTask", "ClusterWorkflowTemplate", "PersistentVolume", "RuntimeClass")


@dataclass(frozen=True)
class ScanSettings:
    """What the scan is told of the cluster's nodes.

    Args:
        docker_roots: Docker's data directories on the nodes.
        symlinks: further symbolic links on the nodes, target by path; ``/var/run`` is known.
        manifest_types: media type of the manifest that a registry has for an image, by the name in the pod.
    """

    docker_roots: tuple[str, ...] = ("/var/lib/docker",)
    symlinks: Mapping[str, str] = field(default_factory=dict)
    manifest_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkloadFinding(Finding):
    """A plan's finding with its evidence; ``id`` is the rule's."""

    object: str = ""  # "Deployment/ci/runner"
    field: str = ""  # "spec.template.spec.volumes[0].hostPath.path"
    value: str = ""  # what is there, without secrets
    file: str = ""
    line: int = 0
    node: str = ""
    fingerprint: str = ""  # of rule, object, field and value: the same in a file and in a cluster
    allowed: str = ""  # why the allow-list lets it pass; "" : it does not


#: What no terminal, and no file in UTF-8, should be given: control characters and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


def fingerprint(rule: str, key: str, path: str, value: str) -> str:
    return hashlib.sha256(f"{rule}\0{key}\0{path}\0{value}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, so nothing is known of it."""

    message: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Report:
    """What one scan found."""

    source: str  # what was scanned, in words
    objects: int = 0
    pod_specs: int = 0
    findings: tuple[WorkloadFinding, ...] = ()
    allowed: tuple[WorkloadFinding, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()  # of the allow-list: entries that expired or match nothing

    def count(self, severity: str) -> int:
        return sum(finding.severity == severity for finding in self.findings)


def shown_path(path: Path) -> str:
    """Return a path as kubectl and jq users write it: ``spec.containers[0].env[1].value``, ``data["a.conf"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("-", "").replace("_", "").isalnum() and not part[0].isdigit():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
