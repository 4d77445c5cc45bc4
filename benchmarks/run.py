"""Measure what needs no lab: the rows that are named, all if none is. Rows that were not measured keep their last figures in RESULTS.md."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import shlex
from datetime import UTC, datetime

from results_page import PAGE, section_of, write_section
from timing import BIN, ROOT, Contestant, Row, memory, processor, seconds

ROWS = ("probe", "observe", "plan", "audit", "audit_growth", "memory")  # a file each
SECTION = "bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    parser.add_argument("--nodes", type=int, help="another number of nodes than the goal's")
    parser.add_argument("--rounds", type=int, help="another number of rounds")
    options = parser.parse_args()
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    sections = _last()
    given = {name: value for name in ("nodes", "rounds") if (value := getattr(options, name)) is not None}
    for name in options.rows or ROWS:
        row = importlib.import_module(name).measure(**given)
        sections[name] = _section(row, name, given)
        print(sections[name], flush=True)
        text = "\n".join(f"<!-- row: {one} -->\n{sections[one]}" for one in ROWS if one in sections)
        write_section(SECTION, "On the controller", text)


def _last() -> dict[str, str]:
    text = section_of(PAGE.read_text(encoding="utf-8"), SECTION) if PAGE.exists() else ""
    parts = re.split(r"<!-- row: (\w+) -->\n", text)[1:]
    return {name: f"{section.strip()}\n" for name, section in zip(parts[::2], parts[1::2], strict=True)}


def _section(row: Row, name: str, given: dict[str, int]) -> str:
    rounds = len(row.contestants[0].runs)
    flags = "".join(f" --{option} {value}" for option, value in given.items())
    lines = [
        f"### {row.title}",
        "",
        f"{row.method} `python benchmarks/run.py {name}{flags}`, {rounds} rounds, {_machine()}.",
        "",
        "| what | median | spread | processors | memory | command |",
        "|---|---|---|---|---|---|",
        *(_line(contestant) for contestant in row.contestants),
        "",
    ]
    if row.goals:
        lines += ["| figure | goal | |", "|---|---|---|"]
    for goal in row.goals:
        bound = "at least" if goal.at_least else "at most"
        verdict = "reached" if goal.reached else "missed"
        lines.append(f"| {goal.figure:.2f} {goal.what} | {bound} {goal.limit:g} | {verdict} |")
    return "\n".join([*lines, ""] if row.goals else lines)


def _line(contestant: Contestant) -> str:
    command = " ".join(_word(str(word)) for word in contestant.command)
    return (
        f"| {contestant.name} | {contestant.median(seconds):.2f} s | {contestant.spread(seconds)} | "
        f"{contestant.median(processor):.2f} s | {contestant.median(memory):.0f} MiB | `{command}` |"
    )


def _word(word: str) -> str:
    """Return a word of a command without the directories of this machine."""
    if word.startswith((f"{BIN}/", f"{ROOT}/")):
        return word.rpartition("/")[2] if word.startswith(f"{BIN}/") else word.removeprefix(f"{ROOT}/")
    if re.match(r"/tmp/.*inventory", word):
        return "INVENTORY"
    return word.rpartition("/")[2] if word.startswith("/tmp/") else shlex.quote(word)


def _machine() -> str:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = re.sub(r"[^0-9.].*$", "", platform.release())
    load = os.getloadavg()[1]
    return (
        f"{os.cpu_count()} cores, {gigabytes:.0f} GiB, Linux {release}, Python {platform.python_version()}, "
        f"load {load:.1f}, {datetime.now(UTC):%Y-%m-%d}"
    )


if __name__ == "__main__":
    main()
