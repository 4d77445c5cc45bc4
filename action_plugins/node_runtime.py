"""The action behind the module ``node_runtime``: what the cluster says about a node.

An action, since it is asked of every node several times: the client of the API is imported once, before there are workers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim_kube import action_run, node_ready
from unshim_kube.errors import KubeError

_RUNTIMES = ["containerd", "docker"]
PRESENT_TIMEOUT = 10  # seconds for which an API server that does not answer is asked, where nothing is waited for


class ActionModule(action_run.ClusterAction):
    """See library/node_runtime.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "node_name": {"type": "str", "required": True},
        "api_timeout": {"type": "int"},
        "state": {"type": "str", "choices": ["present", "ready"], "default": "present"},
        "runtime": {"type": "str", "choices": _RUNTIMES, "default": "containerd"},
        "timeout": {"type": "int", "default": 300},
        "newer_than": {"type": "float", "default": 0.0},
        "pods_back": {"type": "bool", "default": False},
        "static_pods_runtime": {"type": "str", "choices": ["", *_RUNTIMES], "default": ""},
        "before": {"type": "dict"},
        "known_as": {"type": "dict"},
        "annotations": {"type": "dict", "default": {}},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        wrong = [key for key, value in arguments["annotations"].items() if not isinstance(value, str | None)]
        if wrong:
            raise KubeError(
                f"annotations: the values of {', '.join(sorted(wrong))} must be strings, or null to remove the annotation."
            )
        wait = arguments["timeout"] if arguments["state"] == "ready" else PRESENT_TIMEOUT
        timeout = wait if arguments["api_timeout"] is None else arguments["api_timeout"]
        asked = node_ready.Asked(arguments, self._task.check_mode)
        result = node_ready.look(asked, action_run.connect(arguments, timeout))
        return {**result, "warnings": asked.warnings} if asked.warnings else result
