"""plan.yml of a fleet beside a bare ping of it."""

from __future__ import annotations

import fleet
from timing import BIN, Contestant, Goal, Row, in_turn, seconds

NODES, ROUNDS = 50, 3


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    with fleet.inventory(nodes) as path:
        forks = ["-i", path, "-f", "20"]
        # These machines have no kubelet, so each is told that it is blocked, which fails.
        plan = Contestant("plan.yml", [BIN / "ansible-playbook", *forks, "playbooks/plan.yml"], ends=(2,))
        ping = Contestant("ansible -m ping", [BIN / "ansible", *forks, "all", "--become", "-m", "ping"])
        in_turn((plan, ping), rounds)
    took = plan.median(seconds)
    return Row(
        f"plan.yml of {nodes} nodes",
        "SSH targets on this machine, 20 forks. They are blocked before the cluster is asked for the node.",
        (plan, ping),
        (Goal("s per node", took / nodes, 0.4),),
    )
