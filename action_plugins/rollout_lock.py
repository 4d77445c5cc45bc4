"""The action behind the module ``rollout_lock``: the cluster's lock, held for this ansible-playbook process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim_kube import action_run, lease
from unshim_kube.errors import Unreachable


class ActionModule(action_run.ClusterAction):
    """See library/rollout_lock.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
        "take_over": {"type": "str", "default": ""},
        "required": {"type": "bool", "default": True},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        # Actions run in workers, which are children of the process that the lock is for.
        process = lease.this_process(os.getppid())
        try:
            api = action_run.connect(arguments)
        except Unreachable as error:
            if arguments["required"]:
                raise
            said = f"{error.message} So this run goes on without the cluster's lock."
            return {"holder": "", "msg": said, "warnings": [said]}
        if self._task.check_mode:
            held = lease.read(api)
            said = f"{held.name} holds the lock now." if held else "Nobody holds the lock now."
            return {"holder": held.name if held else "", "msg": said}
        if arguments["state"] == "released":
            held = lease.read(api)
            if held is not None and lease.is_of(held, process):
                lease.release(api, held.name)
            return {"holder": "", "msg": "This run does not hold the lock any more."}
        from unshim_kube import lease_keeper

        taken = lease.take(api, process, arguments["take_over"])
        if taken.needs_keeper:
            lease_keeper.start(arguments["kubeconfig"], arguments["context"], process.pid, taken.name)
        answer = {"holder": taken.name, "msg": f"This run holds the lock, as {taken.name}. {taken.said}".rstrip()}
        return {**answer, "warnings": [taken.said]} if taken.said else answer
