"""What the deploys did not foresee: a line, and an exit code that is not that of a warning."""

import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "deploys"))

import command_line


def test_a_fault_is_told_in_a_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["deploys/audit.py"])

    def main():
        raise KeyError("kubelet")

    assert command_line.without_traceback(main) == 70
    said = capsys.readouterr().err
    assert said.startswith("audit: unshim itself failed, please report it: KeyError in test_own_fault.py:")
    assert said.count("\n") == 1


def test_who_ends_it_is_told_so(capsys):
    def main():
        raise KeyboardInterrupt

    assert command_line.without_traceback(main) == 128 + signal.SIGINT
    assert "Traceback" not in capsys.readouterr().err


def test_codes_are_passed_on():
    assert command_line.without_traceback(lambda: 3) == 3
