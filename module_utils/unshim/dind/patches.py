"""For each workload that mounts Docker's socket from its node, the patch that gives it a Docker-in-Docker instead.

A strategic merge patch, as `kubectl patch --type strategic` and kustomize take it. Whatever cannot be said in one is
told as a note: somebody has to look.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..workloads import host_paths
from ..workloads.model import Document, Json, Path, ScanSettings, WorkloadFinding
from ..workloads.pod_specs import Container, PodSpec, Volume, pod_specs, text
from . import cluster_features, manifests, model
from .model import Cluster, Settings

#: Rules of the scan that a dockerd of one's own answers: rules_mounts.py.
RULES = ("docker-socket-mount", "docker-socket-parent-used", "docker-socket-other-place")
#: Kinds with a pod template at a place that a strategic merge patch can name; the path to the pod's specification.
TEMPLATES: dict[str, Path] = {
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
}
#: Kinds of which the API server changes no template: the object is to be made again.
_FIXED = ("Job", "Pod")
_CLIENT_CERTIFICATES = "/certs/client"


@dataclass(frozen=True)
class WorkloadPatch:
    """``patch`` is {} where none can be made; ``notes`` say why, or what it leaves to do."""

    object: str  # "Deployment/ci/agent"
    kind: str
    namespace: str
    name: str
    mode: str
    patch: Json = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        return f"{self.namespace}/{self.kind.lower()}-{self.name}.yml"

    @property
    def command(self) -> str:
        """The command that applies it, run where the files are."""
        words = ["kubectl", "patch", self.kind.lower(), self.name, "-n", self.namespace, "--type", "strategic"]
        # Not --patch-file, which kubectl has since 1.21 only.
        return f'{shlex.join(words)} --patch "$(cat {shlex.quote(self.file_name)})"'


def make(
    findings: Sequence[WorkloadFinding], documents: Sequence[Document], settings: Settings, cluster: Cluster
) -> list[WorkloadPatch]:
    """Return a patch, or the reason why there is none, for each object with a finding about Docker's socket."""
    wanted = dict.fromkeys(one.object for one in findings if one.id in RULES)
    by_key: dict[str, Document] = {}
    for document in documents:
        by_key.setdefault(document.key, document)
    return [_patch(by_key[key], settings, cluster) for key in wanted if key in by_key]


def _patch(document: Document, settings: Settings, cluster: Cluster) -> WorkloadPatch:
    base = WorkloadPatch(document.key, document.kind, document.namespace, document.name, settings.mode)

    def none(note: str) -> WorkloadPatch:
        return WorkloadPatch(base.object, base.kind, base.namespace, base.name, base.mode, {}, (note,))

    if document.node or "kubernetes.io/config.mirror" in (document.metadata.get("annotations") or {}):
        return none("a static pod: change its file on the node; its kubelet takes no ConfigMap or Secret for it")
    if document.kind not in TEMPLATES:
        return none(
            f"a {document.kind} has no strategic merge patch: change what it is made from as docs/dind.md shows"
        )
    path = TEMPLATES[document.kind]
    pod = next((one for one in pod_specs(document.object) if one.path == path), None)
    if pod is None:
        return none("its pod template was not found")
    volumes = [volume for volume in pod.volumes if _leads_to_docker(volume)]
    users = [one for one in pod.containers if _mounts_any(one, volumes)]
    if not volumes or not users:
        return none("no container mounts the socket: remove the volume")
    draft = _Draft(pod, volumes, users, settings, cluster, document)
    spec = draft.spec()
    body: Json = spec
    for part in reversed(path):
        body = {str(part): body}
    labels = draft.pod_labels()
    if labels:
        template: Json = body
        for part in path[:-1]:
            template = template[str(part)]
        template["metadata"] = {"labels": labels}
    patch = {"apiVersion": document.object.get("apiVersion", ""), "kind": document.kind}
    patch |= {"metadata": {"name": document.name, "namespace": document.namespace}, **body}
    if document.kind in _FIXED:
        draft.notes.append(
            f"the template of a {document.kind} cannot be changed: delete it and create it again with the patch in kustomize"
        )
    return WorkloadPatch(
        base.object, base.kind, base.namespace, base.name, base.mode, patch, tuple(dict.fromkeys(draft.notes))
    )


def _leads_to_docker(volume: Volume) -> bool:
    where = host_paths.real(volume.host_path or "", ScanSettings().symlinks) if volume.host_path else ""
    return bool(where) and (
        host_paths.is_socket(where) or host_paths.holds_socket(where) or host_paths.is_socket_elsewhere(where)
    )


def _mounts_any(container: Container, volumes: Sequence[Volume]) -> bool:
    named = {volume.name for volume in volumes}
    return any(text(mount.get("name")) in named for _, mount in container.mounts)


