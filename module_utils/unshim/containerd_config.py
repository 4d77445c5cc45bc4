"""containerd's config.toml: what a node's file must say for CRI, set without touching anything else in it.

Comments, order and unknown tables stay. A file that already says everything wanted is returned byte for byte. Sources:
containerd docs/cri/config.md, docs/hosts.md, RELEASES.md (deprecated properties), config.go (ValidateVersion).
"""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import tomlkit
import tomlkit.exceptions
from tomlkit.items import Table

from . import compat
from .runtimes import RUNC, Runtime

PATH = "/etc/containerd/config.toml"
CERTS_D = "/etc/containerd/certs.d"
CRI = "io.containerd.grpc.v1.cri"  # schemas 1 and 2 have one plugin
CRI_RUNTIME = "io.containerd.cri.v1.runtime"  # schemas 3 and 4 have two
CRI_IMAGES = "io.containerd.cri.v1.images"
LINUX_V1 = "io.containerd.runtime.v1.linux"  # runc before it had a shim of its own; gone with 2.0
CRI_NAMES = ("cri", CRI, CRI_RUNTIME, CRI_IMAGES)
HEADER = "# Written by unshim. Settings it does not manage may be added; they are kept.\n"


class ConfigError(Exception):
    """config.toml cannot be read or changed safely; ``line`` is 0 where none is to blame."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.message, self.line = message, line


@dataclass(frozen=True)
class ContainerdSettings:
    """What config.toml must say. An empty string or tuple leaves that setting as it is."""

    sandbox_image: str = ""
    systemd_cgroup: bool = False
    cni_bin_dir: str = ""
    cni_conf_dir: str = ""
    registry_config_path: str = ""
    # Values by their keys below the registry table, where containerd reads no hosts.toml (registries.rows).
    registry_tables: tuple[tuple[tuple[str, ...], Any], ...] = ()
    runtimes: tuple[Runtime, ...] = ()  # those that are there by the same name stay as they are
    default_runtime: str = ""
    base_runtime_spec: str = ""  # for every runtime that has none of its own
    snapshotter: str = ""  # unless the file names one
    enable_selinux: bool = False
    max_concurrent_downloads: int = 0  # unless the file sets it; 0 leaves it
    pod_sysctls: tuple[
        tuple[str, bool], ...
    ] = ()  # options (pod_sysctls.OPTIONS); those to be on, unless the file sets it


def parse(existing: str) -> dict[str, Any]:
    """Return a config.toml as data; raises ConfigError with the line where it is not TOML."""
    try:
        return tomllib.loads(existing.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        raise ConfigError(f"it is not valid TOML: {error}", int(place[1]) if place else 0) from None
    except (RecursionError, ValueError) as error:  # nested without end, a number of more digits than Python reads
        raise ConfigError(f"it cannot be read: {error}") from None


def schema(data: dict[str, Any]) -> int:
    """Return the version a file declares; one that declares none is of version 1."""
    version = data.get("version", 1)
    return version if isinstance(version, int) and not isinstance(version, bool) else 1


def registry(data: dict[str, Any]) -> dict[str, Any]:
    """Return the file's registry table, {} if it has none."""
    return _get(data, ("plugins", CRI_IMAGES if schema(data) >= 3 else CRI, "registry"))


def legacy_registry_keys(data: dict[str, Any]) -> tuple[str, ...]:
    """Return the registry settings that containerd refuses beside config_path: mirrors, and TLS settings of configs."""
    table = registry(data)
    found = ["registry.mirrors"] if table.get("mirrors") else []
    configs = table.get("configs")
    if isinstance(configs, dict) and any(isinstance(c, dict) and c.get("tls") for c in configs.values()):
        found.append("registry.configs.*.tls")
    return tuple(found)


def holds_logins(data: dict[str, Any]) -> bool:
    """Return whether the file holds a registry login, so must not be shown: registry.configs.*.auth, registry.auths."""
    table = registry(data)
    configs = table.get("configs")
    values = configs.values() if isinstance(configs, dict) else ()
    return bool(table.get("auths")) or any(isinstance(value, dict) and value.get("auth") for value in values)


