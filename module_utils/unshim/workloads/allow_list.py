"""The allow-list: findings that somebody has looked at and lets pass, with a reason and a date on which to look again.

allow:
  - rule: docker-socket-parent
    object: DaemonSet/monitoring/node-agent
    reason: it reads /run/systemd only, asked the owner
    expires: 2027-03-31
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import yaml

from .model import WorkloadFinding
from .registry import BY_ID

KEYS = ("rule", "object", "reason", "expires")


class AllowListError(Exception):
    """The allow-list cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Entry:
    rule: str
    object: str  # as in findings, ``*`` for any text
    reason: str
    expires: datetime.date  # the last day it holds
    line: int = 0

    def covers(self, finding: WorkloadFinding) -> bool:
        return self.rule == finding.id and fnmatchcase(finding.object, self.object)


def parse(text: str, file: str) -> list[Entry]:
    """Return the entries of an allow-list.

    Raises:
        AllowListError: it is not one; nothing of it is used then, for what it lets pass could be the wrong thing.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise AllowListError(f"{where}: it is not valid YAML: {getattr(error, 'problem', None) or error}.") from None
    if root is None:
        return []
    if not isinstance(data, dict) or set(data) != {"allow"} or not isinstance(data["allow"], list | None):
        raise AllowListError(f"{file}:1: an allow-list is one key, allow, with a list; docs/scan.md shows one.")
    # The last one counts where the key is there twice.
    entries = root.value[-1][1] if isinstance(root, yaml.MappingNode) else None
    nodes = entries.value if isinstance(entries, yaml.SequenceNode) else []
    if len(nodes) != len(data["allow"] or []):
        raise AllowListError(
            f"{file}:1: the list of allow cannot be told apart; write it out, without aliases and merges."
        )
    return [
        _entry(one, f"{file}:{node.start_mark.line + 1}", node.start_mark.line + 1)
        for one, node in zip(data["allow"] or [], nodes, strict=True)
    ]


def _entry(data: Any, where: str, line: int) -> Entry:
    if not isinstance(data, dict) or set(data) != set(KEYS):
        raise AllowListError(f"{where}: an entry has the keys {', '.join(KEYS)}, each once and no other.")
    rule = data["rule"]
    if not isinstance(rule, str) or rule not in BY_ID:
        raise AllowListError(f"{where}: there is no rule {rule!r}; docs/scan.md lists them.")
    for key in ("object", "reason"):
        if not isinstance(data[key], str) or not data[key].strip():
            raise AllowListError(f"{where}: {key} must be a text that says something.")
    expires = data["expires"]
    if isinstance(expires, datetime.datetime) or not isinstance(expires, datetime.date):
        raise AllowListError(f"{where}: expires must be a date such as 2027-03-31.")
    return Entry(rule, data["object"].strip(), " ".join(data["reason"].split()), expires, line)


def apply(
    findings: Iterable[WorkloadFinding], entries: Sequence[Entry], today: datetime.date
) -> tuple[list[WorkloadFinding], list[WorkloadFinding], list[str]]:
    """Return the findings that stay, those that are let pass with the reason, and what is to be said of the list itself."""
    kept: list[WorkloadFinding] = []
    allowed: list[WorkloadFinding] = []
    used: set[Entry] = set()
    for finding in findings:
        covering = [entry for entry in entries if entry.covers(finding)]
        used.update(covering)
        standing = next((entry for entry in covering if entry.expires >= today), None)
        if standing:
            allowed.append(dataclasses.replace(finding, allowed=f"{standing.reason} (until {standing.expires})"))
        else:
            kept.append(finding)
    notes = []
    for entry in entries:
        name = f"line {entry.line}: {entry.rule} of {entry.object}"
        if entry not in used:
            notes.append(f"allow-list, {name} matches nothing; take it out.")
        elif entry.expires < today:
            notes.append(
                f"allow-list, {name} ended on {entry.expires}; look again, then give it a new date or solve it."
            )
    return kept, allowed, notes
