"""The command line systemd would give the kubelet, computed from its unit and environment files.

Each word of it knows its place in a file (see kubelet_flags.py), so that kubelet_switch.py can change it there.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import compat
from .facts import Facts, File, Unit
from .kubelet_flags import (
    Char,
    Directive,
    FlagError,
    Word,
    parse_environment_file,
    parse_unit,
    split_words,
)


@dataclass(frozen=True)
class Value:
    """A row of words in one file: an ExecStart=, or the value of one variable."""

    path: str
    line: int
    variable: str  # "" : ExecStart=
    words: tuple[Word, ...]
    append_at: int
    text: str = ""  # of a variable: its whole value
    unknown: str = ""  # a specifier in it that cannot be told
    bare: bool = False  # of an environment file, and in no quotes of the file's


@dataclass(frozen=True)
class Argument:
    """One word the kubelet is started with, and where it comes from."""

    text: str
    value: int  # index in CommandLine.values
    word: int  # index in that value's words


@dataclass(frozen=True)
class CommandLine:
    arguments: tuple[Argument, ...] = ()
    values: tuple[Value, ...] = ()
    environment_files: tuple[str, ...] = ()  # those named by the unit, present or not, in order
    used_variables: tuple[str, ...] = ()  # expanded as "$NAME" in ExecStart=
    missing: tuple[str, ...] = ()  # files that systemd reads and the probe did not see; without them it starts nothing

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(argument.text for argument in self.arguments)

    def place(self, argument: Argument) -> str:
        value = self.values[argument.value]
        return f"{value.path}:{value.line}"


@dataclass(frozen=True)
class Flag:
    name: str
    value: str | None  # None: a flag without a value
    indexes: tuple[int, ...]  # the words that make it


def flags(argv: Sequence[str]) -> list[Flag]:
    """Return the flags of a command line (its first word is the program).

    A flag without "=" takes the next word if that is not a flag itself; boolean flags never do where we know them.
    """
    found: list[Flag] = []
    index = 1
    while index < len(argv):
        name = compat.flag_name(argv[index])
        if not name:
            index += 1
        elif "=" in argv[index]:
            found.append(Flag(name, argv[index].split("=", 1)[1], (index,)))
            index += 1
        elif index + 1 < len(argv) and not argv[index + 1].startswith("-") and not compat.flag_is_boolean(name):
            found.append(Flag(name, argv[index + 1], (index, index + 1)))
            index += 2
        else:
            found.append(Flag(name, None, (index,)))
            index += 1
    return found


def flag_value(argv: Sequence[str], name: str) -> str | None:
    """Return the value the kubelet uses for a flag: the last one given, None if the flag is absent."""
    values = [flag.value or "" for flag in flags(argv) if flag.name == name]
    return values[-1] if values else None


def specifiers(facts: Facts) -> dict[str, str]:
    """Return what systemd puts in place of ``%H`` and other specifiers of this node, by letter.

    Those that take a look at more than facts hold (%m, %b, %s, ...) are left out. Source: systemd.unit(5), "Specifiers".
    """
    return {
        "H": facts.hostname,
        "l": facts.hostname.split(".", 1)[0],
        "v": facts.os.kernel,
        "o": facts.os.id,
        "w": facts.os.version_id,
    }


def _of_unit(name: str) -> dict[str, str]:
    """Return the specifiers that are the same on every node, for a unit of the system's manager, which is root's."""
    stem = name.rsplit(".", 1)[0]
    prefix, _, instance = stem.partition("@")
    return {
        "%": "%", "n": name, "N": stem, "p": prefix, "P": prefix, "j": prefix.rsplit("-", 1)[-1], "J": prefix.rsplit("-", 1)[-1],
        "i": instance, "I": instance, "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc",
        "T": "/tmp", "V": "/var/tmp", "u": "root", "U": "0", "g": "root", "G": "0", "h": "/root",
    }  # fmt: skip


@dataclass
class _Service:
    """What the [Service] sections of a unit and its drop-ins add up to."""

    exec_start: tuple[str, Directive] | None = None
    settings: list[tuple[str, Directive]] = field(default_factory=list)  # Environment=
    environment_files: list[str] = field(default_factory=list)  # as written
    unset: list[tuple[str, Directive]] = field(default_factory=list)  # UnsetEnvironment=
    missing: list[str] = field(default_factory=list)


def _service(unit: Unit, files: Mapping[str, File]) -> _Service:
    found = _Service()
    for path in (unit.fragment_path, *unit.drop_in_paths):
        text = _text(path, files)
        if text is None:
            if path:
                found.missing.append(path)
            continue
        for directive in parse_unit(path, text):
            if directive.section != "Service":
                continue
            here = (path, directive)
            if directive.name == "ExecStart":
                if directive.text and found.exec_start is not None:
                    raise FlagError(path, directive.line, "ExecStart= is set a second time, with no empty one before")
                found.exec_start = here if directive.text else None
            elif directive.name == "Environment":
                found.settings = [*found.settings, here] if directive.text else []
            elif directive.name == "EnvironmentFile":
                found.environment_files = [*found.environment_files, directive.text] if directive.text else []
            elif directive.name == "UnsetEnvironment":
                found.unset = [*found.unset, here] if directive.text else []
    return found


def resolve(unit: Unit, files: Mapping[str, File], known: Mapping[str, str] | None = None) -> CommandLine:
    """Return the command line that systemd would start for ``unit`` now.

    Args:
        known: what to put in place of this node's specifiers, by letter: :func:`specifiers`. Those of the unit are known.

    Raises FlagError where a quote is not closed, a file is not UTF-8, a word holds a specifier that is not known, or there
    is no ExecStart=, or more than one.
    """
    known = {**_of_unit(unit.name), **(known or {})}
    service = _service(unit, files)
    if service.exec_start is None:
        raise FlagError(unit.fragment_path or unit.name, 0, "no ExecStart= is set for the kubelet")

    values: list[Value] = []
    variables: dict[str, int] = {}
    for path, directive in service.settings:
        for word in split_words(path, directive.line, directive.value, False):
            name, equals, _ = word.text.partition("=")
            if equals:
                chars = tuple(_specified(word.chars[len(name) + 1 :], known))
                end = chars[-1].end if chars else word.end
                _add(values, variables, path, directive.line, name, chars, end)
    named: list[str] = []
    missing = service.missing
    for written in service.environment_files:
        pattern = "".join(char.text for char in _specified([Char(c, 0, 0) for c in written.removeprefix("-")], known))
        if not pattern.startswith("/"):
            continue  # systemd says so in its log and goes on
        paths = _matching(pattern, files)
        named += paths or [pattern]
        texts = [(path, text) for path in paths if (text := _text(path, files)) is not None]
        if not texts and not written.startswith("-"):
            missing.append(pattern)
        for path, text in texts:
            for assignment in parse_environment_file(path, text):
                chars = assignment.value
                _add(values, variables, path, assignment.line, assignment.name, chars, assignment.append_at)
                if values and values[-1].variable == assignment.name and chars:
                    values[-1] = replace(values[-1], bare=text[chars[0].start - 1] not in "'\"")
    for path, directive in service.unset:
        for word in split_words(path, directive.line, directive.value, False):
            name, equals, value = word.text.partition("=")
            if name in variables and (not equals or values[variables[name]].text == value):
                del variables[name]
    return _expand(service.exec_start, values, variables, known, tuple(named), tuple(missing))


def _matching(pattern: str, files: Mapping[str, File]) -> list[str]:
    """Return the files on the node that a pattern names, in the order systemd reads them; glob(7): a * matches no slash."""
    if not re.search(r"[*?\[]", pattern):
        return [pattern]
    parts = pattern.split("/")
    return [
        path
        for path, file in sorted(files.items())
        if file.kind != "missing"
        and len(path.split("/")) == len(parts)
        and all(
            fnmatch.fnmatchcase(name, part) and (name.startswith(".") <= part.startswith("."))
            for name, part in zip(path.split("/"), parts, strict=True)
        )
    ]


def _text(path: str, files: Mapping[str, File]) -> str | None:
    file = files.get(path)
    if file is None or file.kind in ("missing", "directory"):
        return None
    if not file.is_utf8:
        raise FlagError(path, 0, "the file is not UTF-8 text")
    if file.content is not None and "\0" in file.content:
        raise FlagError(path, file.content.count("\n", 0, file.content.index("\0")) + 1, "there is a NUL byte")
    return file.content


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _add(
    values: list[Value], variables: dict[str, int], path: str, line: int, name: str, chars: Sequence[Char], end: int
) -> None:
    """Set a variable, unless systemd would not take it: src/basic/env-util.c, env_assignment_is_valid."""
    text = "".join(char.text for char in chars)
    if not _NAME.fullmatch(name):
        return
    variables[name] = len(values)
    values.append(Value(path, line, name, tuple(split_words(path, line, chars, True)), end, text, _unknown(chars)))


def _specified(chars: Sequence[Char], known: Mapping[str, str]) -> list[Char]:
    """Put in what specifiers stand for; one that is not known stays as a single character of two letters."""
    joined: list[Char] = []
    index = 0
    while index < len(chars):
        if chars[index].text == "%" and index + 1 < len(chars):
            first, second = chars[index], chars[index + 1]
            meant = known.get(second.text)
            texts = [first.text + second.text] if meant is None else list(meant)
            joined += [Char(text, first.start, second.end) for text in texts]
            index += 2
        else:
            joined.append(chars[index])
            index += 1
    return joined


def _unknown(chars: Sequence[Char]) -> str:
    return next((char.text for char in chars if len(char.text) == 2), "")


def _expand(
    exec_start: tuple[str, Directive],
    values: list[Value],
    variables: dict[str, int],
    known: Mapping[str, str],
    environment_files: tuple[str, ...],
    missing: tuple[str, ...],
) -> CommandLine:
    path, directive = exec_start
    words = split_words(path, directive.line, directive.value, False)
    own = len(values)
    values = [*values, Value(path, directive.line, "", tuple(words), directive.append_at)]
    arguments: list[Argument] = []
    used: list[str] = []
    prefix = re.match(r"[-@:+!|]*", words[0].text)[0] if words else ""  # type: ignore[index]
    for index, word in enumerate(words):
        if word.text == ";" and word.end - word.start == 1:
            raise FlagError(path, directive.line, "ExecStart= holds several commands")
        chars = _specified(word.chars[len(prefix) if index == 0 else 0 :], known)
        text = "".join(char.text for char in chars)
        _refuse(path, directive.line, _unknown(chars))
        if index == 1 and "@" in prefix:  # the second word is what the process is called
            arguments[0] = Argument(text, own, index)
        elif ":" in prefix:
            arguments.append(Argument(text, own, index))
        elif text.startswith("$") and text[1:2] not in ("{", "$"):
            used.append(text[1:])
            number = variables.get(text[1:])
            if number is not None:
                _refuse(values[number].path, values[number].line, values[number].unknown)
                arguments += [Argument(part.text, number, i) for i, part in enumerate(values[number].words)]
        else:
            arguments.append(Argument(_braces(text, values, variables), own, index))
    return CommandLine(tuple(arguments), tuple(values), environment_files, tuple(used), missing)


def _refuse(path: str, line: int, unknown: str) -> None:
    if unknown:
        raise FlagError(path, line, f"what the specifier {unknown} stands for is not known to unshim")


def _braces(text: str, values: list[Value], variables: dict[str, int]) -> str:
    def expand(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        number = variables.get(match[1])
        if number is None:
            return ""
        _refuse(values[number].path, values[number].line, values[number].unknown)
        return values[number].text

    return re.sub(r"\$\$|\$\{([A-Za-z0-9_]+)\}", expand, text)


SECRET = re.compile(r"(?i)token(?!-auth|-webhook|-ttl)|password|secret")


def without_secrets(argv: Sequence[str]) -> list[str]:
    """Return a command line for people to read: the values of flags that hold a secret are hidden."""
    shown = list(argv)
    for flag in flags(argv):
        if SECRET.search(flag.name) and flag.value is not None:
            last = flag.indexes[-1]
            shown[last] = "***" if len(flag.indexes) == 2 else f"{argv[last].split('=', 1)[0]}=***"
    return shown


def difference(resolved: Sequence[str], running: Sequence[str]) -> str:
    """Return how the running command line differs from the one the files give, "" if it does not."""
    if tuple(resolved) == tuple(running):
        return ""
    if without_secrets(resolved) != without_secrets(running):
        resolved, running = without_secrets(resolved), without_secrets(running)
    else:
        return "a value that is secret differs"
    if resolved and running and resolved[0] != running[0]:
        return f"the unit starts {resolved[0]}, but {running[0]} runs"
    only_files = [word for word in resolved if word not in running]
    only_process = [word for word in running if word not in resolved]
    parts = []
    if only_files:
        parts.append("only in the files: " + " ".join(only_files))
    if only_process:
        parts.append("only in the running process: " + " ".join(only_process))
    return "; ".join(parts) or "the same flags in another order or number"
