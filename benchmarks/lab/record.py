"""What a benchmark found, and whether that meets its goal. Pure.

Everything is compared within one run on one machine, the two competitors taking turns at who goes first, and told as a
ratio: absolute times say more about the machine than about the code.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

Measure = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """What one competitor took, run by run."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def in_words(self, unit: str) -> str:
        return f"{self.median:.2f} {unit} ({min(self.values):.2f} to {max(self.values):.2f})"


@dataclass(frozen=True)
class Row:
    """One line of RESULTS.md.

    Args:
        ours: what unshim took.
        theirs: what is beside it, pair by pair; None where the goal is a figure and no ratio.
        goal: the greatest ratio, or the greatest median, that is good enough.
        notes: what else was seen, a sentence each.
    """

    measure: str
    ours: Figure
    theirs: Figure | None
    goal: float
    unit: str = "s"
    notes: tuple[str, ...] = ()

    @property
    def results(self) -> tuple[float, ...]:
        """The ratio of each pair, or our own figures where there is nothing beside them."""
        if self.theirs is None:
            return self.ours.values
        return tuple(a / b for a, b in zip(self.ours.values, self.theirs.values, strict=True))

    @property
    def result(self) -> float:
        return statistics.median(self.results)

    @property
    def is_met(self) -> bool:
        return self.result <= self.goal

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "result": self.result, "results": self.results, "met": self.is_met}


def row_from(data: dict[str, Any]) -> Row:
    """Return a row from :meth:`Row.as_data`, as JSON gives it back."""

    def figure(given: dict[str, Any] | None) -> Figure | None:
        return None if given is None else Figure(given["name"], tuple(given["values"]))

    ours = figure(data["ours"])
    assert ours is not None
    return Row(data["measure"], ours, figure(data["theirs"]), data["goal"], data["unit"], tuple(data["notes"]))


def turns(pairs: int) -> Iterator[tuple[int, int]]:
    """Yield who goes first in each pair: whatever the machine is doing at the time favours nobody."""
    for number in range(pairs):
        yield (0, 1) if number % 2 == 0 else (1, 0)


def take_turns(pairs: int, ours: Measure, theirs: Measure) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure both ``pairs`` times and return (ours, theirs), pair by pair."""
    taken: tuple[list[float], list[float]] = ([], [])
    for order in turns(pairs):
        for who in order:
            taken[who].append((ours, theirs)[who]())
    return tuple(taken[0]), tuple(taken[1])


@dataclass
class Report:
    """The rows of a run and what they were measured on."""

    command: str
    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the section of RESULTS.md."""
        lines = [f"`{self.command}`", ""]
        lines += [f"- {name}: {said}" for name, said in self.machine.items()]
        lines += ["", "| measure | unshim | beside it | result | goal | |", "|---|---|---|---|---|---|"]
        for row in self.rows:
            beside = "" if row.theirs is None else f"{row.theirs.name}: {row.theirs.in_words(row.unit)}"
            how = "x" if row.theirs else row.unit
            result = f"{row.result:.2f} {how} ({min(row.results):.2f} to {max(row.results):.2f})"
            met = "met" if row.is_met else "**missed**"
            ours = row.ours.in_words(row.unit)
            lines.append(f"| {row.measure} | {ours} | {beside} | {result} | <= {row.goal:g} {how} | {met} |")
        runs = sorted({len(row.ours.values) for row in self.rows})
        told = " or ".join(str(number) for number in runs) or "no"
        lines += ["", f"Medians of {told} runs, least and greatest in brackets; a result is the median of the pairs'."]
        notes = [f"- {row.measure}: {note}" for row in self.rows for note in row.notes]
        return "\n".join(lines + ([""] + notes if notes else [])) + "\n"
