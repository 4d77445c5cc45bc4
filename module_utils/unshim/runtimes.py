"""Docker's runtimes and default runtime as runtimes of containerd's CRI plugin.

A pod without RuntimeClass got Docker's default runtime, so that becomes containerd's. dockershim knew no other (its
RuntimeClass handler "docker" was the same one); those that Docker has besides are carried so that RuntimeClasses can name
them. What Docker does with runtimeArgs, which runc's shim cannot pass on, is done here as well: a script that calls the
runtime with them.

Sources: moby daemon/runtime_unix.go (names, scripts for arguments, shim types), docs.docker.com/engine/daemon/alternative-runtimes;
containerd docs/cri/config.md, core/runtime/v2 (BinaryPath: io.containerd.NAME.VERSION is containerd-shim-NAME-VERSION).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RUNC = "io.containerd.runc.v2"
# Docker's own names for runc, over time; io.containerd.runtime.v1.linux is what it used before shims had versions.
RUNC_NAMES = ("", "runc", RUNC, "io.containerd.runc.v1", "io.containerd.runtime.v1.linux")
WRAPPERS = "/usr/local/sbin/unshim-runtime-"
_TYPE = re.compile(r"io\.containerd\.([A-Za-z0-9_-]+)\.(v[0-9]+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Set for every runtime by whoever plans config.toml, as the kubelet needs it.
_NOT_DOCKERS = ("SystemdCgroup",)


@dataclass(frozen=True)
class Runtime:
    """One runtime of the CRI plugin."""

    name: str
    type: str = RUNC
    options: dict[str, Any] = field(default_factory=dict)  # of its table ``options``, without SystemdCgroup


@dataclass(frozen=True)
class Problem:
    """A runtime that cannot be carried over. It must block where ``is_default``: pods could not start, or not as before."""

    name: str
    message: str
    remedy: str
    is_default: bool


@dataclass(frozen=True)
class Runtimes:
    runtimes: tuple[Runtime, ...] = ()
    default: str = ""  # name of the default runtime, "" if it is runc
    scripts: dict[str, str] = field(default_factory=dict)  # by path: what calls a runtime with its arguments
    problems: tuple[Problem, ...] = ()


def carried(
    settings: Mapping[str, Any],
    programs: Mapping[str, str],
    default: str = "",
    running: Mapping[str, str] | None = None,
) -> Runtimes:
    """Return Docker's runtimes as containerd's.

    Args:
        settings: dockerd's, by the keys of daemon.json.
        programs: what of them was found on the node (``Facts.programs``); a name that is not in it was not looked for.
        default: what the running Docker says is its default runtime, where the settings do not say.
        running: the programs of the runtimes it has; one that is its default is carried though the settings lack it.
    """
    wanted = settings.get("default-runtime") or default
    wanted = wanted if isinstance(wanted, str) else ""
    defined = settings.get("runtimes")
    defined = defined if isinstance(defined, dict) else {}
    if wanted not in defined and running and running.get(wanted):
        defined = {**defined, wanted: {"path": running[wanted]}}
    found: list[Runtime] = []
    scripts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, definition in defined.items():
        if name in RUNC_NAMES:
            continue  # Docker does not start with a runc that is redefined
        try:
            runtime, script = _runtime(name, definition, programs)
        except _Unusable as error:
            problems.append(Problem(name, f"runtime {name}: {error.message}", error.remedy, name == wanted))
            continue
        found.append(runtime)
        if script:
            scripts[runtime.options["BinaryName"]] = script
    if wanted in RUNC_NAMES or wanted in defined:
        return Runtimes(tuple(found), "" if wanted in RUNC_NAMES else wanted, scripts, tuple(problems))
    shim = _TYPE.fullmatch(wanted)
    if shim is None:
        remedy = "Define it under runtimes, or correct default-runtime, and restart Docker."
        problems.append(Problem(wanted, f"default-runtime {wanted} is not among the runtimes", remedy, True))
        return Runtimes(tuple(found), "", scripts, tuple(problems))
    try:  # since Docker 23 a shim can be the default by its type alone
        runtime, _ = _runtime(shim[1], {"runtimeType": wanted}, programs)
        found.append(runtime)
    except _Unusable as error:
        problems.append(Problem(wanted, f"default-runtime {wanted}: {error.message}", error.remedy, True))
    return Runtimes(tuple(found), shim[1], scripts, tuple(problems))


class _Unusable(Exception):
    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def _runtime(name: str, definition: Any, programs: Mapping[str, str]) -> tuple[Runtime, str]:
    """Return one runtime, and the script that calls it where it has arguments."""
    fix = "Correct it in Docker's settings; `dockerd --validate` checks daemon.json."
    if not _NAME.fullmatch(name):
        raise _Unusable("its name is none that a RuntimeClass could have", fix)
    if not isinstance(definition, dict):
        raise _Unusable(f"{json.dumps(definition)} is no description of a runtime", fix)
    kind = definition.get("runtimeType") or definition.get("type")
    if kind:
        return _shim(name, kind, definition.get("options"), programs), ""
    path = definition.get("path")
    if not isinstance(path, str) or not path:
        raise _Unusable("it has neither path nor runtimeType", fix)
    program = _located(path, programs)
    arguments = definition.get("runtimeArgs") or definition.get("args") or []
    if not isinstance(arguments, list) or not all(isinstance(one, str) for one in arguments):
        raise _Unusable("its runtimeArgs are not a list of words", fix)
    if not arguments:
        return Runtime(name, RUNC, {"BinaryName": program}), ""
    words = " ".join(shlex.quote(word) for word in (program, *arguments))
    script = (
        f'#!/bin/sh\n# Written by unshim: Docker called its runtime {name} with these arguments.\nexec {words} "$@"\n'
    )
    return Runtime(name, RUNC, {"BinaryName": WRAPPERS + name}), script


def _shim(name: str, kind: Any, options: Any, programs: Mapping[str, str]) -> Runtime:
    by_path = (
        "Install the shim as containerd-shim-NAME-VERSION on containerd's PATH and name it io.containerd.NAME.VERSION."
    )
    own = {key: value for key, value in options.items() if key not in _NOT_DOCKERS} if isinstance(options, dict) else {}
    if kind in RUNC_NAMES:
        if isinstance(own.get("BinaryName"), str) and own["BinaryName"]:
            own["BinaryName"] = _located(own["BinaryName"], programs)
        return Runtime(name, RUNC, own)
    if not isinstance(kind, str) or not (match := _TYPE.fullmatch(kind)):
        raise _Unusable(f"its runtimeType {json.dumps(kind)} is no shim that containerd's CRI finds by name", by_path)
    _located(f"containerd-shim-{match[1]}-{match[2]}", programs)
    return Runtime(name, kind, own)


def _located(name: str, programs: Mapping[str, str]) -> str:
    """Return the path of a program as the node has it; a name that was not looked for stays a name."""
    found = programs.get(name)
    if found == "":
        where = "is not there, or cannot be executed" if name.startswith("/") else "is not on the node's PATH"
        raise _Unusable(f"{name} {where}", f"Install {name}, or take the runtime out of Docker's settings.")
    return found or name
