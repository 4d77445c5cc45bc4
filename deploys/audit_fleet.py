"""The audit of audit.py: ask every node, judge each as soon as it has answered, tell what was found.

gevent must have patched the standard library before this is imported.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

import command_line
import fleet
import gevent
import judges

from unshim import audit, audit_text, records
from unshim.audit_model import EXIT_CODES, Answer, Audit, Node, Sighting
from unshim.targets import Target


def run(options: argparse.Namespace, asked: subprocess.Popen[str]) -> int:
    """Audit the nodes that are meant, tell it as the options say, and return the exit code.

    Args:
        options: of audit.py.
        asked: the question for the inventory.

    Raises:
        targets.InventoryProblem: the inventory cannot be read.
    """
    # A connection that was given up is taken down by paramiko when Python ends, in a place where gevent cannot wait, and the
    # interpreter would print a traceback for each.
    sys.unraisablehook = lambda _: None
    found = command_line.read_targets(options, options.group, never_become=options.no_become, asked=asked)
    nodes = _look(found, options)
    made = audit.total(nodes, audit.utc(datetime.now(UTC)))
    try:
        _report(made, options)
    except OSError as error:
        print(f"audit: {options.json} could not be written: {error.strerror}", file=sys.stderr)
        return command_line.USAGE_ERROR
    return EXIT_CODES[made.severity]


def _look(found: list[Target], options: argparse.Namespace) -> list[Node]:
    """Return what the audit says of each node; one is judged as soon as it has answered, while others are asked."""
    progress = command_line.Progress(len(found))

    def errand(host: Any, target: Target) -> gevent.Greenlet[..., Node]:
        answer = fleet.ask(host, target, options.timeout)
        progress()
        return gevent.spawn(judged, answer, target)

    def judged(answer: Sighting | Answer, target: Target) -> Node:
        if isinstance(answer, Sighting):
            return audit.judge(answer, None, None)
        return beside.judge(answer, target.settings)

    with (
        tempfile.TemporaryDirectory(prefix="unshim-audit-") as directory,
        judges.sitting(judges.number(len(found)), options.with_facts) as beside,
    ):
        judging = fleet.visit(found, options.timeout, options.forks, Path(directory), errand)
        return [one.get() for one in judging]


def _report(made: Audit, options: argparse.Namespace) -> None:
    text = json.dumps(records.to_data(made), indent=1) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
        return
    if options.json:
        # Facts may hold a password: that file is its owner's alone, from the first byte on.
        mode = 0o600 if options.with_facts else 0o666
        with open(options.json, "w", opener=lambda path, flags: os.open(path, flags, mode)) as file:
            if options.with_facts:
                os.fchmod(file.fileno(), mode)
            file.write(text)
    is_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else 160
    sys.stdout.write(audit_text.render(made, width, colour=is_terminal and "NO_COLOR" not in os.environ))
