"""The audit of a fleet beside the least that pyinfra can do with it, and beside Ansible's own ways to look at it."""

from __future__ import annotations

import contestants
import fleet
from timing import BIN, Contestant, Goal, Row, in_turn, seconds

NODES, ROUNDS = 200, 3


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    with fleet.inventory(nodes) as path:
        adhoc = [BIN / "ansible", "-i", path, "all", "--become", "-m"]
        audit = contestants.audit(path)
        setup = Contestant("ansible -m setup", [*adhoc, "setup"])
        exec_true = contestants.pyinfra_exec_true(path)
        in_turn((audit, setup, exec_true), rounds)
    took = audit.median(seconds)
    return Row(
        f"Audit of {nodes} nodes",
        "SSH targets on this machine, 50 at a time: what the probe does on each of them shares these processors.",
        (audit, setup, exec_true),
        (
            Goal("times pyinfra exec true", took / exec_true.median(seconds), 1.5),
            Goal("times as fast as ansible -m setup", setup.median(seconds) / took, 8, at_least=True),
        ),
    )
