"""Every pod specification in an object, whatever its kind: pods, templates of controllers, and custom resources.

No table of kinds: whatever has containers, or volumes with a path of the node, is a pod to be. So the templates of the Actions
Runner Controller, of Tekton (``steps``), Argo (``container``, ``script``) and of operators nobody has heard of are seen, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .host_paths import is_below, real
from .model import Json, Path, ScanSettings

_LISTS = ("initContainers", "containers", "ephemeralContainers", "steps", "sidecars")
_SINGLE = ("container", "script")
#: Kinds whose insides are data or schemas, not pods to be; a ConfigMap's texts are read by the rules for texts.
NO_PODS = ("ConfigMap", "Secret", "CustomResourceDefinition", "Event", "ControllerRevision")
_DEPTH = 30


@dataclass(frozen=True)
class Container:
    spec: Json
    path: Path

    @property
    def image(self) -> str:
        return text(self.spec.get("image"))

    @property
    def environment(self) -> list[tuple[Path, Json]]:
        return [((*self.path, "env", index), entry) for index, entry in dicts(self.spec.get("env"))]

    @property
    def mounts(self) -> list[tuple[Path, Json]]:
        return [((*self.path, "volumeMounts", index), entry) for index, entry in dicts(self.spec.get("volumeMounts"))]

    def words(self) -> list[tuple[Path, str]]:
        """Command and arguments, word by word; Tekton's and Argo's scripts are one word."""
        found: list[tuple[Path, str]] = []
        for key in ("command", "args"):
            for index, word in enumerate(self.spec.get(key) or () if isinstance(self.spec.get(key), list) else ()):
                found.append(((*self.path, key, index), text(word)))
        for key in ("script", "source"):
            if isinstance(self.spec.get(key), str):
                found.append(((*self.path, key), self.spec[key]))
        return found


@dataclass(frozen=True)
class Volume:
    spec: Json
    path: Path

    @property
    def name(self) -> str:
        return text(self.spec.get("name"))

    @property
    def host_path(self) -> str | None:
        source = self.spec.get("hostPath")
        path = source.get("path") if isinstance(source, dict) else None
        return path if isinstance(path, str) and path else None


@dataclass(frozen=True)
class PodSpec:
    spec: Json
    path: Path  # of the specification in its object
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()  # those declared here
    outer: tuple[Volume, ...] = ()  # those declared around it, as Argo does
    users: tuple[
        Container, ...
    ] = ()  # who may mount the volumes: its containers, and those of specifications inside it
    annotations: Json = field(default_factory=dict)
    annotations_path: Path = ()

    def volume(self, name: str) -> Volume | None:
        return next((volume for volume in (*self.volumes, *self.outer) if volume.name == name), None)

    def behind(self, container: Container, path: str, settings: ScanSettings) -> str | None:
        """Return what a path inside a container is on the node; None if it is not the node's, "" if nothing is mounted there."""
        path = real(path)
        best: tuple[int, Json] | None = None
        for _, mount in container.mounts:
            # In the container, too, /var/run is a link to /run in most images.
            target = real(text(mount.get("mountPath")) or "/")
            if is_below(path, target) and (best is None or len(target) >= best[0]):
                best = (len(target), mount)
        if best is None:
            return ""
        mount = best[1]
        volume = self.volume(text(mount.get("name")))
        if volume is None or volume.host_path is None:
            return None
        target = real(text(mount.get("mountPath")) or "/")
        inside = path[len(target) :] if target != "/" else path
        return real("/".join((volume.host_path, text(mount.get("subPath")), inside)), settings.symlinks)


def text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)


def dicts(value: Any) -> list[tuple[int, Json]]:
    """Return the dicts of a list with their indexes; [] if it is no list."""
    return [(index, one) for index, one in enumerate(value) if isinstance(one, dict)] if isinstance(value, list) else []


def pod_specs(data: Json) -> Iterator[PodSpec]:
    """Yield every pod specification of an object."""
    if data.get("kind") in NO_PODS:
        return
    inside = {key: value for key, value in data.items() if key not in ("metadata", "status", "apiVersion", "kind")}
    # A bare Pod's annotations are its object's own.
    yield from embedded(inside, (), data.get("metadata"), ("metadata",))


def embedded(
    value: Any,
    path: Path,
    metadata: Any = None,
    metadata_path: Path = (),
    outer: tuple[Volume, ...] = (),
    depth: int = 0,
) -> Iterator[PodSpec]:
    """Yield every pod specification in any data."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from embedded(one, (*path, index), metadata, metadata_path, outer, depth + 1)
        return
    if not isinstance(value, dict):
        return
    containers, read = _containers(value, path)
    volumes = tuple(Volume(one, (*path, "volumes", index)) for index, one in dicts(value.get("volumes")))
    is_pod = bool(containers) or any(volume.host_path for volume in volumes)
    if is_pod and not containers and isinstance(value.get("volumeMounts"), list):
        containers = (Container(value, path),)  # a specification that is its only container, as the ARC's Runner
    passed_over = (*read, "volumes") if is_pod else ()
    inside: list[PodSpec] = []
    inner = (value.get("metadata"), (*path, "metadata")) if "metadata" in value else (metadata, metadata_path)
    for key, one in value.items():
        if key not in passed_over and isinstance(key, str):
            inside += embedded(one, (*path, key), *inner, (*volumes, *outer), depth + 1)
    if is_pod:
        meta = metadata if isinstance(metadata, dict) else {}
        notes = meta.get("annotations")
        yield PodSpec(
            value,
            path,
            containers,
            volumes,
            outer,
            (*containers, *(one for spec in inside for one in spec.containers)),
            notes if isinstance(notes, dict) else {},
            (*metadata_path, "annotations"),
        )
    yield from inside


def _containers(value: Json, path: Path) -> tuple[tuple[Container, ...], tuple[str, ...]]:
    found: list[Container] = []
    keys: list[str] = []
    for key in _LISTS:
        entries = [(index, one) for index, one in dicts(value.get(key)) if _is_container(one)]
        if entries:
            found += [Container(one, (*path, key, index)) for index, one in entries]
            keys.append(key)
    for key in _SINGLE:
        one = value.get(key)
        if isinstance(one, dict) and _is_container(one):
            found.append(Container(one, (*path, key)))
            keys.append(key)
    return tuple(found), tuple(keys)


def _is_container(value: Json) -> bool:
    return isinstance(value.get("image"), str) or (
        isinstance(value.get("name"), str) and any(key in value for key in ("command", "args", "env", "volumeMounts"))
    )
