"""What a node's journals tell for a report: each try with its stages, and what a rollback gave back."""

from __future__ import annotations

import re
from typing import Any

from . import timeline
from .report_model import Attempt, Event, FailedStep, Stage

Json = dict[str, Any]
JOURNAL = timeline.JOURNAL
CAUSE_NOTE = "rolled_back_because"  # roles/rollback/tasks/restore.yml writes it
# As the role `report` prints each journal, archives of tries that were rolled back first.
_HEADER = re.compile(r"^==> (/\S+) <==\r?$", re.MULTILINE)


def split(text: str) -> dict[str, str]:
    """Return what the role `report` printed, by path."""
    parts = _HEADER.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def attempts(printed: str, in_force: str | None = None, cause: str = "") -> tuple[Attempt, ...]:
    """Return the tries of one node in order; a journal that nobody began is none.

    Args:
        printed: what the role `report` printed.
        in_force: the journal as the planner reads it, for where ``printed`` has none that can be read.
        cause: why the move of this run failed. The last rollback is taken for its, if its journal does not tell.
    """
    texts = split(printed)
    current = timeline.read(texts.pop(JOURNAL, None)) or timeline.read(in_force)
    past = [journal for journal in map(timeline.read, texts.values()) if journal]
    past.sort(key=_generation)
    found = [attempt(journal, rolled_back=True) for journal in past if _is_begun(journal)]
    if found and cause and not _is_begun(current):
        found[-1] = attempt(past[-1], rolled_back=True, cause=cause)
    if _is_begun(current):
        found.append(attempt(current))
    return tuple(found)


def attempt(journal: Json, rolled_back: bool = False, cause: str = "") -> Attempt:
    """Return one try from its journal; ``cause`` is for a rollback whose journal has none."""
    happened = timeline.events(journal)
    failed = tuple(
        FailedStep(_text(step.get("name")), _text(step.get("stage")), _text(step.get("message")))
        for step in _steps(journal)
        if step.get("status") == "failed"
    )
    files = journal.get("files")
    units = journal.get("units")
    return Attempt(
        generation=_generation(journal),
        state=_text(journal.get("state")) or "docker",
        stages=stages(journal),
        events=tuple(Event(time, event) for time, event in happened),
        failed_steps=failed,
        out_of_service=_out_of_service(happened),
        rolled_back=rolled_back,
        cause=_noted_cause(journal) or cause if rolled_back else "",
        restored_files=tuple(sorted(map(str, files))) if rolled_back and isinstance(files, dict) else (),
        restored_units=tuple(sorted(map(str, units))) if rolled_back and isinstance(units, dict) else (),
    )


def _noted_cause(journal: Json) -> str:
    notes = journal.get("notes")
    return _text(notes.get(CAUSE_NOTE)) if isinstance(notes, dict) else ""


def stages(journal: Json) -> tuple[Stage, ...]:
    """Return the stages in order of time, each from its first sign to its end.

    A stage that did not come to its end ends where the way back began, and else is open.
    """
    events: dict[str, float] = {}
    for time, event in timeline.events(journal):
        events[event] = time  # of several, the last
    steps = _steps(journal)
    restored = _first_step(steps, "rollback")
    found = []

    def add(name: str, began: float | None, ended: float | None) -> None:
        if began is None:
            return
        if ended is not None and ended >= began:
            found.append(Stage(name, began, ended))
        else:
            later = restored if restored is not None and restored >= began and name != "restore" else None
            found.append(Stage(name, began, later, completed=False))

    add("prepare", _first_step(steps, "prepare"), events.get("prepared"))
    add("drain", events.get("drain started"), events.get("drained"))
    switched = _first_step(steps, "switch") is not None or "docker stopping" in events or "switched" in events
    add("switch", events.get("drained") if switched else None, events.get("switched"))
    add("verify", events.get("switched"), events.get("verified"))
    add("restore", restored, events.get("rolled back"))
    add("commit", _first_step(steps, "commit"), events.get("committed"))
    return tuple(sorted(found, key=lambda stage: stage.began))


def _out_of_service(happened: list[tuple[float, str]]) -> float | None:
    """Return for how long a node took no pods: until it was opened again, or was back on Docker."""
    known = timeline.out_of_service(happened)
    if known is not None:
        return known
    # A node that is rolled back is opened just before that is noted.
    opened = [(time, "uncordoned" if event == "rolled back" else event) for time, event in happened]
    return timeline.out_of_service(opened)


def _first_step(steps: list[Json], stage: str) -> float | None:
    return min(
        (
            started
            for step in steps
            if step.get("stage") == stage and (started := timeline.moment(step.get("started"))) is not None
        ),
        default=None,
    )


def _steps(journal: Json) -> list[Json]:
    steps = journal.get("steps")
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _generation(journal: Json) -> int:
    number = journal.get("generation")
    return number if isinstance(number, int) else 0


def _is_begun(journal: Json) -> bool:
    return bool(journal and (journal.get("timeline") or journal.get("steps") or journal.get("files")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
