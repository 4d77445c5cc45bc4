#!/usr/bin/env python3
"""Audit a fleet: what every node runs on, whether it can be moved, and what stands in the way. Changes nothing anywhere.

One command per node, through pyinfra; the nodes need a shell and no Python. The inventory is Ansible's.
"""

from gevent import monkey

monkey.patch_all()

import argparse
import getpass
import json
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

import ansible_inventory
import fleet

from unshim import audit, audit_text, records, targets
from unshim.audit_model import EXIT_CODES, Audit, Sighting

USAGE_ERROR = 64  # EX_USAGE of sysexits.h: nothing was audited

CODES = """exit codes (those of monitoring plugins):
  0  every node was seen and can be moved, or is moved already
  1  the same, with warnings
  2  a node is blocked
  3  no node is blocked, but one was not seen, or not as root
  64 nothing was audited: the arguments or the inventory are wrong
"""


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(USAGE_ERROR, f"{self.format_usage()}audit: {message}\n")


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = Arguments(
        prog="deploys/audit.py",
        description=__doc__,
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-i", "--inventory", action="append", default=[], help="as of ansible-playbook; may repeat")
    parser.add_argument("-l", "--limit", default="", help="hosts, as of ansible-playbook")
    parser.add_argument(
        "--group", action="append", help="group to audit (kube_node and kube_control_plane); may repeat"
    )
    parser.add_argument("--json", metavar="FILE", help="write the audit there; - is standard output, without the table")
    parser.add_argument(
        "--with-facts", action="store_true", help="all facts in the JSON; files in them may hold passwords"
    )
    parser.add_argument("-f", "--forks", type=int, default=50, help="nodes at a time (50)")
    parser.add_argument("-T", "--timeout", type=float, default=60, help="seconds one node may take (60)")
    parser.add_argument("-u", "--user", default="", help="user to connect as, where the inventory names none")
    parser.add_argument("--private-key", default="", help="key to connect with, where the inventory names none")
    parser.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password to connect with")
    parser.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password to become root with")
    parser.add_argument("--no-become", action="store_true", help="look as the user we connect as")
    parsed = parser.parse_args(given)
    if parsed.forks < 1:
        parser.error(f"--forks is {parsed.forks}; it must be 1 or more")
    if parsed.timeout <= 0:
        parser.error(f"--timeout is {parsed.timeout:g}; it must be more than 0")
    return parsed


def main() -> int:
    options = arguments()
    # A connection that was given up is taken down by paramiko when Python ends, in a place where gevent cannot wait, and the
    # interpreter would print a traceback for each.
    sys.unraisablehook = lambda _: None
    try:
        found = _targets(options)
    except targets.InventoryProblem as problem:
        print(f"audit: {problem}", file=sys.stderr)
        return USAGE_ERROR
    settings = {target.node: target.settings for target in found}
    with tempfile.TemporaryDirectory(prefix="unshim-audit-") as directory:
        seen = fleet.look(found, options.timeout, options.forks, Path(directory), _Progress(len(found)))
    nodes = [
        audit.of_facts(sighting, facts, settings[sighting.node], options.with_facts)
        if facts
        else audit.judge(sighting, None, None)
        for sighting, facts in seen
    ]
    made = audit.total(nodes, datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"))
    try:
        _report(made, options)
    except OSError as error:
        print(f"audit: {options.json} could not be written: {error.strerror}", file=sys.stderr)
        return USAGE_ERROR
    return EXIT_CODES[made.severity]


def _targets(options: argparse.Namespace) -> list[targets.Target]:
    listing, base = ansible_inventory.read(options.inventory, options.limit)
    nodes = ansible_inventory.nodes(listing, options.group)
    return targets.read(
        listing,
        nodes,
        targets.Defaults(
            user=options.user or base.user,
            key=options.private_key or base.key,
            password=getpass.getpass("SSH password: ") if options.ask_pass else "",
            never_become=options.no_become,
            become_password=getpass.getpass("Password to become root: ") if options.ask_become_pass else "",
            check_host_key=base.check_host_key,
        ),
    )


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


class _Progress:
    """One line that counts, on a terminal."""

    def __init__(self, number: int) -> None:
        self.number, self.done = number, 0

    def __call__(self, sighting: Sighting) -> None:
        self.done += 1
        if sys.stderr.isatty():
            end = "\r" if self.done < self.number else "\r\x1b[K"
            print(f"\x1b[K{self.done} of {self.number} nodes", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
