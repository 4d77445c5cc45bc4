"""The processors' time that one look takes on a node; this machine is the node."""

from __future__ import annotations

from timing import ROOT, Contestant, Row, in_turn

NODES, ROUNDS = 1, 20


def measure(nodes: int = NODES, rounds: int = ROUNDS) -> Row:
    del nodes
    plain = ["env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"]
    probe = Contestant("probe.sh", [*plain, "sh", ROOT / "module_utils/unshim/probe.sh"])
    in_turn((probe,), rounds)
    return Row(
        "Processor time of one probe",
        "With whatever Docker, containerd and package manager this machine has.",
        (probe,),
        (),
    )
