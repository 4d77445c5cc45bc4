"""How long the API server of a cluster with one control-plane node did not answer while that node moved."""

import time

from bench_lab import PROBES_PER_SECOND, BenchLab
from competitors import ByHand, Unshim
from record import Figure, Row, take_turns


def row(lab: BenchLab, pairs: int) -> Row:
    node = lab.control_plane

    def outage_of(competitor: Unshim | ByHand) -> float:
        competitor.prepare(node)
        lab.settle()
        with lab.probing_the_api() as outage:
            began = time.time()
            competitor.move(node)
            time.sleep(1)
            seconds = outage(began, time.time())
        competitor.go_back(node)
        lab.settle()
        return seconds

    competitors = (Unshim(lab), ByHand(lab))
    for competitor in competitors:  # not counted, see moves.py
        outage_of(competitor)
    ours, theirs = take_turns(pairs, lambda: outage_of(competitors[0]), lambda: outage_of(competitors[1]))
    return Row(
        "control plane: API unavailable",
        Figure("unshim", ours),
        Figure("shell script", theirs),
        goal=1.2,
        notes=(f"asked {PROBES_PER_SECOND} times a second on the node itself",),
    )
