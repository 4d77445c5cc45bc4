#!/usr/bin/env python3
"""Audit a fleet: what every node runs on, whether it can be moved, and what stands in the way. Changes nothing anywhere.

One command per node, through pyinfra; the nodes need a shell and no Python. The inventory is Ansible's.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

import ansible_inventory
import command_line

from unshim import targets

CODES = """exit codes (those of monitoring plugins):
  0  every node was seen and can be moved, or is moved already
  1  the same, with warnings
  2  a node is blocked
  3  no node is blocked, but one was not seen, or not as root
  64 nothing was audited: the arguments or the inventory are wrong
  70 unshim itself failed
"""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = command_line.Arguments(
        prog="deploys/audit.py",
        description=__doc__,
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command_line.add_connection(parser, "audit", forks=50)
    parser.add_argument("--json", metavar="FILE", help="write the audit there; - is standard output, without the table")
    parser.add_argument(
        "--with-facts", action="store_true", help="all facts in the JSON; files in them may hold passwords"
    )
    parser.add_argument("-T", "--timeout", type=float, default=60, help="seconds one node may take (60)")
    parser.add_argument("--no-become", action="store_true", help="look as the user we connect as")
    return command_line.parsed(parser, given)


def main() -> int:
    options = arguments()
    try:
        # Meanwhile the rest is imported, which takes as long.
        asked = ansible_inventory.ask(options.inventory, options.limit)
        import audit_fleet

        return audit_fleet.run(options, asked)
    except targets.InventoryProblem as problem:
        print(f"audit: {problem}", file=sys.stderr)
        return command_line.USAGE_ERROR


if __name__ == "__main__":
    sys.exit(command_line.without_traceback(main))