def max_concurrent_downloads(data: dict[str, Any]) -> int | None:
    """Return the file's own max_concurrent_downloads, None if it sets none."""
    value = _get(data, ("plugins", CRI_IMAGES if schema(data) >= 3 else CRI)).get("max_concurrent_downloads")
    return value if isinstance(value, int) else None


def registry_config_path(data: dict[str, Any]) -> str:
    """Return the first directory of the file's own config_path, "" if it sets none."""
    value = registry(data).get("config_path")
    return value.split(":", 1)[0].rstrip("/") if isinstance(value, str) else ""


def cni_directories(data: dict[str, Any]) -> tuple[str, str]:
    """Return (directory of the plugins, directory of the configuration) that the file sets, "" for each it does not."""
    table = _get(data, ("plugins", CRI_RUNTIME if schema(data) >= 3 else CRI, "cni"))
    several = table.get("bin_dirs")
    plugins = several[0] if isinstance(several, list) and several else table.get("bin_dir")
    conf = table.get("conf_dir")
    return (plugins if isinstance(plugins, str) else "", conf if isinstance(conf, str) else "")


def sandbox_image(data: dict[str, Any]) -> str:
    """Return the sandbox image that the file sets, "" if it does not."""
    if schema(data) >= 3:
        value = _get(data, ("plugins", CRI_IMAGES, "pinned_images")).get("sandbox")
    else:
        value = _get(data, ("plugins", CRI)).get("sandbox_image")
    return value if isinstance(value, str) else ""


