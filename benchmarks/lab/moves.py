"""One worker is moved by both competitors, there and back, pair by pair: what several rows are read from."""

from __future__ import annotations

import time
from dataclasses import dataclass

import moments
from bench_lab import BenchLab
from competitors import ByHand, Unshim
from record import turns

PODS = 6


@dataclass(frozen=True)
class Move:
    """What one move of a worker took, in seconds."""

    gap: float  # kubelet stopped -> Ready on containerd
    outage: float  # cordoned -> open again
    drain: float  # cordoned -> the last pod gone from the API; a part of the outage

    @property
    def after_the_drain(self) -> float:
        return self.outage - self.drain


def move_worker(lab: BenchLab, competitor: Unshim | ByHand, node: str, pods: int = PODS) -> Move:
    """Move a worker with ``pods`` pods to drain, and take it back; both are prepared before the clock starts."""
    competitor.prepare(node)
    lab.put_crowd(node, pods)
    began = time.time()
    with lab.watching(node) as (seen, gone):
        competitor.move(node)
        lab.wait_until(lambda: seen[-1].runtime == "containerd" and not seen[-1].closed, f"{node} has moved")
    stopped = lab.kubelet_stopped(node, began)
    closed, opened = moments.closed_for(seen, began)
    drain = moments.drained_for(gone, closed, opened) if pods else 0.0
    result = Move(moments.ready_on(seen, "containerd", stopped) - stopped, opened - closed, drain)
    lab.wait_for_pods(node)
    competitor.go_back(node)
    lab.settle()
    return result


class Moves:
    """The pairs of moves, made when the first row asks for them."""

    def __init__(self, lab: BenchLab, pairs: int) -> None:
        self._lab, self._pairs = lab, pairs
        self._made: list[tuple[Move, Move]] = []

    def pairs(self) -> list[tuple[Move, Move]]:
        """Return (unshim's, the script's) of each pair."""
        competitors = (Unshim(self._lab), ByHand(self._lab))
        node = self._lab.workers[-1]
        if not self._made:
            # Not counted: the images come over, and every program is read from the disk once.
            for competitor in competitors:
                move_worker(self._lab, competitor, node)
            for order in turns(self._pairs):
                made = {who: move_worker(self._lab, competitors[who], node) for who in order}
                self._made.append((made[0], made[1]))
        return self._made
