"""What the audit costs the controller alone, and how that grows: the nodes answer at once with a recorded probe."""

from __future__ import annotations

import contestants
import fleet
from timing import Goal, Row, in_turn, seconds

NODES, ROUNDS, MANY, TARGETS = 200, 3, 1000, 200


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    many = nodes * MANY // NODES
    with fleet.recorded(nodes, many, targets=min(nodes, TARGETS)) as (some, all_):
        few = contestants.audit(some, f"audit, {nodes} nodes")
        lots = contestants.audit(all_, f"audit, {many} nodes")
        exec_true = contestants.pyinfra_exec_true(some, f"pyinfra exec true, {nodes} nodes")
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
