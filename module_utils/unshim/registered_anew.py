"""A node that somebody deleted from the API in the middle of its move, and that its kubelet registered anew when it started.

The kubelet (pkg/kubelet/kubelet_node_status.go, registerWithAPIServer) registers only once after its start, with the labels
and taints of its own flags and open for pods. What administrators and unshim had put on the node is gone with the old object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

# Taints with this prefix are conditions of the node, which the node controller sets and removes by itself.
CONDITION_TAINTS = "node.kubernetes.io/"


def is_another(node: Json, known: Json) -> bool:
    """Return whether ``node`` (from the API) is not the object that ``known`` (from node_gate.summarize) was made of."""
    return bool(known.get("uid")) and node["metadata"].get("uid", "") != known["uid"]


def patch(node: Json, known: Json) -> dict[str, Any] | None:
    """Return the merge patch that gives the new object what the old one had and it lacks, or None.

    What the new object has counts: the kubelet or somebody else has just set it.
    """
    metadata, spec = node["metadata"], node.get("spec") or {}
    changes: dict[str, Any] = {}
    for section in ("labels", "annotations"):
        present = metadata.get(section) or {}
        lost = {name: value for name, value in (known.get(section) or {}).items() if name not in present}
        if lost:
            changes.setdefault("metadata", {})[section] = lost
    taints = [dict(taint) for taint in spec.get("taints") or ()]
    there = {(taint["key"], taint.get("effect")) for taint in taints}
    lost_taints = [
        {name: value for name, value in taint.items() if name != "timeAdded"}
        for taint in known.get("taints") or ()
        if not taint["key"].startswith(CONDITION_TAINTS) and (taint["key"], taint.get("effect")) not in there
    ]
    if lost_taints:
        changes.setdefault("spec", {})["taints"] = taints + lost_taints
    if known.get("unschedulable") and not spec.get("unschedulable"):
        changes.setdefault("spec", {})["unschedulable"] = True
    return changes or None


def patched(node: Json, change: Json | None) -> dict[str, Any]:
    """Return ``node`` with the merge patch of :func:`patch` laid over its metadata and spec."""
    change = change or {}
    metadata, spec = dict(node["metadata"]), dict(node.get("spec") or {})
    for section, values in (change.get("metadata") or {}).items():
        metadata[section] = {**(metadata.get(section) or {}), **values}
    spec.update(change.get("spec") or {})
    return {**node, "metadata": metadata, "spec": spec}


def merged(first: Json | None, second: Json | None) -> dict[str, Any]:
    """Return one merge patch that does what both do."""
    result = dict(first or {})
    for key, value in (second or {}).items():
        result[key] = merged(result[key], value) if isinstance(value, Mapping) and key in result else value
    return result
