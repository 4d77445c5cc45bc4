"""The controller's memory with a big fleet: the biggest of its processes at its peak."""

from __future__ import annotations

import contestants
import fleet
from timing import BIN, Contestant, Row, in_turn

NODES, ROUNDS, TARGETS = 500, 1, 25


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    with fleet.inventory(nodes, targets=min(nodes, TARGETS)) as path:
        measured = (
            contestants.audit(path),
            Contestant("plan.yml", [BIN / "ansible-playbook", "-i", path, "playbooks/plan.yml"], ends=(2,)),
            Contestant("ansible -m ping", [BIN / "ansible", "-i", path, "all", "--become", "-m", "ping"]),
        )
        in_turn(measured, rounds)
    return Row(
        f"Controller's memory at {nodes} nodes",
        f"{nodes} names of {min(nodes, TARGETS)} SSH targets on this machine. Forks share most of the controller's memory.",
        measured,
        (),
    )
