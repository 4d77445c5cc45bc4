"""The settings dockerd runs with, by the keys of daemon.json, wherever they were given.

dockerd takes each setting from daemon.json or from a flag and refuses to start with both, so there is no precedence, only
a union; "runtimes" is the one key whose two halves it joins. Sources: moby daemon/command/config.go, config_unix.go
(cmd/dockerd/ before 29), opts/, daemon/config/config.go (getConflictFreeConfiguration), and the same files of 17.12 to 28.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

DAEMON_JSON = "/etc/docker/daemon.json"
COMMAND_LINE = "dockerd's command line"


class DaemonJsonError(Exception):
    """daemon.json cannot be read; the message says where."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True)
class DaemonJson:
    values: dict[str, Any]
    lines: dict[str, int]  # by key
    twice: tuple[
        tuple[str, int, int], ...
    ] = ()  # keys given more than once: (key, line that is lost, line that counts)


def read_daemon_json(text: str) -> DaemonJson:
    """Return daemon.json with the line of each key; raises DaemonJsonError where it is not a JSON object.

    A key given twice counts as Go takes it: the last of lists and scalars, objects joined.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        return DaemonJson({}, {})
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
        if not isinstance(data, dict):
            raise DaemonJsonError("it is not a JSON object", 1, 1)
        rows = _rows(text)
    except json.JSONDecodeError as error:
        raise DaemonJsonError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise DaemonJsonError("it is nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python reads
        raise DaemonJsonError(str(error)) from None
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    twice = []
    for key, value, line in rows:
        if key in values:
            twice.append((key, lines[key], line))
        joins = isinstance(value, dict) and isinstance(values.get(key), dict)
        values[key] = {**values[key], **value} if joins else value
        lines[key] = line
    return DaemonJson(values, lines, tuple(twice))


def _refuse_constant(name: str) -> NoReturn:
    raise DaemonJsonError(f"{name} is no JSON")


def _rows(text: str) -> list[tuple[str, Any, int]]:
    """Return (key, value, line) of each member of a JSON object that is known to be well-formed."""
    decoder = json.JSONDecoder()
    blank = re.compile(r"[ \t\r\n]*")

    def skip(position: int) -> int:
        found = blank.match(text, position)
        return found.end() if found else position

    rows = []
    position = skip(0) + 1  # behind "{"
    while text[position := skip(position)] != "}":
        start = position
        key, position = decoder.raw_decode(text, position)
        value, position = decoder.raw_decode(text, skip(skip(position) + 1))
        rows.append((_printable(key), _printable(value), text.count("\n", 0, start) + 1))
        position = skip(position)
        if text[position] == ",":
            position += 1
    return rows


def _printable(value: Any) -> Any:
    """Replace halves of surrogate pairs, which JSON can spell and UTF-8 cannot hold, as Go does."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return value


# Flags. Those not named here have a key of the same name and one value.
_SHORT = {"D": "debug", "l": "log-level", "H": "host", "G": "group", "b": "bridge", "g": "graph", "p": "pidfile", "s": "storage-driver", "r": "restart"}  # fmt: skip
_BOOLEAN = (
    "allow-direct-routing", "cri-containerd", "debug", "disable-legacy-registry", "experimental", "icc", "init", "ip-forward",
    "ip-forward-no-drop", "ip-masq", "ip6tables", "iptables", "ipv6", "live-restore", "no-new-privileges", "raw-logs",
    "restart", "rootless", "selinux-enabled", "tls", "tlsverify", "userland-proxy", "help", "validate", "version",
)  # fmt: skip
_INTEGER = (
    "cpu-rt-period", "cpu-rt-runtime", "default-stop-timeout", "max-concurrent-downloads", "max-concurrent-uploads",
    "max-download-attempts", "mtu", "network-control-plane-mtu", "network-diagnostic-port", "oom-score-adjust",
    "shutdown-timeout",
)  # fmt: skip
# Given once per entry: the key of the list.
_LISTS = {
    "add-registry": "add-registry", "allow-nondistributable-artifacts": "allow-nondistributable-artifacts",
    "authorization-plugin": "authorization-plugins", "block-registry": "block-registry", "cdi-spec-dir": "cdi-spec-dirs",
    "dns": "dns", "dns-opt": "dns-opts", "dns-search": "dns-search", "exec-opt": "exec-opts", "host": "hosts",
    "host-gateway-ip": "host-gateway-ips", "insecure-registry": "insecure-registries", "label": "labels",
    "node-generic-resource": "node-generic-resources", "registry-mirror": "registry-mirrors", "storage-opt": "storage-opts",
    "default-address-pool": "default-address-pools",
}  # fmt: skip
# Given once per entry, NAME=VALUE: the key of the object.
_OBJECTS = {
    "add-runtime": "runtimes", "cluster-store-opt": "cluster-store-opts", "default-network-opt": "default-network-opts",
    "default-ulimit": "default-ulimits", "feature": "features", "log-opt": "log-opts",
}  # fmt: skip
_PROXIES = ("http-proxy", "https-proxy", "no-proxy")
_NO_SETTING = ("config-file", "help", "validate", "version")


