"""What the benchmarks share: commands timed in turn, and a row of RESULTS.md made of it."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
Command = Sequence[str | Path]


@dataclass(frozen=True)
class Run:
    """One run of a command; the processor's time and the memory are those of its children, too, that it waited for."""

    seconds: float
    processor: float
    memory: float  # MiB of the biggest process at its peak


@dataclass(frozen=True)
class Contestant:
    """A command, how it may end, and its runs."""

    name: str
    command: Command
    ends: tuple[int, ...] = (0,)
    runs: list[Run] = field(default_factory=list)

    def median(self, value: Callable[[Run], float]) -> float:
        return statistics.median(value(run) for run in self.runs)

    def spread(self, value: Callable[[Run], float]) -> str:
        values = [value(run) for run in self.runs]
        return f"{min(values):.2f} to {max(values):.2f}"


@dataclass(frozen=True)
class Goal:
    """What was to be reached: a figure, and the most or the least that it may be."""

    what: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass(frozen=True)
class Row:
    """One measure of RESULTS.md."""

    title: str
    method: str
    contestants: tuple[Contestant, ...]
    goals: tuple[Goal, ...]


def seconds(run: Run) -> float:
    return run.seconds


def processor(run: Run) -> float:
    return run.processor


def memory(run: Run) -> float:
    return run.memory


def in_turn(contestants: Sequence[Contestant], rounds: int) -> None:
    """Run all of them so many times, one after the other, so that what else the machine does meets each alike."""
    for _ in range(rounds):
        for contestant in contestants:
            contestant.runs.append(_run(contestant))


def _run(contestant: Contestant) -> Run:
    with tempfile.TemporaryDirectory() as connections, tempfile.TemporaryFile("w+") as said:
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": connections,  # no run finds the connections of another
        }
        began = time.perf_counter()
        process = subprocess.Popen(
            contestant.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in contestant.ends:
            said.seek(0)
            command = shlex.join(map(str, contestant.command))
            sys.exit(f"{contestant.name} ended with {process.returncode}: {command}\n{said.read()[-2000:]}")
    return Run(took, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
