"""How long no kubelet ran on a worker: from systemd's "Stopping kubelet" to Ready on containerd in the API."""

from moves import Moves
from record import Figure, Row


def row(moves: Moves) -> Row:
    pairs = moves.pairs()
    return Row(
        "runtime gap of a worker: kubelet stopped -> Ready on containerd",
        Figure("unshim", tuple(ours.gap for ours, _ in pairs)),
        Figure("shell script", tuple(theirs.gap for _, theirs in pairs)),
        goal=1.2,
    )