class _Draft:
    """One pod specification's patch while it is made."""

    def __init__(
        self,
        pod: PodSpec,
        volumes: Sequence[Volume],
        users: Sequence[Container],
        settings: Settings,
        cluster: Cluster,
        document: Document,
    ) -> None:
        self.pod, self.volumes, self.users = pod, volumes, users
        self.settings, self.cluster, self.document = settings, cluster, document
        self.features = cluster_features.of(cluster)
        self.notes: list[str] = []
        for volume in volumes:
            if host_paths.holds_socket(host_paths.real(volume.host_path or "", {})):
                self.notes.append(
                    f"volume {volume.name} is the node's {volume.host_path}: the patch takes all of it away; what else the "
                    "container reads there has to be mounted on its own"
                )
        self.notes += _told_paths(users)

    @property
    def named(self) -> set[str]:
        return {volume.name for volume in self.volumes}

    def pod_labels(self) -> dict[str, str]:
        return {
            "sidecar": {model.POD_LABEL: "true"},
            "service": {model.CLIENT_LABEL: "true"},
        }.get(self.settings.mode, {})

    def spec(self) -> Json:
        return {"sidecar": self._sidecar, "daemonset": self._daemonset, "service": self._service}[self.settings.mode]()

    # Modes

    def _sidecar(self) -> Json:
        group = self._group()
        env = {"DIND_GROUP": group} if group else {}
        ends = not self.features.native_sidecar and self._ends()
        if ends:
            env["DIND_ENDS_WITH_JOB"] = "1"
        parts = manifests.pod_parts(self.settings, self.cluster, env)
        if self.document.namespace not in (self.settings.namespace, *self.settings.client_namespaces):
            self.notes.append(
                f"add {self.document.namespace} to unshim_dind_client_namespaces and run dind.yml: the pod mounts a ConfigMap that it puts there"
            )
        if self.features.pod_security:
            self.notes.append(
                f"the namespace {self.document.namespace} has to admit privileged pods (pod-security.kubernetes.io/enforce)"
            )
        dind = parts["container"]
        dind["volumeMounts"] += self._shared(dind["volumeMounts"])
        socket = {"name": "dind-socket", "mountPath": model.SOCKET_DIRECTORY}
        patched = [self._user(one, socket, [("DOCKER_HOST", f"unix://{model.SOCKET}")], ends) for one in self.users]
        spec = self._common(parts, patched, parts["volumes"])
        if self.features.native_sidecar:
            spec.setdefault("initContainers", [])
            spec["initContainers"].insert(0, {**dind, "restartPolicy": "Always"})
            order = ["dind", *self._names("initContainers")]
            spec["$setElementOrder/initContainers"] = [{"name": name} for name in order]
        else:
            if any(one.path[-2] == "initContainers" for one in self.users):
                self.notes.append(
                    "an init container uses Docker: before Kubernetes 1.29 nothing runs beside it; move its work into a container"
                )
            dind["lifecycle"] = {"postStart": {"exec": {"command": ["/bin/sh", "/etc/dind/start.sh", "wait"]}}}
            spec.setdefault("containers", [])
            spec["containers"].insert(0, dind)
            # First, so that the others are started when its postStart has seen dockerd answer.
            order = ["dind", *self._names("containers")]
            spec["$setElementOrder/containers"] = [{"name": name} for name in order]
        return spec

    def _daemonset(self) -> Json:
        volume = {
            "name": "dind-socket",
            "hostPath": {"path": model.HOST_SOCKET_DIRECTORY, "type": "Directory"},
        }
        socket = {"name": "dind-socket", "mountPath": model.SOCKET_DIRECTORY}
        patched = [self._user(one, socket, [("DOCKER_HOST", f"unix://{model.SOCKET}")]) for one in self.users]
        self.notes.append(
            "its containers are beside those of every other user of the node's dockerd, and are reached at that pod's address; "
            "`docker run -v` names paths of that pod, not of the node"
        )
        group = self._group()
        if group:
            self.notes.append(
                f"it takes group {group} for the socket, which is root's here: run it as root, or use mode sidecar"
            )
        parts = manifests.pod_parts(self.settings, self.cluster, {})
        return self._common(parts, patched, [volume])

    def _service(self) -> Json:
        volume = {"name": "dind-client-tls", "secret": {"secretName": "dind-client-tls"}}
        certificates = {"name": "dind-client-tls", "mountPath": _CLIENT_CERTIFICATES, "readOnly": True}
        env = [
            ("DOCKER_HOST", f"tcp://dind.{self.settings.namespace}.svc:{model.TLS_PORT}"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", _CLIENT_CERTIFICATES),
        ]
        if self.document.namespace not in (self.settings.namespace, *self.settings.client_namespaces):
            self.notes.append(
                f"add {self.document.namespace} to unshim_dind_client_namespaces: it gets the client's certificate and may reach dockerd"
            )
        self.notes.append("`docker run -v` names paths of dockerd's pod, not of this one")
        # It may run anywhere: no node selector.
        return self._common({}, [self._user(one, certificates, env) for one in self.users], [volume])

    # Parts

    def _common(self, parts: Mapping[str, Any], patched: Sequence[tuple[str, Json]], volumes: Sequence[Json]) -> Json:
        spec: Json = {
            "volumes": [*({"name": name, "$patch": "delete"} for name in sorted(self.named)), *volumes],
        }
        for kind, container in patched:
            spec.setdefault(kind, []).append(container)
        if parts:
            spec["nodeSelector"] = parts["nodeSelector"]
            # A list without a key: a patch replaces it, so what is there is in it.
            there = [one for one in self.pod.spec.get("tolerations") or () if isinstance(one, dict)]
            spec["tolerations"] = [*there, *(one for one in parts["tolerations"] if one not in there)]
            if self.pod.spec.get("nodeName"):
                self.notes.append("it names its node itself; that node has to be one that dind.yml has prepared")
        return spec

    def _user(
        self, container: Container, mount: Json, env: Sequence[tuple[str, str]], ends: bool = False
    ) -> tuple[str, Json]:
        removed = [
            {"mountPath": text(one.get("mountPath")), "$patch": "delete"}
            for _, one in container.mounts
            if text(one.get("name")) in self.named
        ]
        name = text(container.spec.get("name"))
        found: Json = {
            "name": name,
            "env": [{"name": key, "value": value} for key, value in env],
            "volumeMounts": [*removed, mount],
        }
        if ends and container.path[-2] == "containers":
            command, arguments = container.spec.get("command"), container.spec.get("args") or []
            if isinstance(command, list) and command:
                found["command"] = manifests.wrapper([text(word) for word in command])
                found["args"] = arguments or None
                if found["args"] is None:
                    del found["args"]
            else:
                self.notes.append(
                    f"container {name} has no command of its own, so nothing tells dockerd when it has ended and the pod would not: "
                    "write the image's entrypoint into command, and make the patch again"
                )
        return str(container.path[-2]), found

    def _names(self, kind: str) -> list[str]:
        return [text(one.get("name")) for one in self.pod.spec.get(kind) or () if isinstance(one, dict)]

    def _ends(self) -> bool:
        return self.document.kind in ("Job", "CronJob") or self.pod.spec.get("restartPolicy") in ("Never", "OnFailure")

    def _group(self) -> str:
        contexts = [self.pod.spec.get("securityContext"), *(one.spec.get("securityContext") for one in self.users)]
        for context in contexts:
            if not isinstance(context, dict):
                continue
            groups = context.get("supplementalGroups")
            for group in (groups[:1] if isinstance(groups, list) else []) or [
                context.get("fsGroup"),
                context.get("runAsGroup"),
            ]:
                if isinstance(group, int) and group:
                    return str(group)
        return ""

    def _shared(self, there: Sequence[Json]) -> list[Json]:
        """Return mounts of the users' own volumes: `docker run -v` of such a path is to find the same files in dockerd's container."""
        taken = {text(mount.get("mountPath")) for mount in there}
        found = []
        for container in self.users:
            for _, mount in container.mounts:
                volume = self.pod.volume(text(mount.get("name")))
                path = text(mount.get("mountPath"))
                if volume is None or not {"emptyDir", "persistentVolumeClaim"} & set(volume.spec) or path in taken:
                    continue
                taken.add(path)
                found.append(dict(mount))
        return found


def _told_paths(users: Sequence[Container]) -> Iterator[str]:
    for container in users:
        for _, entry in container.environment:
            if text(entry.get("name")) == "DOCKER_HOST":
                yield f"container {text(container.spec.get('name'))} had DOCKER_HOST={text(entry.get('value'))}; the patch replaces it"
        words = " ".join(word for _, word in container.words())
        if "/var/run/docker.sock" in words or "/run/docker.sock" in words:
            yield (
                f"container {text(container.spec.get('name'))} names docker.sock in its command: it has to ask "
                "$DOCKER_HOST instead"
            )


def render(made: Sequence[WorkloadPatch]) -> str:
    """Return for a terminal what each workload gets, and what is left to do."""
    if not made:
        return "No workload mounts Docker's socket."
    lines = []
    for one in made:
        lines.append(f"{one.object}: {one.file_name if one.patch else 'no patch'}")
        if one.patch:
            lines.append(f"    {one.command}")
        lines += [f"    - {note}" for note in one.notes]
    return "\n".join(lines)
