"""The action behind the module ``runtime_facts``: run ``probe.sh`` through the connection, parse its output here."""

from __future__ import annotations

import base64
import gzip
import shlex
import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim import observe, records

# What the node prints if it cannot unpack the script.
NO_UNPACKER = "@@unshim-no-unpacker"


def packed_command(script: str) -> str:
    """Return a command that runs ``script``, short and free of quotes inside.

    Standard input is no way in: with ``become`` it is where the password goes, and ``raw`` shells of some connections have
    none. A quoted script would do, but each of the shells on its way (become's, Ansible's, the login shell) quotes it anew,
    which makes a quote five characters, then 25; one argument may have 128 KiB. base64 of the compressed script has nothing
    to quote, is 6 KB long, and gzip and base64 are in coreutils' and busybox' company everywhere.
    """
    packed = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    unpack = f"unshim_probe=$(printf %s {packed} | base64 -d 2>/dev/null | gzip -dc 2>/dev/null)"
    return f'{unpack} && [ -n "$unshim_probe" ] && exec sh -c "$unshim_probe"; echo {NO_UNPACKER}'


def plain_command(script: str) -> str:
    """Return a command that runs ``script`` on a node that has no gzip or base64: comments left out, quoted."""
    lines = [line for line in script.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "exec sh -c " + shlex.quote("\n".join(lines))


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = True
    _VALID_ARGS = frozenset()
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        facts = self._observe()
        result.update(
            changed=False,
            ansible_facts={"runtime": records.to_data(facts)},
            # As with setup: whole files do not belong on the screen of whoever says -v.
            _ansible_verbose_override=True,
        )
        return result

    def _observe(self) -> Any:
        script = observe.probe_script()
        answer = self._low_level_execute_command(packed_command(script))
        if NO_UNPACKER in answer["stdout"]:
            answer = self._low_level_execute_command(plain_command(script))
        try:
            return observe.parse(answer["stdout"])
        except observe.ProbeError as error:
            said = " ".join(answer["stderr"].split())
            raise AnsibleActionFail(f"{error}" + (f" (the node said: {said[-300:]})" if said else "")) from None
