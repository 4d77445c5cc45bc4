"""What the cluster says about a node, and whether that is good enough: pure judgements on the API's JSON.

A mirror pod's phase and readiness are never believed: they keep their old values while the API server or the kubelet is
away. Its container IDs carry the runtime (``containerd://...``) and do change.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .drain import is_daemon, is_finished, is_mirror, is_terminating, owner_name, pod_name

Json = Mapping[str, Any]

CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@dataclass(frozen=True)
class Want:
    """What a node must show."""

    runtime: str  # "containerd" or "docker": as in nodeInfo and before "://" in container IDs
    newer_than: float = 0.0  # Unix seconds of the node's clock; the Ready condition must be reported after it
    static_pods_runtime: str = ""  # "" : static pods are not looked at
    pods_back: bool = False  # DaemonSet and static pods run on `runtime`


@dataclass(frozen=True)
class Gate:
    """One proof. ``passed`` is None where it could not be tried; ``evidence`` says what was seen, or why not."""

    name: str
    passed: bool | None
    evidence: str


def unix_time(text: str | None) -> float:
    """Return an RFC 3339 time of the API as Unix seconds, 0.0 for none."""
    if not text:
        return 0.0
    return datetime.fromisoformat(text).timestamp()


def summarize(node: Json) -> dict[str, Any]:
    """Return the facts about a node that a migration needs, under plain names."""
    meta, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    info = status.get("nodeInfo") or {}
    runtime, _, version = info.get("containerRuntimeVersion", "").partition("://")
    labels = dict(meta.get("labels") or {})
    addresses: dict[str, list[str]] = {}
    for address in status.get("addresses") or ():
        addresses.setdefault(address["type"], []).append(address["address"])
    return {
        "name": meta["name"],
        "uid": meta.get("uid", ""),
        "runtime": runtime,
        "runtime_version": version,
        "kubelet_version": info.get("kubeletVersion", "").removeprefix("v"),
        "os_image": info.get("osImage", ""),
        "addresses": addresses,
        "pod_cidrs": pod_cidrs(node),
        "labels": labels,
        "annotations": dict(meta.get("annotations") or {}),
        "taints": [dict(taint) for taint in spec.get("taints") or ()],
        "unschedulable": bool(spec.get("unschedulable")),
        "is_control_plane": any(label in labels for label in CONTROL_PLANE_LABELS),
        "ready": ready_condition(node).get("status") == "True",
        "conditions": {
            condition["type"]: {
                "status": condition.get("status", ""),
                "reason": condition.get("reason", ""),
                "message": condition.get("message", ""),
                "heartbeat": condition.get("lastHeartbeatTime") or "",
            }
            for condition in status.get("conditions") or ()
        },
    }


def pod_cidrs(node: Json) -> list[str]:
    spec = node.get("spec") or {}
    return list(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))


def ready_condition(node: Json) -> Json:
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            return condition
    return {}


def missing(node: Json, pods: Iterable[Json], want: Want, before: Mapping[str, Any] | None = None) -> list[str]:
    """Return what the node does not show yet, one clause each; empty means it is as wanted.

    Args:
        pods: the pods bound to the node.
        before: a :func:`snapshot` from before the move; a pod that did not run then need not run now.
    """
    reasons = []
    condition = ready_condition(node)
    if condition.get("status") != "True":
        said = ": ".join(part for part in (condition.get("reason"), condition.get("message")) if part)
        reasons.append(f"Ready is {condition.get('status', 'not reported')}" + (f" ({said})" if said else ""))
    elif want.newer_than and unix_time(condition.get("lastHeartbeatTime")) < want.newer_than:
        reasons.append(
            f"Ready was last reported at {condition.get('lastHeartbeatTime')}, before the kubelet was restarted"
        )
    shown = ((node.get("status") or {}).get("nodeInfo") or {}).get("containerRuntimeVersion", "")
    if not shown.startswith(want.runtime + "://"):
        reasons.append(f"its runtime is still {shown or 'not reported'}")
    for pod in sorted(pods, key=pod_name):
        if is_finished(pod):
            continue
        static = is_mirror(pod)
        # A mirror pod being deleted still stands for containers that run; a DaemonSet's has a successor to wait for.
        if is_terminating(pod) and not static:
            continue
        if static and want.static_pods_runtime:
            runtime = want.static_pods_runtime
        elif want.pods_back and (static or is_daemon(pod)):
            runtime = want.runtime
        else:
            continue
        problem = pod_problem(pod, runtime)
        if problem and not (before and _was_broken(before, pod)):
            reasons.append(f"{'static pod' if static else owner_name(pod) + ' pod'} {pod_name(pod)} {problem}")
    return reasons


def pod_problem(pod: Json, runtime: str) -> str:
    """Return why the pod does not run on ``runtime``, "" if every container of it does."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    named = {container["name"] for container in (pod.get("spec") or {}).get("containers") or ()}
    if not containers or named - {container["name"] for container in containers}:
        return f"has no containers yet (phase {status.get('phase', 'unknown')})"
    for container in containers:
        state = container.get("state") or {}
        if "running" not in state:
            kind = next(iter(state), "waiting")
            detail: Json = state.get(kind) or {}
            said = ": ".join(part for part in (detail.get("reason"), detail.get("message")) if part)
            return f"does not run (container {container['name']} {kind}" + (f", {said})" if said else ")")
        if not container.get("containerID", "").startswith(runtime + "://"):
            return f"still shows a container of {container.get('containerID', '').partition('://')[0] or 'no runtime'} ({container['name']})"
    return ""


