"""The action behind the module ``runtime_facts``: run ``probe.sh`` through the connection, parse its output here."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "module_utils"))

from unshim import observe, records
from unshim.probe_command import NO_UNPACKER, packed_command, plain_command

# What the ssh on this side says beside what the node said.
SSH_ITSELF = re.compile(r"(?m)^(Warning: Permanently added .*|(Shared c|C)onnection to .* closed\.)\r?$")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = True
    _VALID_ARGS = frozenset()
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        began = time.monotonic()
        try:
            facts = self._observe()
        except observe.ProbeError as error:
            result.update(failed=True, msg=str(error))
            return result
        result.update(
            changed=False,
            elapsed=round(time.monotonic() - began, 1),
            ansible_facts={"runtime": records.to_data(facts)},
            # As with setup: whole files do not belong on the screen of whoever says -v.
            _ansible_verbose_override=True,
        )
        return result

    @contextmanager
    def _output_unseen(self) -> Iterator[None]:
        """Keep what the node prints from the screen of whoever says -vvv, where ssh's connection shows it: it holds whole files."""
        context = self._connection._play_context
        if Display().verbosity < 3 or context.no_log:
            yield
            return
        # ssh's own words would be hidden as well, and whoever says -vvv may be looking for why a node is not reached.
        self._low_level_execute_command("true")
        context.no_log = True
        try:
            yield
        finally:
            context.no_log = False

    def _observe(self) -> Any:
        script = observe.probe_script()
        with self._output_unseen():
            answer = self._low_level_execute_command(packed_command(script))
            if NO_UNPACKER in answer["stdout"]:
                answer = self._low_level_execute_command(plain_command(script))
        try:
            return observe.parse(answer["stdout"])
        except observe.ProbeError as error:
            said = " ".join(SSH_ITSELF.sub("", answer["stderr"]).split())
            raise observe.ProbeError(f"{error}" + (f" (the node said: {said[-300:]})" if said else "")) from None
