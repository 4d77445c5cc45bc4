"""The command line systemd would give the kubelet, computed from its unit and environment files, and what must change in
those files so that it names another runtime.

Everything is done on words whose place in a file is known (see kubelet_flags.py); a change is checked by computing the
command line again from the changed files.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import compat
from .facts import Facts, File, Unit
from .kubelet_flags import (
    PLAIN,
    Assignment,
    Char,
    Directive,
    FlagError,
    Word,
    apply_edits,
    edit_words,
    parse_environment_file,
    parse_unit,
    split_words,
)

KUBEADM_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
KUBEADM_VARIABLE = "KUBELET_KUBEADM_ARGS"
EXTRA_FILES = ("/etc/default/kubelet", "/etc/sysconfig/kubelet")
EXTRA_VARIABLE = "KUBELET_EXTRA_ARGS"


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


@dataclass(frozen=True)
class Switch:
    """What a switch of runtime does to the files: new texts by path, and what was taken out."""

    texts: dict[str, str]
    created: tuple[str, ...]  # of those, the files that are not there yet
    removed: tuple[tuple[str, str, str], ...]  # (place, flag as written, reason)
    after: CommandLine


def switch_runtime(
    unit: Unit,
    files: Mapping[str, File],
    version: str,
    endpoint: str,
    endpoint_in_config: bool = False,
    known: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> Switch:
    """Point the kubelet's flags at ``endpoint`` and take out those of dockershim.

    Args:
        version: the kubelet's version; it decides whether --container-runtime=remote is needed, ignored or fatal.
        endpoint: for example ``unix:///run/containerd/containerd.sock``.
        endpoint_in_config: the KubeletConfiguration file names the endpoint, so no flag is added (one that is there is
            still set, for it wins over the file).
        known: what specifiers stand for on this node.
        more: flags to add, such as ``--container-log-max-files=3``; none of them is there yet.

    Raises FlagError where the files cannot be changed so that systemd would start exactly the command line wanted.
    """
    if not PLAIN.match(endpoint):
        raise FlagError("unshim_cri_endpoint", 0, f"{endpoint!r} holds characters that cannot stand in a kubelet flag")
    line = resolve(unit, files, known)
    argv = line.argv
    parsed = compat.parse_version(version) or (0, 0, 0)
    wanted: dict[str, str] = {"container-runtime-endpoint": endpoint}
    if parsed < (1, 24, 0):
        wanted = {"container-runtime": "remote", **wanted}
    changes: dict[int, str | None] = {}  # by index in argv
    removed: list[tuple[str, str, str]] = []
    gone: list[int] = []
    present: dict[str, Flag] = {}
    for flag in flags(argv):
        written = " ".join(argv[index] for index in flag.indexes)
        if flag.name in wanted:
            if flag.name in present:  # the last one counts for the kubelet; the earlier ones only mislead
                changes.update(dict.fromkeys(present[flag.name].indexes))
            present[flag.name] = flag
            continue
        reason = compat.dockershim_reason(flag.name)
        if flag.name == "container-runtime":
            reason = "ignored since Kubernetes 1.24, fatal since 1.27"
        elif flag.name == "image-service-endpoint" and re.search("docker", flag.value or ""):
            reason = "it names Docker's shim; without it the runtime endpoint serves images too"
        elif flag.name == "runtime-cgroups" and flag.value:
            # Docker's cgroup, as kops and old kubeadm set it: the kubelet would look for it in vain.
            cgroup = RUNTIME_UNIT.sub("containerd.service", flag.value)
            if cgroup != flag.value:
                changes.update(_revalued(argv, flag, cgroup))
        if reason:
            changes.update(dict.fromkeys(flag.indexes))
            gone.append(flag.indexes[0])
            removed.append((line.place(line.arguments[flag.indexes[0]]), written, reason))
    added: list[str] = []
    for name, value in wanted.items():
        if name not in present:
            if not (name == "container-runtime-endpoint" and endpoint_in_config):
                added.append(f"--{name}={value}")
            continue
        if present[name].value != value:
            changes.update(_revalued(argv, present[name], value))
    added += more

    by_value: dict[int, dict[int, str | None]] = {}
    appended: dict[int, list[str]] = {}
    new_files: dict[str, str] = {}
    if added:
        anchor = _anchor(line, gone, present)
        if anchor in gone:
            changes[anchor] = _join(line, anchor, files, added)
        elif anchor is not None:
            changes[anchor] = _join(line, anchor, files, [_as_written(line, anchor, files, changes), *added])
        else:
            _append(line, files, added, appended, new_files)
    for index, new in changes.items():
        argument = line.arguments[index]
        word = line.values[argument.value].words[argument.word]
        by_value.setdefault(argument.value, {})[argument.word] = _keep_quotes(line, argument, word, new, files)

    edits: dict[str, list[tuple[int, int, str]]] = {}
    for number in {*by_value, *appended}:
        row = line.values[number]
        text = files[row.path].content or ""
        edits.setdefault(row.path, []).extend(edit_words(text, row.words, by_value.get(number, {}), row.bare))
        if number in appended:
            separator = " " if row.words else ""
            edits[row.path].append((row.append_at, row.append_at, separator + " ".join(appended[number])))
    texts = {path: apply_edits(files[path].content or "", rows) for path, rows in edits.items()}
    texts.update(new_files)
    texts = {path: text for path, text in texts.items() if path not in files or files[path].content != text}
    after = resolve(unit, {**files, **{path: _with(files, path, text) for path, text in texts.items()}}, known)
    _check(line, argv, changes, added, after.argv)
    created = tuple(path for path in texts if path not in files or files[path].content is None)
    return Switch(texts, created, tuple(removed), after)


RUNTIME_UNIT = re.compile(r"(?<![^/])(?:docker|cri-dockerd?)\.service\Z")


def _revalued(argv: Sequence[str], flag: Flag, value: str) -> dict[int, str]:
    """Return the change that gives a flag another value, in the form it is written in."""
    if len(flag.indexes) == 2:
        return {flag.indexes[1]: value}
    return {flag.indexes[0]: f"{argv[flag.indexes[0]].split('=', 1)[0]}={value}"}


def _with(files: Mapping[str, File], path: str, text: str) -> File:
    return replace(files.get(path, File(path)), kind="file", content=text)


def _anchor(line: CommandLine, gone: list[int], present: dict[str, Flag]) -> int | None:
    """Return the word of the command line beside which new runtime flags belong.

    Best is the place of a flag that tells the runtime; any other flag that goes will do only in its absence.
    """
    for flag in present.values():
        return flag.indexes[-1]
    by_name = {compat.flag_name(line.arguments[index].text): index for index in gone}
    return by_name.get("network-plugin", gone[0] if gone else None)


def _join(line: CommandLine, index: int, files: Mapping[str, File], words: list[str]) -> str:
    """Join words with a blank, or with the line break that stands before this word where flags have a line each."""
    argument = line.arguments[index]
    value = line.values[argument.value]
    separator = " "
    if argument.word > 0:
        gap = (files[value.path].content or "")[value.words[argument.word - 1].end : value.words[argument.word].start]
        if re.fullmatch(r"[ \t]*\\\r?\n[ \t]*", gap):
            separator = gap
    return separator.join(words)


def _as_written(line: CommandLine, index: int, files: Mapping[str, File], changes: dict[int, str | None]) -> str:
    new = changes.get(index)
    if new is not None:
        return new
    argument = line.arguments[index]
    value = line.values[argument.value]
    word = value.words[argument.word]
    return (files[value.path].content or "")[word.start : word.end]


def _keep_quotes(
    line: CommandLine, argument: Argument, word: Word, new: str | None, files: Mapping[str, File]
) -> str | None:
    """Return the replacement for a word; a whole-word ``"..."`` that protects a prefix such as ``VAR=`` is not ours to drop."""
    if new is None:
        return None
    value = line.values[argument.value]
    if argument.word == 0 and value.variable == "":
        raise FlagError(value.path, value.line, "the kubelet's program itself would have to change")
    return new


def _append(
    line: CommandLine,
    files: Mapping[str, File],
    added: list[str],
    appended: dict[int, list[str]],
    new_files: dict[str, str],
) -> None:
    """Put new flags where the node keeps its flags: kubeadm's file, the extra arguments, else the end of ExecStart=."""
    numbers = {(value.path, value.variable): number for number, value in enumerate(line.values)}
    for path, variable in ((KUBEADM_FLAGS, KUBEADM_VARIABLE), *((path, EXTRA_VARIABLE) for path in EXTRA_FILES)):
        if variable not in line.used_variables or path not in line.environment_files:
            continue
        number = numbers.get((path, variable))
        if number is not None:
            appended[number] = added
            return
        text = files[path].content or "" if path in files else ""
        if text and not text.endswith("\n"):
            text += "\n"
        new_files[path] = f'{text}{variable}="{" ".join(added)}"\n'
        return
    appended[len(line.values) - 1] = added


def _check(
    line: CommandLine, before: Sequence[str], changes: dict[int, str | None], added: list[str], after: Sequence[str]
) -> None:
    """Raise FlagError unless the new command line is the old one with just the changes wanted."""
    untouched = [word for index, word in enumerate(before) if index not in changes]
    changed = [part for new in changes.values() if new for part in re.split(r"[\s\\]+", new)]
    rest = list(after)
    for word in [*changed, *([] if all(a in changed for a in added) else added)]:
        word = word.strip("'\"")
        if word in rest:
            rest.remove(word)
        else:
            raise FlagError(line.values[-1].path, line.values[-1].line, f"setting {word} would not reach the kubelet")
    if rest != untouched:
        raise FlagError(
            line.values[-1].path,
            line.values[-1].line,
            "the flags cannot be changed without changing others: a variable or word is used in more than one way",
        )


__all__ = [
    "Argument",
    "Assignment",
    "CommandLine",
    "Flag",
    "FlagError",
    "Switch",
    "difference",
    "flag_value",
    "flags",
    "resolve",
    "specifiers",
    "switch_runtime",
]