def flag_of(key: str) -> str:
    """Return the flag that gives a key of daemon.json, without its dashes."""
    return next((flag for flag, name in (*_LISTS.items(), *_OBJECTS.items()) if name == key), key)


@dataclass(frozen=True)
class Flag:
    name: str  # the long one
    value: str | None  # None: a flag without a value


def flags(argv: Sequence[str]) -> list[Flag]:
    """Return the flags of a dockerd command line (its first word is the program), as pflag reads them."""
    found: list[Flag] = []
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            continue
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            given: str | None = value if equals else None
        else:
            letter = word[1:2]
            while letter in _SHORT and _SHORT[letter] in _BOOLEAN and word[2:3] not in ("", "="):  # -Dl debug
                found.append(Flag(_SHORT[letter], None))
                word = "-" + word[2:]
                letter = word[1:2]
            name, rest = _SHORT.get(letter, letter), word[2:]
            given = rest.removeprefix("=") if rest else None
        if given is None and name not in _BOOLEAN and words and (not words[0].startswith("-") or words[0] == "-"):
            given = words.pop(0)
        found.append(Flag(name, given))
    return found


def config_file(argv: Sequence[str]) -> str:
    """Return the path of daemon.json that a command line names, the usual one if it names none."""
    named = [flag.value for flag in flags(argv) if flag.name == "config-file" and flag.value]
    return named[-1] if named else DAEMON_JSON


def from_flags(argv: Sequence[str]) -> dict[str, Any]:
    """Return the settings a command line gives, under the keys and in the shapes they have in daemon.json."""
    values: dict[str, Any] = {}
    for flag in flags(argv):
        name, text = flag.name, flag.value or ""
        if name in _NO_SETTING:
            continue
        if name in _LISTS:
            entry: Any = _pairs(text) if name == "default-address-pool" else text
            values.setdefault(_LISTS[name], []).append(entry)
        elif name in _OBJECTS:
            _add_entry(values.setdefault(_OBJECTS[name], {}), name, text)
        elif name in _PROXIES:
            values.setdefault("proxies", {})[name] = text
        elif name in _BOOLEAN or flag.value is None:
            values[name] = True if flag.value is None else text in ("1", "t", "T", "true", "TRUE", "True")
        elif name in _INTEGER:
            values[name] = _number(text)
        else:
            values["data-root" if name == "graph" else name] = text
    return values


def _add_entry(entries: dict[str, Any], flag: str, text: str) -> None:
    name, _, value = text.partition("=")
    if flag == "default-ulimit":  # go-units ParseUlimit: TYPE=SOFT[:HARD]
        soft, colon, hard = value.partition(":")
        entries[name] = {"Name": name, "Hard": _number(hard if colon else soft), "Soft": _number(soft)}
    elif flag == "add-runtime":
        entries[name] = {"path": value}
    elif flag == "feature":
        entries[name] = value in ("", "1", "t", "T", "true", "TRUE", "True")
    elif flag == "default-network-opt":  # NETWORK=NAME=VALUE
        inner, _, value = value.partition("=")
        entries.setdefault(name, {})[inner] = value
    else:
        entries[name] = value


def _pairs(text: str) -> dict[str, Any]:
    """``base=172.30.0.0/16,size=24`` -> ``{"base": "172.30.0.0/16", "size": 24}``."""
    return {name: _number(value) for name, _, value in (part.partition("=") for part in text.split(",")) if name}


def _number(text: str) -> Any:
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else text


def _may_join(key: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    # "proxies" is an object in daemon.json only; each of its members is a flag of its own.
    return key == "runtimes" or (key == "proxies" and not one.keys() & other.keys())


@dataclass(frozen=True)
class Effective:
    """``values`` by the keys of daemon.json; ``origins`` says where each was given; ``both``: keys given in both places,
    which dockerd refuses."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    both: tuple[str, ...] = ()


def merge(file: DaemonJson, path: str, given: Mapping[str, Any]) -> Effective:
    """Return what dockerd runs with: the settings of daemon.json at ``path`` and those ``given`` by flags."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    both = []
    for key, value in file.values.items():
        name = "data-root" if key == "graph" else key  # the same setting, before 17.05
        values[name], origins[name] = value, f"{path}:{file.lines[key]}"
    for key, value in given.items():
        if key not in values:
            values[key], origins[key] = value, COMMAND_LINE
        elif isinstance(values[key], dict) and _may_join(key, values[key], value):
            values[key] = {**values[key], **value}
            origins[key] += f" and {COMMAND_LINE}"
        else:
            both.append(key)
    return Effective(values, origins, tuple(both))
