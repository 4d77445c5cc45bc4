"""The plan of one node while it is being made: what has been settled so far, and how a change or a finding is added."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from . import compat, registries
from .facts import Facts, File, Unit
from .kubelet_command_line import flag_value
from .plan_model import (
    AnnotationChange,
    ContainerdArchive,
    FileChange,
    FileCopy,
    Finding,
    ImageMove,
    NotCarried,
    PackageChange,
    Plan,
    Repository,
    Settings,
    UnitChange,
)

JOURNAL = "/var/lib/unshim/journal.json"


STATES = ("docker", "prepared", "drained", "switched", "verified", "committed")


MANIFESTS = "/etc/kubernetes/manifests"


@dataclass
class Draft:
    """Facts and settings of one node, and the plan as far as it is settled."""

    facts: Facts
    settings: Settings
    node: str
    state: str = "docker"
    source: str = "none"
    done: bool = False
    kubelet_version: str = ""
    containerd: compat.ContainerdChoice = field(default_factory=compat.ContainerdChoice)
    cgroup_driver: str = ""
    sandbox_image: str = ""
    cni_bin_dir: str = ""
    cni_conf_dir: str = ""
    containerd_root_now: str = "/var/lib/containerd"
    containerd_root: str = ""
    snapshotter: str = ""
    journal: dict[str, Any] = field(default_factory=dict)
    argv: tuple[str, ...] = ()  # what the kubelet runs with now; from its files if it does not run
    shim_argv: tuple[
        str, ...
    ] = ()  # what holds dockershim's flags: the kubelet's own, or cri-dockerd's where that is used
    argv_after: tuple[str, ...] = ()
    kubelet_config: dict[str, Any] = field(default_factory=dict)  # with its drop-ins, as the kubelet merges them
    kubelet_config_path: str = ""  # the value of --config
    kubelet_config_paths: tuple[str, ...] = ()  # of the files that kubelet_config is made of, in order
    daemon_json: dict[str, Any] = field(default_factory=dict)  # what dockerd runs with, its flags included
    docker_origins: dict[str, str] = field(default_factory=dict)  # where each of them was given
    packages: list[PackageChange] = field(default_factory=list)
    repository: Repository | None = None
    archives: list[ContainerdArchive] = field(default_factory=list)
    files: list[FileChange] = field(default_factory=list)
    copies: list[FileCopy] = field(default_factory=list)
    registry_tables: list[registries.Row] = field(default_factory=list)  # of config.toml, where there is no hosts.toml
    units: list[UnitChange] = field(default_factory=list)
    images: list[ImageMove] = field(default_factory=list)
    annotations: list[AnnotationChange] = field(default_factory=list)
    stop_containers: list[str] = field(default_factory=list)
    modules: tuple[str, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    not_carried: list[NotCarried] = field(default_factory=list)

    def block(self, id: str, message: str, remedy: str) -> None:
        self._find(id, "block", message, remedy)

    def warn(self, id: str, message: str, remedy: str = "") -> None:
        self._find(id, "warn", message, remedy)

    def note(self, id: str, message: str, remedy: str = "") -> None:
        self._find(id, "info", message, remedy)

    def _find(self, id: str, severity: str, message: str, remedy: str) -> None:
        finding = Finding(id, severity, registries.redacted(message), remedy)
        if finding not in self.findings:
            self.findings.append(finding)

    @property
    def endpoint(self) -> str:
        """Where the kubelet will find containerd; a bare path is a socket's."""
        given = self.settings.cri_endpoint
        return f"unix://{given}" if given.startswith("/") else given

    @property
    def docker_was_stopped_by_us(self) -> bool:
        unit = self.unit("docker.service")
        masked = unit.load_state == "masked" or unit.unit_file_state == "masked"
        return self.state in ("drained", "switched", "verified", "committed") or (self.state != "docker" and masked)

    def unit(self, name: str) -> Unit:
        return self.facts.units.get(name, Unit(name))

    def has_package(self, name: str) -> bool:
        package = self.facts.packages.get(name)
        return package is not None and bool(package.version)

    def file(self, path: str) -> File:
        return self.facts.files.get(path, File(path))

    def text(self, path: str) -> str | None:
        """Return a file's text, None if it is not there; blocks if it is there and cannot be read."""
        file = self.file(path)
        if file.kind == "missing":
            return None
        if not file.is_utf8:
            self.block(
                "not-utf8",
                f"{path} is not UTF-8 text, so it cannot be read or changed safely",
                f"Convert {path} to UTF-8.",
            )
            return None
        if file.content is None:
            what = (
                "cannot be read"
                if file.kind == "unreadable"
                else f"is a {file.kind}, not a file"
                if file.kind != "symlink"
                else "is a symlink to nothing readable"
            )
            self.block("file-not-readable", f"{path} {what}", f"Make {path} a readable file, or remove it.")
            return None
        return file.content

    def change(
        self, path: str, stage: str, reason: str, after: str, role: str, secret: bool = False, mode: str = "0644"
    ) -> bool:
        """Plan a file's new text; returns whether it differs. A file keeps its own mode and owner."""
        before = self.text(path)
        file = self.file(path)
        if file.kind not in ("missing",) and before is None:
            return False  # it blocks already
        if before == after:
            return False
        real = path
        if file.kind == "symlink" and file.target:
            real = file.target
            self.warn("symlink", f"{path} is a symlink; the file it leads to, {real}, is changed and the link stays")
        self.files.append(
            FileChange(
                real,
                stage,
                reason,
                before,
                after,
                file.mode or mode,
                file.owner or "root",
                file.group or "root",
                role,
                secret,
            )
        )
        return True

    def change_unit(self, unit: Unit, stage: str, action: str, after: str, reason: str) -> None:
        self.units.append(UnitChange(unit.name, stage, action, _unit_state(unit), after, reason))

    def plan(self) -> Plan:
        empty = not (
            self.packages
            or self.archives
            or self.files
            or self.copies
            or self.units
            or self.images
            or self.modules
            or self.sysctls
        )
        apis = (
            compat.kubelet_cri_api(self.kubelet_version)
            if self.kubelet_version
            else compat.containerd_cri_api(self.containerd.version)
        )
        return Plan(
            node=self.node,
            node_name=_node_name(self),
            goal=self.settings.goal,
            source=self.source,
            state=self.state,
            done=self.done and empty and not any(f.severity == "block" for f in self.findings),
            kubelet_version=self.kubelet_version,
            containerd_version=self.containerd.version,
            cri_endpoint=self.endpoint,
            cri_api=apis,
            cgroup_driver=self.cgroup_driver,
            sandbox_image=self.sandbox_image,
            cni_bin_dir=self.cni_bin_dir,
            cni_conf_dir=self.cni_conf_dir,
            containerd_root_now=self.containerd_root_now,
            containerd_root=self.containerd_root,
            snapshotter=self.snapshotter,
            is_control_plane=self.file(f"{MANIFESTS}/kube-apiserver.yaml").kind != "missing",
            packages=tuple(self.packages),
            repository=self.repository,
            archives=tuple(self.archives),
            files=tuple(sorted(self.files, key=lambda change: (change.stage != "prepare", change.path))),
            copies=tuple(sorted(self.copies, key=lambda copy: (copy.stage != "prepare", copy.path))),
            units=tuple(self.units),
            images=tuple(self.images),
            annotations=tuple(self.annotations),
            stop_containers=tuple(self.stop_containers),
            modules=self.modules,
            sysctls=self.sysctls,
            kubelet_command_line_before=self.argv,
            kubelet_command_line_after=self.argv_after or self.argv,
            findings=tuple(sorted(self.findings, key=lambda f: ("block", "warn", "info").index(f.severity))),
            not_carried=tuple(self.not_carried),
        )


def _node_name(draft: Draft) -> str:
    """Return the Kubernetes node's name: the user's, the kubelet's flag, else what it registers as."""
    override = flag_value(draft.argv, "hostname-override")
    return (
        draft.settings.node_name
        or override
        or (draft.facts.kubelet.hostname or draft.facts.hostname or draft.node).lower()
    )


def _unit_state(unit: Unit) -> str:
    """Return a unit's state as a plan words it: "active, enabled"."""
    if unit.load_state == "not-found":
        return "not installed"
    masked = unit.load_state == "masked" or unit.unit_file_state == "masked"
    return f"{unit.active_state}, {'masked' if masked else unit.unit_file_state or 'not enabled'}"


def same_endpoint(one: str, other: str) -> bool:
    """Return whether two CRI endpoints are the same socket: unix:// may be left out, /var/run is /run."""

    def plain(endpoint: str) -> str:
        return re.sub(r"^/var/run/", "/run/", endpoint.removeprefix("unix://"))

    return plain(one) == plain(other)
