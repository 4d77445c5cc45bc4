"""What the deploys have in common on their command lines: the inventory, how to reach its nodes, and a line that counts them."""

from __future__ import annotations

import argparse
import getpass
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import ansible_inventory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim import targets

# Of sysexits.h: EX_USAGE, nothing was done; EX_SOFTWARE. Python's own code for an exception is that of a warning here.
USAGE_ERROR = 64
OWN_FAULT = 70


class Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        name = Path(self.prog).stem
        self.exit(USAGE_ERROR, f"{self.format_usage()}{name}: {message}\n")


def add_connection(parser: argparse.ArgumentParser, verb: str, forks: int, groups: str = "") -> None:
    """Add the options that say which nodes and how to reach them.

    Args:
        parser: the deploy's.
        verb: what is done to the nodes.
        forks: how many at a time if nobody says.
        groups: those taken if nobody says; "" for the groups of Kubernetes nodes.
    """
    default = groups or " and ".join(targets.DEFAULT_GROUPS)
    parser.add_argument("-i", "--inventory", action="append", default=[], help="as of ansible-playbook; may repeat")
    parser.add_argument("-l", "--limit", default="", help="hosts, as of ansible-playbook")
    parser.add_argument("--group", action="append", help=f"group to {verb} ({default}); may repeat")
    parser.add_argument("-f", "--forks", type=int, default=forks, help=f"nodes at a time ({forks})")
    parser.add_argument("-u", "--user", default="", help="user to connect as, where the inventory names none")
    parser.add_argument("--private-key", default="", help="key to connect with, where the inventory names none")
    parser.add_argument("-k", "--ask-pass", action="store_true", help="ask for the password to connect with")
    parser.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password to become root with")


def parsed(parser: argparse.ArgumentParser, given: list[str] | None) -> argparse.Namespace:
    """Return the arguments; those that cannot be end the program."""
    options = parser.parse_args(given)
    if options.forks < 1:
        parser.error(f"--forks is {options.forks}; it must be 1 or more")
    if options.timeout <= 0:
        parser.error(f"--timeout is {options.timeout:g}; it must be more than 0")
    return options


def read_targets(
    options: argparse.Namespace,
    groups: list[str] | None,
    never_become: bool = False,
    tool: str = "the audit",
    playbook: str = "playbooks/audit.yml",
    asked: subprocess.Popen[str] | None = None,
) -> list[targets.Target]:
    """Return the nodes that are meant, and how to reach them.

    Args:
        options: those of :func:`add_connection`.
        groups: of the inventory; None for those of Kubernetes nodes.
        never_become: look as the user we connect as, whatever the inventory says.
        tool: who asks, for messages, and
        playbook: the playbook that reaches more nodes.
        asked: the question to Ansible, if it was put before (``ansible_inventory.ask``).

    Raises:
        targets.InventoryProblem: the inventory cannot be read.
    """
    listing, base = ansible_inventory.read(asked or ansible_inventory.ask(options.inventory, options.limit))
    nodes = ansible_inventory.nodes(listing, groups)
    return targets.read(
        listing,
        nodes,
        targets.Defaults(
            user=options.user or base.user,
            key=options.private_key or base.key,
            password=getpass.getpass("SSH password: ") if options.ask_pass else "",
            never_become=never_become,
            become_password=getpass.getpass("Password to become root: ") if options.ask_become_pass else "",
            check_host_key=base.check_host_key,
            tool=tool,
            playbook=playbook,
        ),
    )


def without_traceback(main: Callable[[], int]) -> int:
    """Return a program's exit code; what it did not foresee is told in a line, with the place that a report needs."""
    name = Path(sys.argv[0]).stem
    try:
        return main()
    except KeyboardInterrupt:
        print(f"\n{name}: ended at the keyboard", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        print(
            f"{name}: unshim itself failed, please report it: {type(error).__name__} in {where}: {error}",
            file=sys.stderr,
        )
        return OWN_FAULT


class Progress:
    """One line that counts, on a terminal."""

    def __init__(self, number: int) -> None:
        self.number, self.done = number, 0

    def __call__(self, _: object = None) -> None:
        self.done += 1
        if sys.stderr.isatty():
            end = "\r" if self.done < self.number else "\r\x1b[K"
            print(f"\x1b[K{self.done} of {self.number} nodes", end=end, file=sys.stderr, flush=True)
