"""The fault matrix's results: rows gathered in build/faults.json over several runs, and the table made of them.

`python tests/faults/fault_table.py build docs/faults.md` makes the copy for the documentation.

A row is written for a fault that was injected and watched to its end, or says that it FAILED; never for another.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

FAULTS = set(range(1, 31))
HEAD = ("#", "fault", "where it was injected", "end state", "to a safe state", "data", "result", "when")


def add(directory: Path, row: dict):
    """Put a row into the table; an earlier one of the same number goes."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "faults.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = directory / "faults.json"
        rows = {one["number"]: one for one in (json.loads(path.read_text()) if path.exists() else [])}
        rows[row["number"]] = dict(row, when=time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
        ordered = [rows[number] for number in sorted(rows)]
        path.write_text(json.dumps(ordered, indent=1) + "\n")
        (directory / "faults.md").write_text(table(ordered))


def table(rows):
    lines = [
        "# Faults",
        "",
        "Written by the scenario `faults`: each fault was injected for real on the lab's nodes. Seconds run from the fault to",
        "the last moment at which the node was not Ready, closed for pods, or without a kubelet that answers; 0 means never.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for row in rows:
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f} s"
        cells = (
            row["number"], row["fault"], row["injected"], row["end_state"], seconds, row["data"], row["result"], row["when"],
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell).replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def document(rows):
    """Return the page for the documentation: the table, when it was made and on what."""
    when = sorted(row["when"][:10] for row in rows)
    lines = [
        "",
        f"Made from {when[0]} to {when[-1]}, on one machine with {os.cpu_count()} cores for all nodes of the lab, by:",
        "",
    ]
    lines += [f"- {made_on}" for made_on in sorted({row["on"] for row in rows if row.get("on")})]
    head, mark, body = table(rows).partition("\n\n| ")
    absent = sorted(FAULTS - {row["number"] for row in rows})
    end = [f"\nNot run to their end yet: {', '.join(map(str, absent))}.\n"] if absent else []
    return "".join([head, "\n", "\n".join(lines), mark, body, *end])


def random_kills(directory):
    """Return the story of the last run of test_random_kills.py that passed, "" if there is none."""
    records = sorted(directory.glob("faults/random-kills-*.txt"), key=lambda path: path.stat().st_mtime)
    if not records:
        return ""
    seed, *story = records[-1].read_text().splitlines()
    lines = ["", "## Killed at random", "", f"`test_random_kills.py` with {seed}; what was killed, and when:", ""]
    return "\n".join([*lines, *(f"- {one}" for one in story)]) + "\n"


if __name__ == "__main__":
    build = Path(sys.argv[1])
    rows = json.loads((build / "faults.json").read_text())
    Path(sys.argv[2]).write_text(document(rows) + random_kills(build))
