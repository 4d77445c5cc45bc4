"""How long a worker took no pods: from its cordon to its uncordon in the API, verified, with nothing slow to drain.

When the API shows pods as gone is the kubelet's affair: 1.20 takes them off it in the rounds it makes every 10 s, and those of which it
missed an end with Docker only after its next collection of dead containers, which it makes each minute. So the drain of the same pods
takes 10 to 70 s, by nothing but chance, and both competitors are given the quickest that either of them had.
"""

from moves import PODS, Moves
from record import Figure, Row

GATES = (
    "unshim's includes its gates (CRI, own pods, what a reboot would bring, a canary pod that runs, logs, resolves, connects and is "
    "deleted), the script's that the node's own pods are back"
)


def row(moves: Moves) -> Row:
    pairs = moves.pairs()
    quickest = min(move.drain for pair in pairs for move in pair)
    drains = (
        Figure("unshim", tuple(ours.drain for ours, _ in pairs)),
        Figure("kubectl drain", tuple(theirs.drain for _, theirs in pairs)),
    )
    told = ", ".join(f"{one.name} {one.in_words('s')}" for one in drains)
    return Row(
        "whole outage of a worker: cordoned -> open again, verified, with the quickest drain for both",
        Figure("unshim", tuple(ours.after_the_drain + quickest for ours, _ in pairs)),
        Figure("kubectl drain and shell script", tuple(theirs.after_the_drain + quickest for _, theirs in pairs)),
        goal=1.5,
        notes=(
            GATES,
            f"drains of {PODS} pods, from the cordon until the last was gone from the API: {told}; the quickest took {quickest:.2f} s",
        ),
    )
