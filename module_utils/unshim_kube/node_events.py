"""What the cluster says about a node that failed: the node, its pods, and the events of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .node_view import get_node, pods_on

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]
LIMIT = 300  # events


def collect(api: Api, name: str) -> Json:
    """Return {file name: data}; raises KubeError."""
    node = get_node(api, name)
    pods = pods_on(api, name)
    names = {(pod["metadata"].get("namespace", ""), pod["metadata"]["name"]) for pod in pods}
    events = [event for event in api.list_objects("/api/v1/events") if _is_about(event, name, names)]
    events.sort(key=_time)
    return {
        "node.json": {
            "name": name,
            "unschedulable": bool(node.get("spec", {}).get("unschedulable")),
            "taints": node.get("spec", {}).get("taints") or [],
            "annotations": node["metadata"].get("annotations") or {},
            "conditions": node.get("status", {}).get("conditions") or [],
            "info": node.get("status", {}).get("nodeInfo") or {},
        },
        "pods.json": [_pod(pod) for pod in pods],
        "events.txt": "".join(_line(event) for event in events[-LIMIT:]) or "(none)\n",
    }


def _is_about(event: Json, node: str, pods: set[tuple[str, str]]) -> bool:
    about = event.get("involvedObject") or {}
    if about.get("kind") == "Node":
        return about.get("name") == node
    if about.get("kind") != "Pod":
        return False
    return (about.get("namespace", ""), about.get("name")) in pods or (event.get("source") or {}).get("host") == node


def _time(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _line(event: Json) -> str:
    about = event.get("involvedObject") or {}
    thing = "/".join(filter(None, [about.get("kind", ""), about.get("namespace", ""), about.get("name", "")]))
    said = " ".join(str(event.get("message") or "").split())
    return (
        f"{_time(event)} {event.get('type', '')} {thing} {event.get('reason', '')} x{event.get('count') or 1}: {said}\n"
    )


def _pod(pod: Json) -> Json:
    status = pod.get("status", {})
    return {
        "name": f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}",
        "uid": pod["metadata"].get("uid"),
        "phase": status.get("phase"),
        "reason": status.get("reason"),
        "deletionTimestamp": pod["metadata"].get("deletionTimestamp"),
        "conditions": status.get("conditions") or [],
        "containers": [
            {key: one.get(key) for key in ("name", "ready", "restartCount", "containerID", "state", "lastState")}
            for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        ],
    }
