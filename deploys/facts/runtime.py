"""A node's container runtimes and kubelet, as a fact for pyinfra: the probe and the parser of Ansible's ``runtime_facts``."""

from __future__ import annotations

import sys
from pathlib import Path

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))

from unshim import observe, probe_command
from unshim.facts import Facts


class RuntimeFacts(FactBase[Facts]):
    """
    Returns what ``probe.sh`` saw on a node, in one command that needs no Python there and changes nothing.

    + become: the program that makes a user root, ``sudo`` or ``doas``; "" to look as the user we are. One who may not
      become root sees what he may see, and ``uid`` says who looked.
    + with_password: the password for it comes by standard input
    + plain: for a node that has no gzip or base64

    Pyinfra's own ``_sudo`` works, too, but asks at the terminal, and writes a file to the node, where a password is needed.

    **Example:**

    .. code:: python

        facts = host.get_fact(RuntimeFacts, become="sudo")
        print(facts.kubelet.version, facts.docker.version)
    """

    def command(self, become: str = "", with_password: bool = False, plain: bool = False) -> str:
        script = observe.probe_script()
        command = probe_command.plain_command(script) if plain else probe_command.packed_both_ways(script)
        return probe_command.as_root(command, become, with_password) if become else command

    def process(self, output: list[str]) -> Facts:
        try:
            return observe.parse(probe_command.unpacked("\n".join(output)))
        except observe.ProbeError as error:
            raise FactProcessError(str(error)) from None
