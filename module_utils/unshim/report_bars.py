"""The timelines of a report as bars: where each stage begins and how wide it is, in units of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .report_model import Attempt, NodeReport, Stage

WIDTH = 1000.0  # units of a whole bar
THINNEST = 3.0  # a stage that took a moment is seen all the same


@dataclass(frozen=True)
class Segment:
    """One stage in both pictures: beside the same of other nodes, and on the clock."""

    stage: Stage
    seconds: float
    x: float
    width: float
    clock_x: float
    clock_width: float


@dataclass(frozen=True)
class Bar:
    number: int  # of the node
    node: NodeReport
    attempt: Attempt
    segments: tuple[Segment, ...]

    @property
    def began(self) -> float:
        return min(stage.began for stage in self.attempt.stages)

    def seconds(self, stage: str) -> float | None:
        """Return how long a stage took, None if there was none or it has no end."""
        return next((s.ended - s.began for s in self.attempt.stages if s.name == stage and s.ended is not None), None)


@dataclass(frozen=True)
class Chart:
    bars: tuple[Bar, ...]
    longest: float = 0.0  # s; what a whole bar stands for
    began: float = 0.0
    ended: float = 0.0


def chart(nodes: Iterable[NodeReport]) -> Chart:
    """Return a bar for each try of each node that has a stage; nodes are numbered from 1."""
    rows = [
        (number, node, attempt)
        for number, node in enumerate(nodes, 1)
        for attempt in node.attempts
        if attempt.stages
    ]  # fmt: skip
    if not rows:
        return Chart(())
    began = min(stage.began for _, _, attempt in rows for stage in attempt.stages)
    ended = max(_last(attempt) for _, _, attempt in rows)
    longest = max(sum(_seconds(stage, attempt) for stage in attempt.stages) for _, _, attempt in rows) or 1.0
    span = max(ended - began, 1.0)
    bars = tuple(Bar(number, node, attempt, _segments(attempt, longest, began, span)) for number, node, attempt in rows)
    return Chart(bars, longest, began, ended)


def _segments(attempt: Attempt, longest: float, began: float, span: float) -> tuple[Segment, ...]:
    found, x = [], 0.0
    # What is wider than it is by THINNEST must not push others out of the picture.
    room = WIDTH - THINNEST * len(attempt.stages)
    for stage in attempt.stages:
        seconds = _seconds(stage, attempt)
        width = THINNEST + room * seconds / longest
        clock_x = (WIDTH - THINNEST) * (stage.began - began) / span
        clock_width = max(THINNEST, (WIDTH - THINNEST) * seconds / span)
        found.append(
            Segment(
                stage,
                seconds,
                *(round(value, 2) for value in (x, width, clock_x, min(clock_width, WIDTH - clock_x))),
            )
        )
        x += width
    return tuple(found)


def _seconds(stage: Stage, attempt: Attempt) -> float:
    return max(0.0, (stage.ended if stage.ended is not None else _last(attempt)) - stage.began)


def _last(attempt: Attempt) -> float:
    times = [event.time for event in attempt.events]
    times += [time for stage in attempt.stages for time in (stage.began, stage.ended) if time is not None]
    return max(times)