def snapshot(pods: Iterable[Json]) -> dict[str, dict[str, Any]]:
    """Return the pods of a node by "namespace/name", as they are now, for a later :func:`compare`."""
    result = {}
    for pod in pods:
        containers = (pod.get("status") or {}).get("containerStatuses") or ()
        result[pod_name(pod)] = {
            "owner": owner_name(pod),
            "static": is_mirror(pod),
            "phase": (pod.get("status") or {}).get("phase", ""),
            "ready": bool(containers) and all(container.get("ready") for container in containers),
            "running": bool(containers)
            and all("running" in (container.get("state") or {}) for container in containers),
            "restarts": sum(int(container.get("restartCount", 0)) for container in containers),
            "containers": {container["name"]: container.get("containerID", "") for container in containers},
        }
    return result


def _was_broken(before: Mapping[str, Any], pod: Json) -> bool:
    mine = [
        entry
        for name, entry in before.items()
        if name == pod_name(pod) or (entry["owner"] and entry["owner"] == owner_name(pod))
    ]
    return bool(mine) and not any(entry["running"] for entry in mine)


def compare(before: Mapping[str, Any], after: Mapping[str, Any], runtime: str) -> list[str]:
    """Return what a node lost between two snapshots, one clause each.

    Only pods that belong to the node are compared: static pods by name, DaemonSet pods by their DaemonSet (their names
    change). What was not running before is not asked for. Pods that were drained away are nobody's loss.
    """
    lost = []
    for name, was in sorted(before.items()):
        if not was["running"] or not (was["static"] or was["owner"].startswith("DaemonSet/")):
            continue
        if was["static"]:
            now = [after[name]] if name in after else []
            what = f"static pod {name}"
        else:
            namespace = name.partition("/")[0]
            now = [
                entry
                for other, entry in after.items()
                if entry["owner"] == was["owner"] and other.partition("/")[0] == namespace
            ]
            what = f"the pod of {was['owner']} in {namespace}"
        if not now:
            lost.append(f"{what} is gone")
        elif not any(entry["running"] for entry in now):
            lost.append(f"{what} does not run (phase {now[0]['phase'] or 'unknown'})")
        elif not any(
            entry["containers"]
            and all(identity.startswith(runtime + "://") for identity in entry["containers"].values())
            for entry in now
        ):
            lost.append(f"{what} still shows containers of another runtime than {runtime}")
    return lost


def address_gate(address: str, node: Json, pods: Iterable[Json], nodes: Iterable[Json]) -> Gate:
    """Judge a pod's address: it must lie in its node's podCIDR wherever the cluster hands addresses out that way.

    A runtime that picked the wrong CNI configuration gives addresses of another network. Some network plugins ignore the
    node's podCIDR (Calico's and Cilium's own address management): the cluster's other pods tell which case this is.
    """
    if not address:
        return Gate("pod_ip", False, "the pod has no address")
    ranges = pod_cidrs(node)
    name = node["metadata"]["name"]
    if not ranges:
        return Gate("pod_ip", True, f"{address}; node {name} has no podCIDR to compare it with")
    if _within(address, ranges):
        return Gate("pod_ip", True, f"{address} is in the node's podCIDR {', '.join(ranges)}")
    of_node = {other["metadata"]["name"]: pod_cidrs(other) for other in nodes}
    for pod in pods:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if spec.get("hostNetwork") or not status.get("podIP") or is_finished(pod) or spec.get("nodeName") == name:
            continue
        other_ranges = of_node.get(spec.get("nodeName", ""))
        if other_ranges and not _within(status["podIP"], other_ranges):
            return Gate(
                "pod_ip",
                True,
                f"{address}; this cluster's network plugin does not use podCIDRs (nor does {pod_name(pod)} lie in its node's)",
            )
    return Gate(
        "pod_ip",
        False,
        f"{address} is outside the node's podCIDR {', '.join(ranges)}: the runtime uses another CNI configuration than the cluster's; "
        "look at the first file in /etc/cni/net.d",
    )


def _within(address: str, ranges: Iterable[str]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
        return any(parsed in ipaddress.ip_network(cidr, strict=False) for cidr in ranges)
    except ValueError:
        return False


def cgroup_gate(text: str) -> Gate:
    """Judge /proc/1/cgroup as a container of a pod sees it.

    The good forms are ".../kubepods/burstable/podUID/ID" (both cgroupfs) and
    ".../kubepods.slice/.../cri-containerd-ID.scope" (both systemd). Kubelet and runtime that disagree make
    "/system.slice/.../kubepods-burstable-podUID.slice:cri-containerd:ID" or a slice with no scope below it: pods run, and
    are restarted again and again hours later (kubernetes issue 111776, containerd issue 7276).
    """
    fields = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    paths = [path for number, _, path in fields if number.isdecimal() and path.startswith("/")]
    if not paths:
        return Gate("cgroup", None, f"/proc/1/cgroup could not be read: {text.strip()[:200] or 'empty'}")
    for path in paths:
        parts = path.split("/")
        if "kubepods" in parts or ("kubepods.slice" in parts and any(part.endswith(".scope") for part in parts)):
            return Gate("cgroup", True, path)
    if all(path == "/" or path.startswith("/..") for path in paths):
        return Gate("cgroup", None, "the container has its own cgroup namespace and cannot see its path")
    wrong = next((path for path in paths if "kubepods" in path), next(path for path in paths if path != "/"))
    return Gate("cgroup", False, f"the container is in {wrong}: kubelet and runtime use different cgroup drivers")
