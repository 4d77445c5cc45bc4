"""The action behind the module ``rollout_soak``: nodes that have just moved are watched for a while."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "module_utils"))
from unshim import node_gate
from unshim_kube import action_run, cluster_health

PATIENCE = 120.0  # seconds for an API server that is away, as that of a control plane that has just moved
SETTLING = 20.0  # seconds for a pod that is just being restarted when the soak ends


class ActionModule(action_run.ClusterAction):
    """See library/rollout_soak.py for the documentation."""

    OPTIONS: ClassVar[dict[str, Any]] = {
        "nodes": {"type": "list", "elements": "str", "required": True},
        "seconds": {"type": "int", "default": 30},
        "runtime": {"type": "str", "choices": ["containerd", "docker"], "default": "containerd"},
    }

    def act(self, arguments: dict[str, Any]) -> dict[str, Any]:
        names = arguments["nodes"]
        if self._task.check_mode or not names:
            return {"unwell": {}, "msg": "Nothing is watched in check mode." if names else "There is no node to watch."}
        unwell = soak(
            action_run.connect(arguments, timeout=PATIENCE), names, arguments["seconds"], arguments["runtime"]
        )
        parts = [f"{name}: {found['reason']}" for name, found in sorted(unwell.items())]
        well = (
            f"{len(names)} watched for {arguments['seconds']} s, Ready on {arguments['runtime']} with their own pods."
        )
        return {"unwell": unwell, "msg": "; ".join(parts) or well}


def soak(api: Any, names: list[str], seconds: float, runtime: str) -> dict[str, dict[str, Any]]:
    """Return {node: {"reason": ..., "ready": bool}} of the nodes that did not stay well for ``seconds``."""
    want = node_gate.Want(runtime=runtime, pods_back=True)
    unwell: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + seconds
    with cluster_health.changes(
        api, *[("/api/v1/nodes", {"fieldSelector": f"metadata.name={name}"}) for name in names]
    ) as changed:
        while True:
            for node in cluster_health.nodes(api):
                name = node["metadata"]["name"]
                if name in names and name not in unwell:
                    found = node_gate.missing(node, [], want)
                    if found:
                        unwell[name] = {"reason": "; ".join(found), "ready": _is_ready(node)}
            left = deadline - time.monotonic()
            if left <= 0:
                break
            changed.wait(min(left, 10.0))
    settled = time.monotonic() + SETTLING
    while True:
        nodes = {node["metadata"]["name"]: node for node in cluster_health.nodes(api)}
        pods = cluster_health.pods_of(api, [name for name in names if name in nodes])
        late = {}
        for name in names:
            if name in unwell:
                continue
            if name not in nodes:
                unwell[name] = {"reason": "it is not in the cluster any more", "ready": False}
                continue
            own = [pod for pod in pods if (pod.get("spec") or {}).get("nodeName") == name]
            found = node_gate.missing(nodes[name], own, want)
            if found:
                late[name] = {"reason": "; ".join(found), "ready": _is_ready(nodes[name])}
        if not late or time.monotonic() >= settled:
            return {**unwell, **late}
        time.sleep(1.0)


def _is_ready(node: dict[str, Any]) -> bool:
    return node_gate.ready_condition(node).get("status") == "True"
