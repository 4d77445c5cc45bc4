"""Commands that several rows time, each with the exit codes that it may end with."""

from __future__ import annotations

import sys
from pathlib import Path

import fleet
from timing import BIN, Contestant


def audit(inventory: Path, name: str = "audit") -> Contestant:
    """The audit; it ends with the severity of what it found, and machines without a kubelet are blocked."""
    return Contestant(name, [sys.executable, "deploys/audit.py", "-i", inventory, "--timeout", "900"], ends=(0, 1, 2))


def pyinfra_exec_true(inventory: Path, name: str = "pyinfra exec true") -> Contestant:
    """The least that pyinfra can do with a fleet, as many nodes at a time as the audit."""
    command = [BIN / "pyinfra", "-y", "--parallel", "50", fleet.for_pyinfra(inventory), "exec", "--", "true"]
    return Contestant(name, command)
