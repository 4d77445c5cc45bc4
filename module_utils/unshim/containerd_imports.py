"""config.toml together with the files it imports: what containerd really runs with.

containerd 1.x lets a plugin's table in an imported file replace the plugin's whole table. 2.x merges them, key by key, but
2.0 to 2.2 take the version of the last file for all, and from 2.3 on no imported file may be of a newer version than the
root. So a setting in config.toml may have no effect at all, and only the whole tells.

Sources: containerd services/server/config/config.go (1.4 to 1.7) and cmd/containerd/server/config/config.go (2.x), LoadConfig
and mergeConfig; plugins/cri/runtime/plugin.go and plugins/cri/images/plugin.go, configMigration. `containerd config dump` of
1.4, 1.6, 1.7 and 2.1 says the same of the files in tests/data/containerd/imports.
"""

from __future__ import annotations

import copy
import fnmatch
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import compat
from .containerd_config import CRI, CRI_IMAGES, CRI_NAMES, CRI_RUNTIME, ConfigError, parse, schema
from .facts import File

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Hidden:
    """A setting of the root file that has no effect, for an imported file says otherwise."""

    keys: Keys  # in the newest schema this containerd knows
    path: str  # of the imported file
    table: str  # the one in it, as TOML writes it


@dataclass(frozen=True)
class Trouble:
    """What is wrong with how a configuration comes about; ``blocks``: containerd would not start, or run without CRI."""

    id: str
    message: str
    remedy: str
    blocks: bool


@dataclass
class Configuration:
    """The merged configuration, and what is wrong with how it comes about."""

    data: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # in the order they are read
    troubles: list[Trouble] = field(default_factory=list)

    def add(self, id: str, message: str, remedy: str, blocks: bool = True) -> None:
        self.troubles.append(Trouble(id, message, remedy, blocks))


def load(path: str, text: str, files: Mapping[str, File], version: str) -> Configuration:
    """Return what containerd makes of a root file and its imports.

    Args:
        path, text: of the root file, which need not be on the node yet.
        files: of the node; imported ones are looked up here.
        version: of the containerd.

    Raises:
        ConfigError: the root file is not TOML.
    """
    found = Configuration()
    pending, seen = [(path, True)], set()
    is_2 = _at_least(version, (2, 0, 0))
    while pending:
        current, is_named = pending.pop(0)
        if current in seen:
            continue
        seen.add(current)
        content = text if current == path else _content(files, current)
        if content is None:
            if is_named and current in files and files[current].kind == "missing":
                # 1.4 and 2.x take the error for that of a missing config.toml, and go on with what they have read.
                fatal = _at_least(version, (1, 5, 0)) and not is_2
                found.add(
                    "containerd-import-missing",
                    f"{path} imports {current}, which is not there: "
                    + ("containerd would not start" if fatal else "containerd reads no import from there on"),
                    f"Take it out of imports in {path}, or write it.",
                    fatal,
                )
                break
            if is_named:
                found.add(
                    "containerd-import-not-seen",
                    f"{current} is imported and was not looked at",
                    f"See that {current} sets no CRI plugin.",
                    False,
                )
            continue
        try:
            data = parse(content)
        except ConfigError as error:
            if current == path:
                raise
            place = f"{current}:{error.line}" if error.line else current
            found.add(
                "containerd-import-unusable",
                f"{place}: {error.message}; containerd would not start",
                f"Correct {current}.",
            )
            continue
        found.files.append((current, data))
        imports = data.get("imports")
        for pattern in imports if isinstance(imports, list) else []:
            if isinstance(pattern, str) and pattern:
                pending += _matches(pattern, current, files, is_2)
    found.data = _merged(found, version)
    return found


def _content(files: Mapping[str, File], path: str) -> str | None:
    file = files.get(path)
    return file.content if file else None


def _matches(pattern: str, importer: str, files: Mapping[str, File], is_2: bool) -> list[tuple[str, bool]]:
    """Return (path, whether it was named without a pattern). 1.x takes a relative pattern from its working directory, /."""
    if not pattern.startswith("/"):
        base = "/" if "*" in pattern and not is_2 else posixpath.dirname(importer)
        pattern = posixpath.join(base, pattern)
    pattern = posixpath.normpath(pattern)
    if "*" not in pattern:
        return [(pattern, True)]
    directory = posixpath.dirname(pattern)
    return [
        (path, False)
        for path in sorted(files)
        if fnmatch.fnmatchcase(path, pattern) and path.count("/") == pattern.count("/") and files[path].content is not None
        and (posixpath.dirname(path) == directory or "*" in directory)
    ]  # fmt: skip


