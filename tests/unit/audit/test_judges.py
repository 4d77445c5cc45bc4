"""The audit's judging, here and in processes beside: whatever a node answered, there is a word on it and on all others."""

import base64
import gzip
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "deploys"))

import judges

from unshim import audit, observe, probe_command
from unshim.audit_model import Answer, Sighting
from unshim.plan_model import Settings

PROBES = sorted((ROOT / "tests/data/probes").glob("*.probe"))
SIGHTING = Sighting("n1", "seen", "", 0.3)


def answer(probe):
    content = base64.encodebytes(gzip.compress(probe.read_bytes())).decode()
    return Answer(
        replace(SIGHTING, node=probe.stem), f"{probe_command.PACKED}\n{content}{probe_command.PACKED_END}\n", "café"
    )


@pytest.mark.parametrize("with_facts", [False, True])
def test_a_process_says_what_is_said_here(with_facts):
    settings = Settings(containerd_version="1.6")
    with judges.sitting(2, with_facts) as beside, judges.sitting(0, with_facts) as here:
        for probe in PROBES:
            said = beside.judge(answer(probe), settings)
            assert said == here.judge(answer(probe), settings)
            facts = observe.parse(probe.read_bytes().decode("utf-8", "surrogateescape"))
            reason = "café" if facts.uid != 0 else ""
            assert said == audit.of_facts(
                replace(SIGHTING, node=probe.stem, reason=reason), facts, settings, with_facts
            )


def test_an_answer_that_ends_its_process_costs_no_other_node_its_word():
    with judges.sitting(1, False) as beside:
        process = beside._idle.peek()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        node = beside.judge(answer(PROBES[0]), Settings())
        assert (node.status, node.verdict) == ("no-probe", "unknown")
        assert "ended or held up the process that judges it (-9)" in node.summary
        assert beside.judge(answer(PROBES[1]), Settings()).node == PROBES[1].stem


HELD_UP = """
from gevent import monkey
monkey.patch_all()
import subprocess, sys, time
sys.path[:0] = [{deploys!r}, {modules!r}]
import judges
from unshim.audit_model import Answer, Sighting
from unshim.plan_model import Settings
judges.PATIENCE = 0.5
whole = judges.Judges._start
judges.Judges._start = lambda self: subprocess.Popen(["sleep", "600"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
beside = judges.Judges(1, False)
judges.Judges._start = whole
for name in ("n1", "n2"):
    judges.PATIENCE = 0.5 if name == "n1" else 60
    print(beside.judge(Answer(Sighting(name, "seen"), ""), Settings()).summary)
beside.end()
"""


def test_an_answer_that_holds_up_its_process_costs_no_other_node_its_word():
    code = HELD_UP.format(deploys=str(ROOT / "deploys"), modules=str(ROOT / "module_utils"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    first, second = done.stdout.splitlines()
    assert "n1: no probe: what it answered ended or held up the process" in first
    assert "n2: no probe: the probe did not run" in second


def test_processes_end_with_their_block():
    with judges.sitting(2, False) as beside:
        process = beside._idle.peek()
        assert process.poll() is None
    assert process.poll() == 0


def test_a_fault_of_ours_is_said_of_the_node_it_befell(monkeypatch):
    def fault(*_):
        raise KeyError("never say this, it may be a secret")

    monkeypatch.setattr(audit.plan, "make", fault)
    node = audit.of_answer(answer(PROBES[0]), Settings())
    assert node.status == "no-probe"
    assert "unshim failed at what it saw (KeyError in test_judges.py:" in node.summary
    assert "secret" not in str(node)


@pytest.mark.parametrize(
    ("output", "says"),
    [("", "probe did not run"), (f"{probe_command.PACKED}\nH4sI", "cut off"), ("bash: sudo: x", "probe did not run")],
)
def test_an_answer_that_is_none_is_told_with_what_the_node_said(output, says):
    node = audit.of_answer(Answer(SIGHTING, output, "this account is closed"), Settings())
    assert (node.status, node.severity, node.elapsed) == ("no-probe", "unknown", 0.3)
    assert says in node.reason
    assert node.reason.endswith("(the node said: this account is closed)")


def test_a_few_nodes_are_judged_here():
    assert judges.number(judges.NODES_EACH - 1) == 0
    assert judges.number(judges.NODES_EACH) == 1
    assert judges.number(10_000) == len(os.sched_getaffinity(0))
