"""Preparing several nodes at once against preparing one, from the first step in a node's journal to the last "prepared"."""

import os

from bench_lab import BenchLab
from competitors import Unshim
from record import Figure, Row, take_turns

NODES = 4


def row(lab: BenchLab, pairs: int) -> Row:
    unshim = Unshim(lab)
    nodes = lab.workers[:NODES]
    used: dict[int, list[float]] = {1: [], len(nodes): []}

    def prepared(chosen: tuple[str, ...]) -> float:
        for node in chosen:
            lab.remove_images(node)
        lab.settle()
        before = lab.processor_seconds()
        unshim.prepare(*chosen)
        used[len(chosen)].append(lab.processor_seconds() - before)
        journals = [lab.journal(node) for node in chosen]
        began = min(step["started"] for journal in journals for step in journal["steps"])
        ended = max(e["time"] for journal in journals for e in journal["timeline"] if e["event"] == "prepared")
        unshim.go_back(*chosen)
        return float(ended - began)

    for chosen in (nodes, nodes[:1]):  # not counted
        prepared(chosen)
    several, one = take_turns(pairs, lambda: prepared(nodes), lambda: prepared(nodes[:1]))
    cores = os.cpu_count() or 1
    processors = min(used[len(nodes)])
    note = (
        f"{len(nodes)} nodes use {processors:.1f} s of processor, which {cores} cores cannot do in less than "
        f"{processors / cores:.1f} s; one node uses {min(used[1]):.1f} s"
    )
    return Row(
        f"prepare: {len(nodes)} nodes at once, of {len(lab.workers)} on {cores} cores",
        Figure("unshim", several),
        Figure("one node", one),
        goal=1.5,
        notes=(note,),
    )
