"""How long a worker took no pods: from its cordon to its uncordon in the API, with pods that leave at once."""

from moves import PODS, Moves
from record import Figure, Row

NOTE = (
    f"{PODS} pods to drain; unshim's includes its gates (CRI, own pods, what a reboot would bring, a canary pod that runs, logs, "
    "resolves, connects and is deleted), the script's that the node's own pods are back"
)


def row(moves: Moves) -> Row:
    pairs = moves.pairs()
    return Row(
        "whole outage of a worker: cordoned -> open again, verified",
        Figure("unshim", tuple(ours.outage for ours, _ in pairs)),
        Figure("kubectl drain and shell script", tuple(theirs.outage for _, theirs in pairs)),
        goal=1.5,
        notes=(NOTE,),
    )
