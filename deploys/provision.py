#!/usr/bin/env python3
"""Make nodes without Kubernetes ready for a kubelet on containerd, as provision.yml does; the nodes need a shell and no Python.

The same plan, the same code and the same proof that containerd answers, carried through pyinfra's connectors. The inventory is
Ansible's, and so are the settings, unshim_... in it.
"""

from gevent import monkey

monkey.patch_all()

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

import command_line
import fleet
import gevent
import modules_from_afar
from pyinfra.api.exceptions import FactProcessError
from shell_place import ConnectedNode

from unshim import plan, provision, targets
from unshim.facts import Facts
from unshim.plan_model import Plan, Settings
from unshim.provision import Outcome
from unshim.targets import Target

CODES = """exit codes:
  0  every node is ready, or would be (--dry)
  2  a node is blocked, or its provisioning failed
  3  neither, but one was not reached
  64 nothing was done: the arguments or the inventory are wrong
  70 unshim itself failed; run again once it is mended
"""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = command_line.Arguments(
        prog="deploys/provision.py",
        description=__doc__,
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command_line.add_connection(parser, "provision", forks=20, groups="all")
    parser.add_argument("--dry", action="store_true", help="change nothing; say what would be changed")
    parser.add_argument("--diff", action="store_true", help="show every file's change; secrets are left out")
    parser.add_argument("-T", "--timeout", type=float, default=60, help="seconds a node may take to be looked at (60)")
    return command_line.parsed(parser, given)


def main() -> int:
    options = arguments()
    sys.unraisablehook = lambda _: None  # as in audit.py
    try:
        found = command_line.read_targets(
            options, options.group or ["all"], tool="provision.py", playbook="playbooks/provision.yml"
        )
    except targets.InventoryProblem as problem:
        print(f"provision: {problem}", file=sys.stderr)
        return command_line.USAGE_ERROR
    progress = command_line.Progress(len(found))

    def errand(host: Any, target: Target) -> Outcome:
        outcome = _provision(host, target, options)
        progress()
        return outcome

    with tempfile.TemporaryDirectory(prefix="unshim-provision-") as directory:
        outcomes = fleet.visit(found, options.timeout, options.forks, Path(directory), errand)
    sys.stdout.write(provision.render(outcomes, options.dry, options.diff))
    return provision.exit_code(outcomes)


def _provision(host: Any, target: Target, options: argparse.Namespace) -> Outcome:
    began = time.monotonic()
    sighting, facts = fleet.see(host, target, options.timeout)
    if facts is None:
        return Outcome(target.node, "not-reached", sighting.reason, elapsed=time.monotonic() - began)
    settings = dataclasses.replace(target.settings, goal="provision")
    made = plan.make(facts, settings, target.node)
    refused = provision.blocked(made)
    if refused:
        return refused
    if made.done:
        return Outcome(target.node, "unchanged", elapsed=time.monotonic() - began)
    node = ConnectedNode(host, target, (facts.time, time.time()))
    run = _Run(node, made, settings, options)
    reason = run.go()
    return Outcome(
        target.node,
        "failed" if reason else "changed" if run.changes else "unchanged",
        reason,
        tuple(run.changes),
        tuple(dict.fromkeys(run.warnings)),
        tuple(run.diffs),
        run.runtime,
        time.monotonic() - began,
        node.commands,
    )


class _Run:
    """The two stages of one node, and what they did."""

    def __init__(self, node: ConnectedNode, made: Plan, settings: Settings, options: argparse.Namespace) -> None:
        self.node, self.made, self.settings, self.options = node, made, settings, options
        self.changes: list[str] = []
        self.warnings = provision.foreseen(made) if options.dry else []
        self.diffs: list[dict[str, str]] = []
        self.runtime = ""

    def go(self) -> str:
        """Install and configure; return why that failed, "" if it did not."""
        try:
            installed = self._module("containerd_install", self._install_arguments())
            self.changes += provision.install_changes(installed)
            if installed["changed"] and not self.options.dry:
                # Packages bring files of their own.
                self.made = plan.make(self._look_again(), self.settings, self.made.node)
                refused = provision.blocked(self.made)
                if refused:
                    return refused.reason
            configured = self._module("containerd_config", provision.config_arguments(self.made, self.settings))
            self.changes += provision.config_changes(configured)
            self.runtime = provision.runtime(configured)
        except (modules_from_afar.ModuleFailed, FactProcessError) as error:
            return str(error)
        except gevent.Timeout:
            return f"it did not answer the probe within {self.options.timeout:g} s after its packages were installed; run again."
        return ""

    def _module(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        result = modules_from_afar.run(self.node, name, asked, self.options.dry, self.warnings)
        diff = result.get("diff") or []
        self.diffs += [diff] if isinstance(diff, dict) else diff
        return result

    def _install_arguments(self) -> dict[str, Any]:
        asked = provision.install_arguments(self.made, self.settings)
        repository = asked["repository"]
        if repository and "://" not in repository["key"]:
            path = Path(repository["key"])
            try:
                repository["key_content"] = path.read_text(encoding="ascii")
            except OSError as error:
                raise modules_from_afar.ModuleFailed(f"{path}: {error.strerror}. Nothing was changed.") from None
            except UnicodeDecodeError:
                raise modules_from_afar.ModuleFailed(
                    f"{path} is not an armoured OpenPGP key; nothing was changed. Export it with `gpg --armor --export`."
                ) from None
        return asked

    def _look_again(self) -> Facts:
        return fleet.look_again(self.node.host, self.node.target, self.options.timeout)


if __name__ == "__main__":
    sys.exit(command_line.without_traceback(main))
