"""The environment that systemd would give a unit, computed from its files: systemd.exec(5), Environment=, EnvironmentFile=."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .facts import File, Unit
from .kubelet_flags import parse_environment_file, parse_unit, split_words

UNIT_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


@dataclass(frozen=True)
class Variable:
    value: str
    place: str  # "/etc/systemd/system/docker.service.d/proxy.conf:2"
    exact: bool = True  # False: it holds a specifier such as %H, which only systemd knows

    @property
    def path(self) -> str:
        return self.place.rsplit(":", 1)[0]


def unmasked(unit: Unit, files: Mapping[str, File]) -> Unit:
    """Return the unit as it is without a mask: its own file and all drop-ins, as far as the probe saw them."""
    fragment = unit.fragment_path
    if fragment in ("", "/dev/null") or unit.load_state in ("masked", "not-found") or fragment not in files:
        candidates = [f"{directory}/{unit.name}" for directory in UNIT_DIRECTORIES]
        there = [path for path in candidates if path in files and files[path].content]
        fragment = there[0] if there else fragment
    seen = {path for path in files for directory in UNIT_DIRECTORIES if _is_drop_in(path, f"{directory}/{unit.name}.d")}
    # systemd's own list is in its order; what it has not read yet comes in by name, as it will.
    drop_ins = {*unit.drop_in_paths, *(path for path in seen if files[path].content is not None)}
    return replace(unit, fragment_path=fragment, drop_in_paths=tuple(sorted(drop_ins, key=posixpath.basename)))


def _is_drop_in(path: str, directory: str) -> bool:
    return posixpath.dirname(path) == directory and posixpath.splitext(path)[1] == ".conf"


def environment(unit: Unit, files: Mapping[str, File]) -> dict[str, Variable]:
    """Return the variables that the unit's files give it, by name; raises FlagError where a quote is not closed."""
    settings: list[tuple[str, Variable]] = []
    environment_files: list[str] = []
    unset: list[str] = []
    for path in (unit.fragment_path, *unit.drop_in_paths):
        for directive in parse_unit(path, (files[path].content if path in files else "") or ""):
            if directive.section != "Service":
                continue
            if directive.name == "Environment":
                if not directive.text:
                    settings = []
                for word in split_words(path, directive.line, directive.value, False):
                    name, equals, value = word.text.partition("=")
                    if equals:
                        exact = "%" not in value.replace("%%", "")
                        settings.append((name, Variable(value.replace("%%", "%"), f"{path}:{directive.line}", exact)))
            elif directive.name == "EnvironmentFile":
                environment_files = [*environment_files, directive.text.removeprefix("-")] if directive.text else []
            elif directive.name == "UnsetEnvironment":
                words = split_words(path, directive.line, directive.value, False)
                unset = [*unset, *(word.text for word in words)] if directive.text else []
    found = dict(settings)
    for path in environment_files:
        text = (files[path].content if path in files else "") or ""
        for assignment in parse_environment_file(path, text):
            found[assignment.name] = Variable(assignment.text, f"{path}:{assignment.line}")
    for entry in unset:
        name, equals, value = entry.partition("=")
        if name in found and (not equals or found[name].value == value):
            del found[name]
    return found
