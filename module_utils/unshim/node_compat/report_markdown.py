"""A run as Markdown, for people and tickets, and as the few lines a terminal gets."""

from __future__ import annotations

from collections.abc import Iterator

from ..report_text import visible
from .model import OUTCOMES, Result, Run
from .registry import BY_ID, GROUPS

LONGEST = 400  # characters of evidence in a table's cell


def render(run: Run) -> str:
    return "".join(_parts(run))


def _parts(run: Run) -> Iterator[str]:
    yield f"# Compatibility of {_cell(run.node)} on {_cell(run.runtime)} {_cell(run.runtime_version)}\n\n"
    yield f"Kubelet {_cell(run.kubelet_version)}, image {_cell(run.image or 'none')}, {_cell(run.taken)}. "
    yield (
        f"Compared with {_cell(run.compared_with)}.\n\n"
        if run.compared_with
        else "Not compared with an earlier run.\n\n"
    )
    yield f"{counted(run)}.\n"
    results = {result.id: result for result in run.results}
    for group, checks in GROUPS.items():
        rows = [results[check.id] for check in checks if check.id in results]
        if rows:
            yield f"\n## {group}\n\n| check | | before | what was seen |\n|---|---|---|---|\n"
            yield from (_row(row) for row in rows)


def _row(result: Result) -> str:
    before = OUTCOMES.get(result.before, "")
    outcome = OUTCOMES[result.outcome]
    if result.is_regression:
        outcome = f"**{outcome}**"
    return f"| {result.id} {BY_ID[result.id].title} | {outcome} | {before} | {_cell(result.evidence)} |\n"


def _cell(text: str) -> str:
    """Return text from a node so that nothing in it means anything to Markdown."""
    line = " ".join(visible(text).split())
    if len(line) > LONGEST:
        line = line[: LONGEST - 1] + "…"
    for character in "\\`*_{}[]<>|#":
        line = line.replace(character, "\\" + character)
    return line


def counted(run: Run) -> str:
    """Return how many checks came to what: "30 ok, 4 differ as documented, ..."."""
    count = run.count()
    was = count["broken"] - len(run.regressions)
    told = [f"{count['ok']} ok", f"{count['differs']} differ as documented", f"{count['broken']} broken"]
    told[-1] += f" ({was} of them before, too)" if was else ""
    return ", ".join([*told, f"{count['not-shown']} not shown"])


def summary(run: Run) -> str:
    """Return the run for a terminal: what is broken, what differs, and why what was not shown was not."""
    lines = [f"{run.node} on {run.runtime} {run.runtime_version}: {counted(run)}"]
    if run.compared_with:
        lines[0] += f"; compared with {run.compared_with}"
    for outcome in ("broken", "differs", "not-shown"):
        for result in run.results:
            if result.outcome == outcome:
                again = " (as before)" if result.outcome == "broken" and not result.is_regression else ""
                lines.append(f"{result.id} {OUTCOMES[outcome]}{again}: {BY_ID[result.id].title}: {result.evidence}")
    return "\n".join(lines)
