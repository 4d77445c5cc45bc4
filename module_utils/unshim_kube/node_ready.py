"""What the action ``node_runtime`` does: read a node, or wait until it is Ready on a runtime with its own pods."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from unshim import drain, node_gate, registered_anew

from . import node_view
from .cordon import change_node
from .errors import KubeError, NoSuchNode, Unreachable

if TYPE_CHECKING:
    from .client import Api

PAUSE = 1.0  # seconds between two tries, where the node is gone or the API away

Json = dict[str, Any]


@dataclass
class Asked:
    """The options of a task, and what it has to warn of."""

    params: Json
    check_mode: bool = False
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def look(asked: Asked, api: Api) -> Json:
    """Do what the options say and return the result of the task."""
    began = time.monotonic()
    params = asked.params
    reasons: list[str] = []
    if params["state"] == "ready":
        node, pods, reasons = wait_ready(asked, api, began)
    else:
        node = node_view.get_node(api, params["node_name"])
        pods = node_view.pods_on(api, params["node_name"])
    changed, diff, before = annotate(asked, api, params["annotations"]) if params["annotations"] else (False, None, {})
    facts = node_gate.summarize(node)
    result = {
        "changed": changed,
        "node": facts,
        "annotations": dict(facts["annotations"], **before),
        "pods": node_gate.snapshot(pods),
        "server": api.server,
        "seconds": round(time.monotonic() - began, 1),
        "msg": f"Node {facts['name']} runs {facts['runtime']} {facts['runtime_version']}"
        f"{'' if facts['ready'] else ' and is not Ready'}.",
    }
    if params["state"] == "ready":
        result["missing"] = reasons
    if reasons:
        result["msg"] = f"Node {params['node_name']} is not as wanted now: {'; '.join(reasons)}."
    if diff:
        result["diff"] = diff
    return result


def wait_ready(asked: Asked, api: Api, began: float) -> tuple[Json, list[Json], list[str]]:
    """Return the node, its pods and what is missing; only in check mode can something be missing."""
    params = asked.params
    name = params["node_name"]
    want = node_gate.Want(
        runtime=params["runtime"],
        newer_than=params["newer_than"],
        static_pods_runtime=params["static_pods_runtime"],
        pods_back=params["pods_back"],
    )
    deadline = began + params["timeout"]
    if asked.check_mode:
        node = node_view.get_node(api, name)
        pods = node_view.pods_on(api, name)
        return node, pods, node_gate.missing(node, pods, want, params["before"])
    reasons: list[str] = []
    while True:
        try:
            with node_view.NodeAndPods(api, name, retry_for=max(0.0, deadline - time.monotonic())) as seen:
                while seen.is_current:
                    node, pods = seen.node(), seen.pods()
                    give_back(asked, api, node)
                    reasons = node_gate.missing(node, pods, want, params["before"])
                    if not reasons:
                        return node, pods, reasons
                    if time.monotonic() + PAUSE >= deadline:
                        break
                    seen.wait(deadline - PAUSE - time.monotonic())
        except NoSuchNode:
            reasons = ["somebody deleted it from the API, and its kubelet has not registered it anew"]
        except Unreachable as error:
            reasons = [f"the API server is away ({error.message.rstrip('.')})"]
        if time.monotonic() + PAUSE >= deadline:
            break
        time.sleep(PAUSE)
    raise KubeError(
        f"Node {name} is not as wanted after {params['timeout']} s (Ready on {params['runtime']}): {'; '.join(reasons)}. "
        "See the kubelet's log on the node (journalctl -u kubelet).",
        {"missing": reasons},
    )


def give_back(asked: Asked, api: Api, node: Json) -> None:
    """Give a node that was registered anew what it had, and close it at once: it came open for pods."""
    known = asked.params["known_as"] or {}
    if asked.check_mode or not registered_anew.is_another(node, known):
        return
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def decide(node: Json) -> tuple[Json | None, None]:
        lost = registered_anew.patch(node, known)
        closing, _was = drain.cordon_patch(registered_anew.patched(node, lost), "unshim", "registered anew", at)
        return registered_anew.merged(lost, closing) or None, None

    _node, changed, _none = change_node(api, asked.params["node_name"], decide)
    if not changed:
        return
    message = (
        f"Somebody deleted node {asked.params['node_name']} from the API during its move, and its kubelet registered it anew. "
        "It has its labels, annotations and taints again."
    )
    ranges = node_gate.pod_cidrs(node)
    if known.get("pod_cidrs") and ranges and ranges != known["pod_cidrs"]:
        now, then = ", ".join(ranges), ", ".join(known["pod_cidrs"])
        message += f" Its pods' addresses are of {now} now, not of {then}: see that the network add-on follows."
    asked.warn(message)


def annotate(asked: Asked, api: Api, wanted: dict[str, str | None]) -> tuple[bool, Json | None, dict[str, str | None]]:
    """Set annotations; return if that changed the node, the diff, and the wanted ones' values before."""
    before: dict[str, str | None] = {}

    def decide(node: Json) -> tuple[Json | None, None]:
        present = node["metadata"].get("annotations") or {}
        before.clear()
        before.update((key, present.get(key)) for key in wanted)
        patch = {key: value for key, value in wanted.items() if present.get(key) != value}
        return ({"metadata": {"annotations": patch}} if patch else None), None

    node, changed, _none = change_node(api, asked.params["node_name"], decide, dry_run=asked.check_mode)
    header = "annotations of node " + node["metadata"]["name"]
    diff = {"before_header": header, "after_header": header, "before": dict(before), "after": dict(wanted)}
    return changed, diff if changed else None, before
