"""How long a worker took no pods: from its cordon to its uncordon in the API, without the time that its pods took to go.

When the API shows pods as gone is the kubelet's affair: 1.20 with Docker takes them off it after its next collection of dead
containers, which it makes each minute from its start. So a drain of the same pods takes 8 to 70 s, by nothing but its moment.
"""

from moves import PODS, Moves
from record import Figure, Row

GATES = (
    "unshim's includes its gates (CRI, own pods, what a reboot would bring, a canary pod that runs, logs, resolves, connects and is "
    "deleted), the script's that the node's own pods are back"
)


def row(moves: Moves) -> Row:
    pairs = moves.pairs()
    drains = (
        Figure("unshim", tuple(ours.drain for ours, _ in pairs)),
        Figure("kubectl drain", tuple(theirs.drain for _, theirs in pairs)),
    )
    told = ", ".join(f"{one.name} {one.in_words('s')}" for one in drains)
    return Row(
        "whole outage of a worker: cordoned -> open again, verified, less its drain",
        Figure("unshim", tuple(ours.after_the_drain for ours, _ in pairs)),
        Figure("shell script", tuple(theirs.after_the_drain for _, theirs in pairs)),
        goal=1.5,
        notes=(GATES, f"the drains of {PODS} pods, from the cordon until the last was gone from the API: {told}"),
    )