def _at_least(version: str, wanted: compat.Version) -> bool:
    return (compat.parse_version(version) or (0, 0, 0)) >= wanted


def _declared(data: Mapping[str, Any]) -> int:
    value = data.get("version", 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _merged(found: Configuration, version: str) -> dict[str, Any]:
    if not found.files:
        return {}
    (root, first), *imported = found.files
    number = schema(first)
    if not _at_least(version, (2, 0, 0)):
        return _merged_by_1(found.files)
    if _at_least(version, (2, 3, 0)):
        for path, data in imported:
            if _declared(data) > number:
                found.add(
                    "containerd-import-newer",
                    f"{path} is of version {_declared(data)} and {root} of version {number}: containerd {version} does "
                    "not start with an imported file newer than the file that imports it",
                    f"Convert {root} with `containerd config migrate`, or write {path} in version {number}.",
                )
        merged: dict[str, Any] = {}
        for _, data in found.files:
            _merge(merged, migrated(data) if _declared(data) < 3 else data)
        return merged
    merged, last = {}, number
    for path, data in found.files:
        declared = _declared(data)
        if path != root and declared > 1 and declared != number:
            if declared > number:
                found.add(
                    "containerd-import-newer",
                    f"{path} is of version {declared} and {root} of version {number}: containerd {version} takes both for "
                    f"version {declared}, and so ignores the CRI settings of {root}",
                    f"Convert {root} with `containerd config migrate`, or write {path} in version {number}.",
                )
            else:
                found.add(
                    "containerd-import-older",
                    f"{path} is of version {declared} and {root} of version {number}: of its CRI plugin, containerd {version} "
                    f"takes only what {root} does not set",
                    f"Write {path} in version {number}.",
                    False,
                )
        last = declared if declared > 1 else last
        _merge(merged, data)
    return migrated(merged) if last < 3 else merged


def _merged_by_1(files: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for _, data in files:
        for key, value in data.items():
            if key == "plugins" and isinstance(value, dict):
                merged.setdefault("plugins", {}).update(copy.deepcopy(value))
            elif isinstance(value, list) and isinstance(merged.get(key), list):
                merged[key] = [*merged[key], *value]
            elif isinstance(value, dict) and isinstance(merged.get(key), dict):
                merged[key] = {**merged[key], **copy.deepcopy(value)}
            elif value not in ("", 0, False) or key not in merged:
                merged[key] = copy.deepcopy(value)
    return merged


def _merge(into: dict[str, Any], data: Mapping[str, Any], top: bool = True) -> None:
    """Merge as 2.x does: tables key by key, the lists of the first level together, and nothing empty over something."""
    for key, value in data.items():
        now = into.get(key)
        if isinstance(value, dict) and isinstance(now, dict):
            _merge(now, value, False)
        elif top and isinstance(value, list) and isinstance(now, list):
            now += [one for one in value if one not in now]
        elif key not in into or value not in ("", 0, False, None) and value != [] and value != {}:
            into[key] = copy.deepcopy(value)


_MOVED_TO_IMAGES = (
    "registry", "image_decryption", "max_concurrent_downloads", "image_pull_progress_timeout", "image_pull_with_sync_fs",
    "stats_collect_period",
)  # fmt: skip
_MOVED_TO_SERVER = (
    "disable_tcp_service", "stream_server_address", "stream_server_port", "stream_idle_timeout", "enable_tls_streaming",
    "x509_key_pair_streaming",
)  # fmt: skip
_CONTAINERD_OF_IMAGES = ("snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers")


def migrated(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration of version 2 with its CRI plugin as the two of version 3; anything else stays as it is."""
    result = copy.deepcopy(dict(data))
    plugins = result.get("plugins")
    if not isinstance(plugins, dict) or not isinstance(plugins.get(CRI), dict):
        return result
    source = plugins.pop(CRI)
    runtime = _table(plugins, CRI_RUNTIME)
    for key, value in source.items():
        if key not in (*_MOVED_TO_IMAGES, *_MOVED_TO_SERVER, "sandbox_image", "cni", "containerd"):
            runtime.setdefault(key, value)
    if isinstance(source.get("cni"), dict):
        cni = _table(runtime, "cni")
        for key, value in source["cni"].items():
            if key == "bin_dir":
                cni.setdefault("bin_dirs", [value])
            else:
                cni.setdefault(key, value)
    containerd = source.get("containerd")
    if isinstance(containerd, dict):
        for key, value in containerd.items():
            if key not in _CONTAINERD_OF_IMAGES:
                _table(runtime, "containerd").setdefault(key, value)
    images = _table(plugins, CRI_IMAGES)
    if "sandbox_image" in source:
        _table(images, "pinned_images")["sandbox"] = source["sandbox_image"]
    images.update({key: source[key] for key in _MOVED_TO_IMAGES if key in source})
    # Without a table of runtimes containerd 2.x leaves the snapshotter behind.
    if isinstance(containerd, dict) and "runtimes" in containerd:
        images.update({key: containerd[key] for key in _CONTAINERD_OF_IMAGES if key in containerd})
    return result


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    table = data.setdefault(key, {})
    if not isinstance(table, dict):
        table = data[key] = {}
    return table


# What a setting is where nobody sets it (containerd docs/cri/config.md); a hidden setting that wants just this does no harm.
_DEFAULTS: dict[str, Any] = {
    "SystemdCgroup": False, "runtime_type": "io.containerd.runc.v2", "default_runtime_name": "runc", "snapshotter": "overlayfs",
    "enable_selinux": False, "max_concurrent_downloads": 3, "conf_dir": "/etc/cni/net.d", "bin_dir": "/opt/cni/bin",
}  # fmt: skip


def hidden(configuration: Configuration, rows: Iterable[tuple[Keys, Any]], version: str) -> list[Hidden]:
    """Return those of ``rows`` (keys and wanted values in the root file's schema) that the whole does not say."""
    wanted: dict[str, Any] = {}
    for keys, one in rows:
        if one is None or keys[0] != "plugins":
            continue
        table = wanted
        for key in keys[:-1]:
            table = table.setdefault(key, {})
        table[keys[-1]] = one
    if _at_least(version, (2, 0, 0)):
        wanted = migrated(wanted)
    # With a table of runtimes, containerd 1.x knows no others, not even runc.
    only_these = bool(runtimes(configuration)) and not _at_least(version, (2, 0, 0))
    found = []
    for keys, one in _leaves(wanted):
        now = value(configuration.data, keys)
        unlike_runc = keys[-1] == "runtime_type" and (only_these or keys[-2] != "runc")
        default = None if unlike_runc else _DEFAULTS.get(keys[-1])
        if now != one and (now is not None or default != one):
            found.append(Hidden(keys, *_culprit(configuration, keys)))
    return found


def _leaves(data: Mapping[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def value(data: Any, keys: Keys) -> Any:
    """Return what stands at ``keys``, None if nothing does."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _culprit(configuration: Configuration, keys: Keys) -> tuple[str, str]:
    """Return the last imported file that has a table of the plugin, and that table's header."""
    for path, data in reversed(configuration.files[1:]):
        plugins = data.get("plugins")
        for name in (keys[1], CRI, CRI_RUNTIME, CRI_IMAGES, "cri"):
            if isinstance(plugins, dict) and name in plugins:
                return path, f'[plugins."{name}"]'
    return (configuration.files[-1][0] if configuration.files else "", "")


def deciding(configuration: Configuration, key: str, version: str) -> tuple[str, str]:
    """Return the file that settles a key of the runtime part of CRI, and the header of the table where it does or would.

    In 1.x that is the last file that has the plugin's table at all, else the last that sets the key, else the root.
    """
    whole_table = not _at_least(version, (2, 0, 0))
    for path, data in reversed(configuration.files):
        for name in (CRI_RUNTIME, CRI):
            table = value(data, ("plugins", name))
            if isinstance(table, dict) and (whole_table or key in table):
                return path, f'[plugins."{name}"]'
    path, data = configuration.files[0]
    return path, f'[plugins."{CRI_RUNTIME if schema(data) >= 3 else CRI}"]'


def disabling(configuration: Configuration) -> str:
    """Return the imported file that disables CRI, "" if none does."""
    for path, data in configuration.files[1:]:
        names = data.get("disabled_plugins")
        if isinstance(names, list) and set(CRI_NAMES) & {name for name in names if isinstance(name, str)}:
            return path
    return ""


def runtimes(configuration: Configuration) -> dict[str, Any]:
    """Return the runtimes of the whole, by name."""
    for plugin in (CRI_RUNTIME, CRI):
        found = value(configuration.data, ("plugins", plugin, "containerd", "runtimes"))
        if isinstance(found, dict):
            return found
    return {}
