"""The node's CNI configuration: which file counts, and which plugins it needs.

containerd takes the first file by name that it can read, as the kubelet did (go-cni, max_conf_num = 1), and calls the
loopback plugin itself for every pod. Sources: containerd docs/cri/config.md, containernetworking/cni SPEC.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .facts import File

BIN_DIR = "/opt/cni/bin"  # the kubelet's defaults: cmd/kubelet/app/options/container_runtime.go (v1.20)
CONF_DIR = "/etc/cni/net.d"


@dataclass(frozen=True)
class CniConfig:
    path: str  # "" if there is no usable file
    plugins: tuple[str, ...] = ()
    has_version: bool = True
    unusable: tuple[tuple[str, str], ...] = ()  # (path, why) of files that come first by name but cannot be used


def read(files: Mapping[str, File], directory: str) -> CniConfig:
    """Return the CNI configuration that counts in ``directory``; its ``path`` is "" where there is none."""
    unusable: list[tuple[str, str]] = []
    for path in sorted(files):
        name = PurePosixPath(path)
        if str(name.parent) != directory.rstrip("/") or name.suffix not in (".conf", ".conflist", ".json"):
            continue
        if files[path].kind in ("missing", "directory"):
            continue
        try:
            data = json.loads(files[path].content or "")
            chain = data["plugins"] if name.suffix == ".conflist" else [data]
            plugins = tuple(dict.fromkeys(kind for plugin in chain for kind in _types(plugin)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            unusable.append((path, f"{type(error).__name__}: {error}"))
            continue
        if plugins:
            return CniConfig(path, plugins, bool(data.get("cniVersion")), tuple(unusable))
        unusable.append((path, "it names no plugin"))
    return CniConfig("", unusable=tuple(unusable))


def _types(plugin: Any) -> list[str]:
    kinds = [plugin["type"]]
    if isinstance(plugin.get("ipam"), dict) and plugin["ipam"].get("type"):
        kinds.append(plugin["ipam"]["type"])
    return [kind for kind in kinds if isinstance(kind, str)]
