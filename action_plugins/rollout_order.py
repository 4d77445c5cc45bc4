"""The action behind the module ``rollout_order``: who moves in this run, and in which batches."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import drain, rollout
from unshim_kube import action_run
from unshim_kube.errors import KubeError


class ActionModule(action_run.ClusterAction):
    """See library/rollout_order.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "members": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "host": {"type": "str", "required": True},
                "node": {"type": "str", "required": True},
                "state": {"type": "str", "default": "docker"},
                "done": {"type": "bool", "default": False},
                "control_plane": {"type": "bool", "default": False},
            },
        },
        "batches": {"type": "raw", "required": True},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        members = [rollout.Member(**member) for member in arguments["members"]]
        cordoned: set[str] = set()
        if not all(member.done for member in members):
            cordoned = {
                node["metadata"]["name"]
                for node in action_run.connect(arguments).list_objects("/api/v1/nodes")
                if drain.read_note(node) and (node.get("spec") or {}).get("unschedulable")
            }
        try:
            roll = rollout.choose(members, arguments["batches"], cordoned)
        except rollout.SettingError as error:
            raise KubeError(f"{error} Nothing was changed.") from None
        return {
            "workers": list(roll.workers),
            "sizes": list(roll.sizes),
            "control_plane": list(roll.control_plane),
            "half_way": list(roll.half_way),
            "done": list(roll.done),
            "text": rollout.explain(roll),
        }