def runtimes(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the runtimes that the file sets, by name."""
    found = _get(data, ("plugins", CRI_RUNTIME if schema(data) >= 3 else CRI, "containerd", "runtimes"))
    return {name: table for name, table in found.items() if isinstance(table, dict)}


def default_runtime(data: dict[str, Any]) -> str:
    """Return the name of the default runtime that the file sets, "" if it does not."""
    value = _get(data, ("plugins", CRI_RUNTIME if schema(data) >= 3 else CRI, "containerd")).get("default_runtime_name")
    return value if isinstance(value, str) else ""


def snapshotter(data: dict[str, Any]) -> str:
    """Return the snapshotter that the file sets, "" if it does not."""
    keys = ("plugins", CRI_IMAGES) if schema(data) >= 3 else ("plugins", CRI, "containerd")
    value = _get(data, keys).get("snapshotter")
    return value if isinstance(value, str) else ""


def has_deprecated_default_runtime(data: dict[str, Any]) -> bool:
    """Return whether a table ``default_runtime`` decides what pods get, whatever default_runtime_name says (1.x)."""
    return schema(data) < 3 and bool(_get(data, ("plugins", CRI, "containerd", "default_runtime")).get("runtime_type"))


def address(data: dict[str, Any]) -> str:
    """Return the socket the file makes containerd listen on, "" for its default."""
    table = _get(data, ("grpc",)) if schema(data) < 4 else _get(data, ("plugins", "io.containerd.server.v1.grpc"))
    value = table.get("address")
    return value if isinstance(value, str) else ""


def ignored_tables(data: dict[str, Any]) -> tuple[str, ...]:
    """Return what a file of version 4 says in vain: containerd 2.3 takes these from files of older versions only.

    Source: containerd v2.3 cmd/containerd/server/config/config.go, serviceMigrate; nothing else reads them.
    """
    if schema(data) < 4:
        return ()
    found = [f"[{name}]" for name in ("grpc", "ttrpc", "metrics") if _get(data, (name,))]
    return (*found, "[debug] address") if _get(data, ("debug",)).get("address") else tuple(found)


def root(data: dict[str, Any]) -> str:
    """Return the data directory that the file sets, "" for containerd's default."""
    value = data.get("root")
    return value if isinstance(value, str) else ""


def with_root(existing: str | None, version: str, directory: str) -> str:
    """Return config.toml with containerd's data directory set and nothing else touched.

    Raises:
        ConfigError: the file is not TOML, or is laid out so that the line cannot be placed safely.
    """
    text = existing if existing and existing.strip() else f"{HEADER}version = {compat.config_schema(version)}\n"
    expected = {**parse(text), "root": directory}
    if parse(text) == expected:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"root = {json.dumps(directory, ensure_ascii=False)}"
    lines = text.splitlines(keepends=True)
    first_table = next((n for n, one in enumerate(lines) if re.match(r"\s*\[", one)), len(lines))
    there = next((n for n, one in enumerate(lines[:first_table]) if re.match(r"\s*root\s*=", one)), None)
    if there is not None:
        comment = re.search(r"[\"']\s*(#.*?)?\s*$", lines[there])
        lines[there] = line + (f" {comment[1]}" if comment and comment[1] else "") + newline
    else:
        after = next((n for n, one in enumerate(lines[:first_table]) if re.match(r"\s*version\s*=", one)), None)
        if after is None:
            lines.insert(0, line + newline)
        else:
            lines[after] = lines[after].rstrip("\r\n") + newline
            lines.insert(after + 1, line + newline)
    rendered = "".join(lines)
    if parse(rendered) != expected:
        raise ConfigError("its first lines are laid out in a way that unshim cannot edit")
    return rendered


def _get(data: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def wanted_values(data: dict[str, Any], version: str, wanted: ContainerdSettings) -> list[tuple[tuple[str, ...], Any]]:
    """Return what to set, as (keys, value), in the schema of the file; a value of None removes the key."""
    number = schema(data)
    cri, images = (CRI_RUNTIME, CRI_IMAGES) if number >= 3 else (CRI, CRI)
    rows: list[tuple[tuple[str, ...], Any]] = []
    for key in ("disabled_plugins",):
        disabled = data.get(key)
        if isinstance(disabled, list) and set(CRI_NAMES) & {n for n in disabled if isinstance(n, str)}:
            rows.append(((key,), [name for name in disabled if name not in CRI_NAMES]))
    if wanted.sandbox_image:
        where = ("pinned_images", "sandbox") if number >= 3 else ("sandbox_image",)
        rows.append((("plugins", images, *where), wanted.sandbox_image))
    if wanted.cni_bin_dir:
        # bin_dirs is of 2.1 and later; with both set containerd does not load CRI (docs/cri/config.md).
        if number >= 3 and (compat.parse_version(version) or (0, 0, 0)) >= (2, 1, 0):
            rows.append((("plugins", cri, "cni", "bin_dir"), None))
            rows.append((("plugins", cri, "cni", "bin_dirs"), [wanted.cni_bin_dir]))
        else:
            rows.append((("plugins", cri, "cni", "bin_dir"), wanted.cni_bin_dir))
    if wanted.cni_conf_dir:
        rows.append((("plugins", cri, "cni", "conf_dir"), wanted.cni_conf_dir))
    rows += _runtime_rows(data, cri, wanted)
    if number < 3 and _get(data, ("plugins", cri)).get("systemd_cgroup") is True:
        # With any other type of default runtime containerd 1.x does not load CRI (containerd#4203, pkg/cri/config/config.go).
        default = wanted.default_runtime or default_runtime(data) or "runc"
        if runtimes(data).get(default, {}).get("runtime_type") != LINUX_V1:
            rows.append((("plugins", cri, "systemd_cgroup"), False))
    if wanted.default_runtime:
        rows.append((("plugins", cri, "containerd", "default_runtime_name"), wanted.default_runtime))
    if wanted.snapshotter and not snapshotter(data):
        keys = ("plugins", images, "snapshotter") if number >= 3 else ("plugins", cri, "containerd", "snapshotter")
        rows.append((keys, wanted.snapshotter))
    if wanted.enable_selinux:
        rows.append((("plugins", cri, "enable_selinux"), True))
    own = _get(data, ("plugins", cri))
    rows += [(("plugins", cri, key), on) for key, on in wanted.pod_sysctls if not on or key not in own]
    if wanted.max_concurrent_downloads and "max_concurrent_downloads" not in _get(data, ("plugins", images)):
        rows.append((("plugins", images, "max_concurrent_downloads"), wanted.max_concurrent_downloads))
    config_path = ("plugins", images, "registry", "config_path")
    if wanted.registry_config_path and not legacy_registry_keys(data):
        if not registry_config_path(data):
            rows.append((config_path, wanted.registry_config_path))
        elif ":" in registry(data)["config_path"] and (compat.parse_version(version) or (0, 0, 0)) >= (2, 1, 0):
            # Pulls go through the transfer service, which takes the value for one directory (containerd#12636).
            rows.append((config_path, registry_config_path(data)))
    rows += [(("plugins", images, "registry", *keys), value) for keys, value in wanted.registry_tables]
    return rows


def _runtime_rows(data: dict[str, Any], cri: str, wanted: ContainerdSettings) -> list[tuple[tuple[str, ...], Any]]:
    """Return what to set for runc, Docker's runtimes and those of the file."""
    tables = ("plugins", cri, "containerd", "runtimes")
    there = runtimes(data)
    rows: list[tuple[tuple[str, ...], Any]] = []
    carried = [runtime for runtime in wanted.runtimes if not there.get(runtime.name)]
    types = {name: table.get("runtime_type") or RUNC for name, table in there.items()}
    types.setdefault("runc", RUNC)
    if types["runc"] != RUNC:
        raise ConfigError(
            f"its runtime runc is of type {types['runc']}, whose cgroup driver unshim cannot set; make it {RUNC}"
        )
    types.update((runtime.name, runtime.type) for runtime in carried)
    options = {runtime.name: runtime.options for runtime in carried}
    for name in ("runc", *(name for name in types if name != "runc")):
        table = (*tables, name)
        if not there.get(name, {}).get("runtime_type") and (name == "runc" or name in options):
            rows.append(((*table, "runtime_type"), types[name]))
        if wanted.base_runtime_spec and not there.get(name, {}).get("base_runtime_spec"):
            rows.append(((*table, "base_runtime_spec"), wanted.base_runtime_spec))
        rows += [((*table, "options", key), value) for key, value in options.get(name, {}).items()]
        # Every runtime that is runc under another name must use the kubelet's cgroup driver too.
        if name == "runc" or name in options and types[name] == RUNC or there.get(name, {}).get("runtime_type") == RUNC:
            rows.append(((*table, "options", "SystemdCgroup"), wanted.systemd_cgroup))
    return rows


def render(existing: str | None, version: str, wanted: ContainerdSettings) -> str:
    """Return config.toml with ``wanted`` set.

    Args:
        existing: the file as it is, None if there is none.
        version: of the containerd that will read it.

    Raises:
        ConfigError: the file is not TOML, of a schema this containerd does not read, or of version 1 with settings that
            have other names since.
    """
    if existing is None or not existing.strip():
        text = f"{HEADER}version = {compat.config_schema(version)}\n"
    else:
        text = _with_version(existing, version)
    return edited(text, wanted_values(parse(text), version, wanted))


def edited(text: str, rows: Iterable[tuple[tuple[str, ...], Any]]) -> str:
    """Return a config.toml with values set by their keys, None removing a key, and nothing else touched.

    Raises:
        ConfigError: the file is not TOML, or cannot be edited without changing more.
    """
    return _edited(text, json.dumps(list(rows)))


# Nodes of a fleet are much alike, and this is a third of the work of a plan.
@lru_cache(maxsize=64)
def _edited(text: str, rows_as_json: str) -> str:
    data, rows = parse(text), [(tuple(keys), value) for keys, value in json.loads(rows_as_json)]
    expected = copy.deepcopy(data)
    try:
        for keys, value in rows:
            _set_plain(expected, keys, value)
    except TypeError as error:
        raise ConfigError(f"{error} is not a table there, so unshim cannot set what it has to") from None
    if expected == data:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    step = 2 if re.search(r"(?m)^[ \t]+\[", text) else 0  # some files indent their tables, most do not
    try:
        document = tomlkit.parse(text.replace("\r\n", "\n"))
        for keys, value in rows:
            _set(document, keys, value, step)
        rendered = tomlkit.dumps(document)
        if parse(rendered) != expected:
            raise ConfigError(
                "its tables are laid out in a way that unshim cannot edit; merge each plugin's settings into one table"
            )
    except (tomlkit.exceptions.TOMLKitError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(f"it cannot be edited: {error}") from None
    return rendered.replace("\n", newline)


def _with_version(existing: str, version: str) -> str:
    """Return the text with a version line this containerd reads; raises ConfigError where that needs more than the line."""
    data = parse(existing)
    number = schema(data)
    if type(data.get("version", number)) is not int:
        raise ConfigError(f"its version is {data['version']!r}, not a number", _line(existing, "version"))
    if not isinstance(data.get("disabled_plugins", []), list):
        raise ConfigError("its disabled_plugins is not a list", _line(existing, "disabled_plugins"))
    newest = compat.newest_schema(version)
    if number > newest:
        raise ConfigError(
            f"it is of version {number}, but containerd {version} reads up to version {newest}",
            _line(existing, "version"),
        )
    if number >= 2:
        return existing
    others = [name for name in data.get("disabled_plugins", []) if name not in CRI_NAMES and "." not in str(name)]
    for key in ("plugins", "required_plugins", "proxy_plugins", "stream_processors"):
        if data.get(key):
            raise ConfigError(
                f"it is of version 1 (it has no version line) and sets {key}, whose names changed in version 2; convert it with "
                "`containerd config migrate` or by hand",
                _line(existing, key),
            )
    if others:
        raise ConfigError(
            f"it is of version 1 and disables {', '.join(map(str, others))} by the short name, which is fatal in later versions; "
            "write the whole plugin id",
            _line(existing, "disabled_plugins"),
        )
    newline = "\r\n" if "\r\n" in existing else "\n"
    line = f"version = {compat.config_schema(version)}{newline}"
    if "version" in data:
        return re.sub(r"(?m)^[ \t]*version[ \t]*=.*\r?\n?", lambda _: line, existing, count=1)
    # Before the first line that is neither blank nor a comment: a version line must not land inside a table.
    position = 0
    for row in existing.splitlines(keepends=True):
        if row.strip() and not row.lstrip().startswith("#"):
            break
        position += len(row)
    if position and not existing[:position].endswith("\n"):
        line = newline + line
    return existing[:position] + line + existing[position:]


def _line(text: str, key: str) -> int:
    for number, row in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\[?\[?{re.escape(key)}\b", row):
            return number
    return 0


def _set_plain(data: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        if value is None and key not in data:
            return
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise TypeError(key)
    if value is None:
        data.pop(keys[-1], None)
    else:
        data[keys[-1]] = value


def _set(document: Any, keys: tuple[str, ...], value: Any, step: int) -> None:
    """Set one value in a tomlkit document, making tables on the way; an equal value is left alone, comment and all.

    Args:
        document: edited in place.
        keys: the tables' names and the key's.
        value: None removes the key.
        step: blanks a table is indented by in the one around it.
    """
    table, indent = document, -step
    for index, key in enumerate(keys[:-1]):
        if key not in table:
            if value is None:
                return
            # The innermost new table gets a header of its own; those around it need none.
            for name in keys[index:-1]:
                innermost = name == keys[-2]
                new = tomlkit.table(is_super_table=not innermost)
                indent += step
                _append(table, name, new)
                new.trivia.indent = " " * indent if step else "\n" * innermost
                table = new
            break
        table = table[key]
        indent += step
        if isinstance(table, Table) and not table.is_super_table():
            indent = len(table.trivia.indent.strip("\n"))
    if value is None:
        if keys[-1] in table:
            table.remove(keys[-1])
    elif keys[-1] not in table:
        item = tomlkit.item(value)
        _append(table, keys[-1], item)
        item.trivia.indent = " " * max(0, indent + step if len(keys) > 1 else 0)
    elif _plain(table[keys[-1]]) != value:
        table[keys[-1]] = value


def _append(table: Any, key: str, item: Any) -> None:
    if hasattr(table, "append"):
        table.append(key, item)
    else:  # a table whose parts are scattered over the file: tomlkit adds to one of them
        table[key] = item


def _plain(item: Any) -> Any:
    return item.unwrap() if hasattr(item, "unwrap") else item
