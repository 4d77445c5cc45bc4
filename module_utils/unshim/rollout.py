"""How a fleet moves: who is in which batch, may the next batch begin, and is the run over. Pure decisions.

Nodes, pods and PodDisruptionBudgets are the API's own JSON, as dicts; hosts are Ansible's names. What a drain does with a
pod, and what a budget covers, is in :mod:`drain`; where a pod may go at all, in :mod:`room`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import drain
from .node_gate import ready_condition
from .room import explain_no_room

Json = Mapping[str, Any]

# A node in one of these states was left half-way by a run that was cut short.
HALF_WAY = ("drained", "switched")


class SettingError(Exception):
    """A setting cannot be used; the message says which and why."""


@dataclass(frozen=True)
class Member:
    """One host of the run, as its plan sees it."""

    host: str
    node: str  # the Kubernetes node's name
    state: str = "docker"
    done: bool = False
    control_plane: bool = False


@dataclass(frozen=True)
class Roll:
    """Who moves in this run, in order."""

    workers: tuple[str, ...]  # hosts
    sizes: tuple[int, ...]  # of the batches of workers; their sum is the number of workers
    control_plane: tuple[str, ...]
    half_way: tuple[str, ...]  # hosts among both that an earlier run left half-way; those of the workers come first
    done: tuple[str, ...]

    @property
    def batches(self) -> list[tuple[str, ...]]:
        found, begin = [], 0
        for size in self.sizes:
            found.append(self.workers[begin : begin + size])
            begin += size
        return found


def read_batches(setting: Any) -> list[str]:
    """Return ``unshim_batches`` as a list of numbers and per cents, from a list or from text such as ``1,10%``.

    Raises:
        SettingError: an entry is neither a number from 1 nor a per cent from 1% to 100%.
    """
    entries = re.sub(r"[\[\]\"' ]", "", setting).split(",") if isinstance(setting, str) else setting
    if isinstance(entries, int) and not isinstance(entries, bool):
        entries = [entries]
    if not isinstance(entries, list | tuple) or not entries:
        raise SettingError(
            f"unshim_batches: {setting!r} is no list of numbers and per cents, such as [1, '10%', '25%']."
        )
    texts = [str(entry).strip() for entry in entries]
    for text in texts:
        if not re.fullmatch(r"[1-9]\d*|([1-9]\d?|100)%", text):
            raise SettingError(
                f"unshim_batches: {text!r} is neither a number of nodes from 1 nor a per cent from 1% to 100%."
            )
    return texts


def sizes(batches: Sequence[str], count: int) -> list[int]:
    """Return the sizes of the batches that ``count`` workers move in; the last entry repeats.

    A per cent is of ``count``, rounded down, and at least one node, as with Ansible's ``serial``.
    """
    found: list[int] = []
    left = count
    for number in range(count):
        if not left:
            break
        entry = batches[min(number, len(batches) - 1)]
        size = max(1, int(entry[:-1]) * count // 100) if entry.endswith("%") else int(entry)
        found.append(min(size, left))
        left -= found[-1]
    return found


def choose(members: Iterable[Member], setting: Any, cordoned_by_us: Collection[str] = ()) -> Roll:
    """Return who moves, and in which batches.

    Workers that an earlier run left half-way come first and together: they take no pods now, so no other node may be closed
    before they are open. Then canary and growing batches.

    Args:
        members: the hosts of the run, in the inventory's order.
        setting: ``unshim_batches``.
        cordoned_by_us: names of the Kubernetes nodes that carry our note and are closed.
    """
    batches = read_batches(setting)
    everyone = list(members)
    moving = [member for member in everyone if not member.done]
    half = [member for member in moving if member.state in HALF_WAY or member.node in cordoned_by_us]
    workers = [member for member in moving if not member.control_plane]
    begun = [member for member in workers if member in half]
    fresh = [member for member in workers if member not in half]
    control_plane = sorted((m for m in moving if m.control_plane), key=lambda member: member not in half)
    return Roll(
        workers=tuple(member.host for member in begun + fresh),
        sizes=tuple(([len(begun)] if begun else []) + sizes(batches, len(fresh))),
        control_plane=tuple(member.host for member in control_plane),
        half_way=tuple(member.host for member in half),
        done=tuple(member.host for member in everyone if member.done),
    )


def explain(roll: Roll, limit: int = 8) -> str:
    """Return the order of the move for a reader, a batch a line; of a large one only the first ``limit`` names."""

    def names(hosts: Sequence[str]) -> str:
        more = f" and {len(hosts) - limit} more" if len(hosts) > limit else ""
        return ", ".join(hosts[:limit]) + more

    if not roll.workers and not roll.control_plane:
        return f"Nothing to move: {count(roll.done)} done.\n"
    lines = []
    for number, batch in enumerate(roll.batches, 1):
        kind = ""
        if batch and set(batch) <= set(roll.half_way):
            kind = " (left half-way by an earlier run)"
        elif number == 1 + bool(set(roll.workers) & set(roll.half_way)) and len(roll.workers) > 1:
            kind = " (canary)"
        lines.append(f"batch {number}{kind}: {names(batch)}")
    if roll.control_plane:
        lines.append(f"then the control plane, one at a time: {names(roll.control_plane)}")
    if roll.done:
        lines.append(f"done already, and skipped: {names(roll.done)}")
    return "\n".join(lines) + "\n"


def count(hosts: Collection[Any]) -> str:
    return f"{len(hosts)} node{'' if len(hosts) == 1 else 's'}"


@dataclass(frozen=True)
class Question:
    """What the next batch needs to know of the cluster."""

    nodes: tuple[str, ...]  # the Kubernetes nodes of the batch
    may_be_down: tuple[str, ...] = ()
    allow_no_room: bool = False
    options: drain.Options = field(default_factory=drain.Options)


def unwell_nodes(nodes: Iterable[Json], question: Question) -> list[str]:
    """Return why the batch must wait for other nodes: one that is not Ready, or that a move has closed for pods."""
    reasons = []
    for node in sorted(nodes, key=lambda node: node["metadata"]["name"]):
        name = node["metadata"]["name"]
        if name in question.nodes or name in question.may_be_down:
            continue
        condition = ready_condition(node)
        note = drain.read_note(node)
        if condition.get("status") != "True":
            said = ": ".join(part for part in (condition.get("reason"), condition.get("message")) if part)
            reasons.append(f"node {name} is not Ready" + (f" ({said})" if said else ""))
        elif note and (node.get("spec") or {}).get("unschedulable") and not note["was_unschedulable"]:
            by = f" by {note['by']}" if note.get("by") else ""
            since = f" since {note['at']}" if note.get("at") else ""
            reasons.append(
                f"node {name} is closed for pods{by}{since} ({note.get('reason') or 'no reason given'}): a move that did not end"
            )
    return reasons


def unknown_nodes(nodes: Iterable[Json], question: Question) -> list[str]:
    """Return the nodes of the batch that the cluster does not have."""
    known = {node["metadata"]["name"] for node in nodes}
    return [name for name in question.nodes if name not in known]


def leaving_pods(pods: Iterable[Json], question: Question) -> list[Json]:
    """Return the pods that the drains of this batch will evict."""
    found = list(pods)
    going = {
        decision.uid
        for node in question.nodes
        for decision in drain.classify(found, node, question.options)
        if decision.action == drain.EVICT
    }
    return [pod for pod in found if pod["metadata"].get("uid", "") in going]


def exhausted_budgets(budgets: Iterable[Json], leaving: Iterable[Json], version: str) -> list[str]:
    """Return the budgets that allow no disruption now and cover pods of the batch.

    Args:
        version: what the budgets were read as, "policy/v1" or "policy/v1beta1".
    """
    reasons = []
    for budget in drain.budgets(budgets, leaving, version):
        if budget.allowed > 0:
            continue
        state = f"{budget.healthy} healthy, {budget.desired} wanted, {budget.expected} in all"
        if budget.never_allows:
            said = f"never allows a disruption as it is written ({state}); relax it, or scale its pods up"
        else:
            said = f"allows no disruption now ({state})"
        reasons.append(f"PodDisruptionBudget {budget.name} {said}; it covers {', '.join(budget.pods)}")
    return reasons


def no_room(nodes: Iterable[Json], pods: Iterable[Json], leaving: Iterable[Json], question: Question) -> list[str]:
    """Return why the rest of the cluster cannot take the pods of the whole batch, [] if it can or need not."""
    if question.allow_no_room:
        return []
    why = explain_no_room(nodes, pods, leaving, without=(*question.nodes, *question.may_be_down))
    return [f"{why}; make room, or accept it with unshim_drain_allow_no_room"] if why else []


def is_whole_cluster(nodes: Iterable[Json], question: Question) -> bool:
    """Tell if no node stays open beside the batch: no waiting makes room then."""
    return {node["metadata"]["name"] for node in nodes} <= {*question.nodes, *question.may_be_down}


def stop(failed: Collection[str], max_failed: int) -> str:
    """Return why the run may not go on after a batch, "" if it may.

    Args:
        failed: hosts that failed or were lost so far.
        max_failed: ``unshim_max_failed``.
    """
    if len(failed) <= max_failed:
        return ""
    return f"{count(failed)} failed ({', '.join(sorted(failed))}), and unshim_max_failed is {max_failed}"
