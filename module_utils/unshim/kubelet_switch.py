"""What must change in the kubelet's unit and environment files so that its command line names another runtime.

The words are changed where they stand; a change is checked by computing the command line again from the changed files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import compat
from .facts import File, Unit
from .kubelet_command_line import CommandLine, Flag, flags, resolve
from .kubelet_flags import PLAIN, FlagError, apply_edits, edit_words

KUBEADM_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
KUBEADM_VARIABLE = "KUBELET_KUBEADM_ARGS"
EXTRA_FILES = ("/etc/default/kubelet", "/etc/sysconfig/kubelet")
EXTRA_VARIABLE = "KUBELET_EXTRA_ARGS"

RUNTIME_UNIT = re.compile(r"(?<![^/])(?:docker|cri-dockerd?)\.service\Z")


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
    decided = _decide(line, compat.parse_version(version) or (0, 0, 0), endpoint, endpoint_in_config)
    decided.added += more
    texts = _edited(line, files, decided)
    after = resolve(unit, {**files, **{path: _with(files, path, text) for path, text in texts.items()}}, known)
    _check(line, decided, after.argv)
    created = tuple(path for path in texts if path not in files or files[path].content is None)
    return Switch(texts, created, tuple(decided.removed), after)


@dataclass
class _Decision:
    """What has to happen to the words of a command line."""

    changes: dict[int, str | None] = field(default_factory=dict)  # by index in argv; None takes the word out
    present: dict[str, Flag] = field(default_factory=dict)  # of the flags that name the runtime, those that are there
    gone: list[int] = field(default_factory=list)  # where the flags of Docker's shim begin
    removed: list[tuple[str, str, str]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


def _decide(line: CommandLine, version: tuple[int, ...], endpoint: str, endpoint_in_config: bool) -> _Decision:
    argv, decided = line.argv, _Decision()
    wanted = {"container-runtime-endpoint": endpoint}
    if version < (1, 24, 0):
        wanted = {"container-runtime": "remote", **wanted}
    for flag in flags(argv):
        if flag.name in wanted:
            if flag.name in decided.present:  # the last one counts for the kubelet; the earlier ones only mislead
                decided.changes.update(dict.fromkeys(decided.present[flag.name].indexes))
            decided.present[flag.name] = flag
        elif reason := _reason_to_go(flag):
            decided.changes.update(dict.fromkeys(flag.indexes))
            decided.gone.append(flag.indexes[0])
            written = " ".join(argv[index] for index in flag.indexes)
            decided.removed.append((line.place(line.arguments[flag.indexes[0]]), written, reason))
        elif flag.name == "runtime-cgroups" and flag.value:
            # Docker's cgroup, as kops and old kubeadm set it: the kubelet would look for it in vain.
            cgroup = RUNTIME_UNIT.sub("containerd.service", flag.value)
            if cgroup != flag.value:
                decided.changes.update(_revalued(argv, flag, cgroup))
    for name, value in wanted.items():
        if name in decided.present:
            if decided.present[name].value != value:
                decided.changes.update(_revalued(argv, decided.present[name], value))
        elif not (name == "container-runtime-endpoint" and endpoint_in_config):
            decided.added.append(f"--{name}={value}")
    return decided


def _reason_to_go(flag: Flag) -> str:
    """Return why a flag cannot stay on another runtime, "" if it can."""
    if flag.name == "container-runtime":
        return "ignored since Kubernetes 1.24, fatal since 1.27"
    if flag.name == "image-service-endpoint" and "docker" in (flag.value or ""):
        return "it names Docker's shim; without it the runtime endpoint serves images too"
    return compat.dockershim_reason(flag.name)


def _edited(line: CommandLine, files: Mapping[str, File], decided: _Decision) -> dict[str, str]:
    """Return the texts of the files that change, by path."""
    changes = decided.changes
    appended: dict[int, list[str]] = {}
    new_files: dict[str, str] = {}
    if decided.added:
        anchor = _anchor(line, decided)
        if anchor in decided.gone:
            changes[anchor] = _join(line, anchor, files, decided.added)
        elif anchor is not None:
            changes[anchor] = _join(line, anchor, files, [_as_written(line, anchor, files, changes), *decided.added])
        else:
            _append(line, files, decided.added, appended, new_files)
    by_value: dict[int, dict[int, str | None]] = {}
    for index, new in changes.items():
        argument = line.arguments[index]
        value = line.values[argument.value]
        if new is not None and argument.word == 0 and not value.variable:
            raise FlagError(value.path, value.line, "the kubelet's program itself would have to change")
        by_value.setdefault(argument.value, {})[argument.word] = new

    edits: dict[str, list[tuple[int, int, str]]] = {}
    for number in {*by_value, *appended}:
        value = line.values[number]
        text = files[value.path].content or ""
        edits.setdefault(value.path, []).extend(edit_words(text, value.words, by_value.get(number, {}), value.bare))
        if number in appended:
            separator = " " if value.words else ""
            edits[value.path].append((value.append_at, value.append_at, separator + " ".join(appended[number])))
    texts = {path: apply_edits(files[path].content or "", rows) for path, rows in edits.items()}
    texts.update(new_files)
    return {path: text for path, text in texts.items() if path not in files or files[path].content != text}


def _revalued(argv: Sequence[str], flag: Flag, value: str) -> dict[int, str]:
    """Return the change that gives a flag another value, in the form it is written in."""
    if len(flag.indexes) == 2:
        return {flag.indexes[1]: value}
    return {flag.indexes[0]: f"{argv[flag.indexes[0]].split('=', 1)[0]}={value}"}


def _with(files: Mapping[str, File], path: str, text: str) -> File:
    return replace(files.get(path, File(path)), kind="file", content=text)


def _anchor(line: CommandLine, decided: _Decision) -> int | None:
    """Return the word of the command line beside which new runtime flags belong.

    Best is the place of a flag that tells the runtime; any other flag that goes will do only in its absence.
    """
    for flag in decided.present.values():
        return flag.indexes[-1]
    by_name = {compat.flag_name(line.arguments[index].text): index for index in decided.gone}
    return by_name.get("network-plugin", decided.gone[0] if decided.gone else None)


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


def _check(line: CommandLine, decided: _Decision, after: Sequence[str]) -> None:
    """Raise FlagError unless the new command line is the old one with just the changes wanted."""
    changes, added = decided.changes, decided.added
    untouched = [word for index, word in enumerate(line.argv) if index not in changes]
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
