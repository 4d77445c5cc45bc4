"""How far each node of a run is, from what Ansible says while it runs. Pure: times are given, lines and events returned."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import redaction
from .report_text import clock, visible
from .timeline import duration

FORMAT = 1
# The role a task belongs to says the stage; of a role that is not here (preflight, etcd, rollout) a node is where it was.
STAGE_OF_ROLE = {
    "containerd": "prepare",
    "images": "prepare",
    "drain": "drain",
    "kubelet": "switch",
    "verify": "verify",
    "rollback": "restore",
    "commit": "commit",
}
#: What the journal says after a task tells more than the task: "docker" is there again after a rollback only.
STAGE_OF_STATE = {"prepared": "wait", "verified": "done", "committed": "done", "docker": "restored"}
MOVING = ("prepare", "drain", "switch", "verify", "restore", "commit")
#: In the order in which a reader wants to see them where there is no room for all.
ORDER = ("failed", "lost", "restore", *MOVING, "blocked", "restored", "wait", "plan", "done")
OVER = ("done", "restored", "blocked", "failed", "lost")
MARKS = {"done": "✓", "failed": "✕", "lost": "✕", "blocked": "■", "restored": "↩", "wait": "·", "plan": "·"}
NAME_WIDTH = 32
Event = dict[str, Any]


@dataclass
class Node:
    name: str
    stage: str
    since: float
    began: float
    note: str = ""  # why it failed


@dataclass
class Board:
    """The nodes of one run. Each method that may move a node on returns the events that came of it."""

    playbook: str = ""
    began: float = 0.0
    nodes: dict[str, Node] = field(default_factory=dict)

    def begin(self, playbook: str, now: float) -> list[Event]:
        self.playbook, self.began = os.path.basename(playbook), now
        return [self._event("begin", now, playbook=self.playbook)]

    def task(self, host: str, role: str, now: float) -> list[Event]:
        """Note that a task begins on a host.

        Args:
            role: that it belongs to, "" if to none.
        """
        stage = STAGE_OF_ROLE.get(role)
        if stage is None:
            return [] if host in self.nodes or role != "preflight" else self._move(host, "plan", now)
        return self._move(host, stage, now)

    def ok(
        self, host: str, action: str, arguments: Mapping[str, Any], result: Mapping[str, Any], now: float
    ) -> list[Event]:
        """Note that a task was done.

        Args:
            action: the name of its module.
            arguments: of the task.
            result: of the module.
        """
        if action == "migration_journal" and arguments.get("state"):
            stage = STAGE_OF_STATE.get(str(result.get("state") or ""))
            return self._move(host, stage, now) if stage else []
        if action == "migration_plan":
            planned = (result.get("ansible_facts") or {}).get("runtime_plan")
            node = self.nodes.get(host)
            # Before a node moves only; while it does, it is planned anew.
            if planned and (node is None or node.stage in ("plan", "wait")):
                stage = "blocked" if planned.get("blockers") else "done" if planned.get("done") else "wait"
                return self._move(host, stage, now)
        return []

    def failed(self, host: str, task: str, message: str, now: float) -> list[Event]:
        """Note that a task failed and nobody was asked to ignore it; a rescue may still come."""
        if host not in self.nodes:
            return []
        text = _said(message)
        if self.nodes[host].stage in ("blocked", "restored"):
            # The end of a node that is accounted for: it says again why.
            self.nodes[host].note = text
            return []
        moved = self._move(host, "failed", now)
        self.nodes[host].note = text
        return [one | {"event": "failed", "task": task, "message": text} for one in moved]

    def lost(self, host: str, message: str, now: float) -> list[Event]:
        """Note that a host cannot be reached."""
        moved = self._move(host, "lost", now)
        self.nodes[host].note = _said(message)
        return moved

    def end(self, now: float) -> list[Event]:
        return [self._event("end", now, playbook=self.playbook, counts=self.counts())]

    def counts(self) -> dict[str, int]:
        """Return how many nodes are in each stage, the empty ones left out."""
        found: dict[str, int] = {}
        for node in self.nodes.values():
            found[node.stage] = found.get(node.stage, 0) + 1
        return {stage: found[stage] for stage in dict.fromkeys(ORDER) if stage in found}

    def lines(self, now: float, width: int, height: int) -> list[str]:
        """Return the board for a terminal: a line for the run, then one a node, those first that need a look."""
        if not self.nodes:
            return []
        counts = self.counts()
        parts = [f"{counts.get('done', 0)} of {len(self.nodes)} done"]
        parts += [f"{number} {stage}" for stage, number in counts.items() if stage != "done"]
        found = [_cut(f"unshim {self.playbook}  {duration(now - self.began)}  {' · '.join(parts)}", width)]
        order = list(dict.fromkeys(ORDER))
        nodes = sorted(self.nodes.values(), key=lambda node: order.index(node.stage))
        room = max(1, height - 1)
        shown = nodes if len(nodes) <= room else nodes[: max(1, room - 1)]
        names = min(NAME_WIDTH, max(len(visible(node.name)) for node in shown))
        found += [_cut(self._line(node, now, names), width) for node in shown]
        if len(shown) < len(nodes):
            rest = _counted(node.stage for node in nodes[len(shown) :])
            found.append(_cut(f"  … and {len(nodes) - len(shown)} more: {rest}", width))
        return found[: max(1, height)]

    def _line(self, node: Node, now: float, names: int) -> str:
        name = _cut(visible(node.name), names).ljust(names)
        took = "" if node.stage in OVER and node.began == node.since else duration(
            (node.since if node.stage in OVER else now) - (node.began if node.stage in OVER else node.since)
        )  # fmt: skip
        note = f"  {node.note}" if node.note and node.stage in OVER else ""
        return f"  {MARKS.get(node.stage, '▸')} {name}  {node.stage:<8} {took:>10}{note}".rstrip()

    def _move(self, host: str, stage: str, now: float) -> list[Event]:
        node = self.nodes.get(host)
        if node is None:
            self.nodes[host] = Node(host, stage, now, now)
            return [self._event("stage", now, node=host, stage=stage)]
        if node.stage == stage:
            return []
        event = self._event("stage", now, node=host, stage=stage, previous=node.stage)
        event["previous_seconds"] = round(max(0.0, now - node.since), 3)
        if node.stage in ("plan", "wait") and stage in MOVING:
            node.began = now
        node.stage, node.since, node.note = stage, now, ""
        return [event]

    def _event(self, kind: str, now: float, **more: Any) -> Event:
        return {"format": FORMAT, "time": round(now, 3), "event": kind, **more}


def _said(message: str) -> str:
    """Return a message on one line, without what a terminal would act upon and without passwords."""
    return " ".join(visible(redaction.redact(message)).split())


def plain(event: Event) -> str:
    """Return an event as a line for a log, "" for one that a log has anyway."""
    when = f"{clock(event['time'])} UTC"
    if event["event"] == "begin":
        return ""
    if event["event"] == "end":
        told = ", ".join(f"{number} {stage}" for stage, number in event["counts"].items())
        return f"{when}  {event['playbook']}: {told}" if told else ""
    took = f", after {event['previous']} {duration(event['previous_seconds'])}" if "previous" in event else ""
    why = f": {event['task']}: {event['message']}" if event["event"] == "failed" else ""
    return f"{when}  {visible(event['node'])}: {event['stage']}{took}{why}"


def _counted(stages: Iterable[str]) -> str:
    found: dict[str, int] = {}
    for stage in stages:
        found[stage] = found.get(stage, 0) + 1
    return ", ".join(f"{number} {stage}" for stage, number in found.items())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
