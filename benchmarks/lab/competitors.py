"""Who is compared: unshim's playbooks, and the shell script of benchmarks/by_hand. Both move one node and take it back."""

from __future__ import annotations

import os
from pathlib import Path

from bench_lab import ROOT, BenchLab

BY_HAND = ROOT / "benchmarks/by_hand"
PROFILE = "unshim_progress,ansible.posix.profile_tasks"


class Unshim:
    name = "unshim"

    def __init__(self, lab: BenchLab) -> None:
        self.lab = lab
        self._moves = 0

    def prepare(self, *nodes: str) -> None:
        self.lab.ansible("playbooks/migrate.yml", "--limit", ",".join(nodes), "--tags", "prepare")

    def move(self, node: str) -> None:
        """Move a node; how long each task took is left in build/bench, for whoever asks where the time goes."""
        environment = {"ANSIBLE_CALLBACKS_ENABLED": PROFILE} if os.environ.get("BENCH_PROFILE") else {}
        said = self.lab.ansible("playbooks/migrate.yml", "--limit", node, **environment)
        self._moves += 1
        (self.lab.records / f"move-{self._moves}-{node}.log").write_text(said)

    def go_back(self, *nodes: str) -> None:
        self.lab.ansible("playbooks/rollback.yml", "--limit", ",".join(nodes))


class ByHand:
    name = "shell script"

    def __init__(self, lab: BenchLab) -> None:
        self.lab = lab

    def prepare(self, node: str) -> None:
        self.lab.on(node, on_node("prepare"))

    def move(self, node: str) -> None:
        self._run(node)

    def go_back(self, node: str) -> None:
        self._run("--back", node)

    def _run(self, *arguments: str) -> None:
        command: list[str | Path] = ["bash", BY_HAND / "move.sh", *arguments]
        self.lab.run(command, NODE_SHELL="docker exec -i", KUBECTL=self.lab.kubectl_words())


def on_node(*arguments: str) -> str:
    """Return by_hand/node.sh as a script that has its arguments in it."""
    return f"set -- {' '.join(arguments)}\n{(BY_HAND / 'node.sh').read_text()}"
