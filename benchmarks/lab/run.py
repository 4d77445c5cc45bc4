"""Time unshim on the lab against what people would do instead, and write benchmarks/RESULTS.md. `make bench-lab` calls it.

The lab of --inventory has to be up, with every node on Docker; it is left so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import control_plane_outage
import growth
import image_carry_over
import migrated_fleet
import prepare_in_parallel
import worker_gap
import worker_outage
from bench_lab import BenchLab
from moves import Moves
from record import Report, Row
from results_page import write_section

PLOT = "\n![How cost grows with images, pods and nodes](../docs/img/bench-growth.svg)\n"


def rows(lab: BenchLab, pairs: int) -> dict[str, Callable[[], Row]]:
    """Return what makes each row, by the name of its file."""
    moves = Moves(lab, pairs)
    return {
        "image_carry_over": lambda: image_carry_over.row(lab, pairs),
        "prepare_in_parallel": lambda: prepare_in_parallel.row(lab, pairs),
        "worker_gap": lambda: worker_gap.row(moves),
        "worker_outage": lambda: worker_outage.row(moves),
        "control_plane_outage": lambda: control_plane_outage.row(lab, pairs),
        "migrated_fleet": lambda: migrated_fleet.row(lab, pairs),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inventory", default="inventory/lab-bench")
    parser.add_argument("--pairs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--rows", default="", help="names of the files whose rows to measure, with commas; else all")
    parser.add_argument("--no-growth", action="store_true", help="leave the plot as it is")
    options = parser.parse_args()
    lab = BenchLab(options.inventory)
    known = rows(lab, options.pairs)
    chosen = options.rows.split(",") if options.rows else list(known)
    if wrong := [name for name in chosen if name not in known]:
        parser.error(f"there is no row {', '.join(wrong)}; the rows are {', '.join(known)}")
    command = f"python benchmarks/lab/run.py --inventory {options.inventory} --pairs {options.pairs}"
    report = Report(command + (f" --rows {options.rows}" if options.rows else ""), lab.versions())
    for name in chosen:
        began = time.monotonic()
        row = known[name]()
        report.rows.append(row)
        verdict = "met" if row.is_met else "missed"
        print(f"{row.measure}: {row.result:.2f}, goal {row.goal:g}, {verdict} ({time.monotonic() - began:.0f} s)")
        lab.remember("rows", [one.as_data() for one in report.rows])
        write_section("bench-lab", "On the lab", report.markdown())
    if not options.no_growth and not options.rows:
        charts = growth.measure(lab)
        growth.save(charts, lab.records / "growth.json")
        growth.draw(charts)
        write_section("bench-lab", "On the lab", report.markdown() + PLOT)
    print(json.dumps({row.measure: row.is_met for row in report.rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
