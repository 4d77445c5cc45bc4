"""What the audit costs the controller alone, and how that grows: the nodes answer at once with a recorded probe."""

from __future__ import annotations

import sys
from pathlib import Path

import fleet
from timing import BIN, Contestant, Goal, Row, in_turn, seconds

NODES, ROUNDS, MANY, TARGETS = 200, 3, 1000, 200


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    many = nodes * MANY // NODES
    with fleet.recorded(nodes, many, targets=min(nodes, TARGETS)) as (some, all_):

        def audit(number: int, inventory: Path) -> Contestant:
            # A node with blockers gives the second code.
            command = [sys.executable, "deploys/audit.py", "-i", inventory, "--timeout", "900"]
            return Contestant(f"audit, {number} nodes", command, ends=(0, 1, 2))

        few, lots = audit(nodes, some), audit(many, all_)
        nothing = [BIN / "pyinfra", "-y", "--parallel", "50", fleet.for_pyinfra(some), "exec", "--", "true"]
        exec_true = Contestant(f"pyinfra exec true, {nodes} nodes", nothing)
        in_turn((few, exec_true, lots), rounds)
    return Row(
        "The audit's own cost, without the nodes'",
        f"SSH targets that answer whatever they are asked with a recorded probe; {many} names are {min(nodes, TARGETS)} targets.",
        (few, exec_true, lots),
        (
            Goal("times pyinfra exec true", few.median(seconds) / exec_true.median(seconds), 1.5),
            Goal(
                f"times {nodes} nodes' time per node with {many}",
                (lots.median(seconds) / many) / (few.median(seconds) / nodes),
                1.1,
            ),
        ),
    )
