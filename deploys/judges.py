"""Processes that read and judge what nodes answered, while this one talks to the nodes.

gevent must have patched the standard library before this is imported: what waits for a process would keep all nodes waiting.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
from gevent.queue import SimpleQueue

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim import audit, records
from unshim.audit_model import Answer, Node
from unshim.plan_model import Settings

#: A process needs a third of a second to start, in which twenty nodes are judged.
NODES_EACH = 20
#: Seconds for one answer, which takes some hundredths.
PATIENCE = 60


def number(nodes: int) -> int:
    """Return how many processes are worth it for so many nodes; none for a few."""
    return min(len(os.sched_getaffinity(0)), nodes // NODES_EACH)


class Judges:
    """Some processes, none of which may be given two answers at a time; without any, the judging is done here."""

    def __init__(self, number: int, with_facts: bool) -> None:
        self._with_facts = with_facts
        self._number = number
        self._idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for _ in range(number):
            self._idle.put(self._start())

    def judge(self, answer: Answer, settings: Settings) -> Node:
        """Return what the audit says of a node."""
        if not self._number:
            return audit.of_answer(answer, settings, self._with_facts)
        process = self._idle.get()
        said = _asked(process, {"answer": records.to_data(answer), "settings": records.to_data(settings)})
        if said:
            self._idle.put(process)
            return records.from_data(Node, json.loads(said))
        process.kill()  # unless it has ended
        code = process.wait()
        self._idle.put(self._start())
        return audit.no_probe(
            answer.sighting, f"what it answered ended or held up the process that judges it ({code}); please report it"
        )

    def end(self) -> None:
        """End the processes; none of them is judging."""
        while not self._idle.empty():
            process = self._idle.get()
            process.communicate()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("judge.py"))]
        if self._with_facts:
            command.append("--with-facts")
        return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _asked(process: subprocess.Popen[str], question: Any) -> str:
    """Return the line a process answers with, "" if it ended or does not answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    with gevent.Timeout(PATIENCE, False):
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return ""
        return process.stdout.readline()
    return ""


@contextmanager
def sitting(number: int, with_facts: bool) -> Iterator[Judges]:
    """Have some judges as long as the block takes."""
    judges = Judges(number, with_facts)
    try:
        yield judges
    finally:
        judges.end()
