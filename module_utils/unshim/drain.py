"""What a drain does with each pod of a node, and how a node's cordon is remembered: pure decisions.

Pods, nodes and PodDisruptionBudgets are the API's own JSON, as dicts. The rules are those of ``kubectl drain``
(k8s.io/kubectl, pkg/drain/filters.go); what the API server itself does at an eviction is in pkg/registry/core/pod/storage/eviction.go
of kubernetes, what a budget's selector covers in the PodDisruptionBudget reference (an empty selector covers nothing in
policy/v1beta1 and everything in policy/v1).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
NOTE_ANNOTATION = "unshim.io/cordoned"

EVICT, AWAIT, SKIP, BLOCK = "evict", "await", "skip", "block"


@dataclass(frozen=True)
class Options:
    force: bool = False  # evict pods that no controller makes again
    delete_emptydir_data: bool = False


@dataclass(frozen=True)
class Decision:
    """What happens to one pod. ``await``: it is going already, the drain only waits for it."""

    pod: str  # "namespace/name"
    uid: str
    action: str  # "evict", "await", "skip", "block"
    reason: str


@dataclass(frozen=True)
class Budget:
    """One PodDisruptionBudget that covers pods of the node."""

    name: str  # "namespace/name"
    allowed: int  # disruptions it allows now
    healthy: int
    desired: int  # healthy pods it wants
    expected: int  # pods it counts
    pods: tuple[str, ...]  # the pods asked about that it covers, "namespace/name"

    @property
    def never_allows(self) -> bool:
        """True where no disruption is possible however healthy the pods are (maxUnavailable 0, or minAvailable all)."""
        return self.expected > 0 and self.desired >= self.expected


def pod_name(pod: Json) -> str:
    return f"{pod['metadata'].get('namespace', 'default')}/{pod['metadata']['name']}"


def controller(pod: Json) -> Json | None:
    """Return the owner reference of the pod's controller, or None."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner
    return None


def owner_name(pod: Json) -> str:
    """Return the pod's controller as "ReplicaSet/web-5d8", "" if it has none."""
    owner = controller(pod)
    return f"{owner['kind']}/{owner['name']}" if owner else ""


def is_mirror(pod: Json) -> bool:
    """True for the API's image of a static pod: the kubelet owns it, the API can only delete the image."""
    return MIRROR_ANNOTATION in (pod["metadata"].get("annotations") or {})


def is_daemon(pod: Json) -> bool:
    owner = controller(pod)
    return owner is not None and owner.get("kind") == "DaemonSet"


def is_finished(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_terminating(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def classify(pods: Iterable[Json], node: str, options: Options) -> list[Decision]:
    """Decide for every pod bound to ``node``; pods of other nodes are left out. Sorted by pod name."""
    decisions = [
        Decision(pod_name(pod), pod["metadata"].get("uid", ""), *_decide(pod, options))
        for pod in pods
        if (pod.get("spec") or {}).get("nodeName") == node
    ]
    return sorted(decisions, key=lambda decision: decision.pod)


def _decide(pod: Json, options: Options) -> tuple[str, str]:
    if is_mirror(pod):
        return SKIP, "static pod: the kubelet runs it from a file"
    if is_daemon(pod) and not is_finished(pod):
        return SKIP, f"{owner_name(pod)} would put it back at once"
    if is_terminating(pod):
        return AWAIT, "already terminating"
    if is_finished(pod):
        return EVICT, f"finished ({pod['status']['phase']})"
    reasons = []
    volumes = [volume["name"] for volume in (pod.get("spec") or {}).get("volumes") or () if "emptyDir" in volume]
    if volumes and not options.delete_emptydir_data:
        reasons.append(
            f"its emptyDir data would be lost (volume {', '.join(volumes)}); allow that with delete_emptydir_data"
        )
    owner = owner_name(pod)
    if not owner and not options.force:
        reasons.append("no controller would create it again; allow its loss with force")
    if reasons:
        return BLOCK, "; ".join(reasons)
    return EVICT, f"{owner} creates it again" if owner else "no controller creates it again (force)"


def block_double_budgets(decisions: Iterable[Decision], found: Iterable[Budget]) -> list[Decision]:
    """Turn the eviction of a pod that two budgets cover into a block: the API server answers 500 to it, always."""
    covering: dict[str, list[str]] = {}
    for budget in found:
        for pod in budget.pods:
            covering.setdefault(pod, []).append(budget.name)
    return [
        Decision(
            decision.pod,
            decision.uid,
            BLOCK,
            f"PodDisruptionBudgets {' and '.join(covering[decision.pod])} both cover it and the API server evicts no such pod; "
            "delete or narrow one of them",
        )
        if decision.action == EVICT and len(covering.get(decision.pod, ())) > 1
        else decision
        for decision in decisions
    ]


def budgets(pdbs: Iterable[Json], pods: Iterable[Json], api_version: str = "policy/v1") -> list[Budget]:
    """Return the budgets that cover at least one of ``pods``.

    Args:
        pdbs: PodDisruptionBudgets of the cluster.
        pods: the pods that are to be evicted. Pods to which no budget applies (finished, pending, terminating) are ignored.
        api_version: what the budgets were read as, "policy/v1" or "policy/v1beta1": decides what an empty selector means.
    """
    counted = [
        pod
        for pod in pods
        if not is_terminating(pod) and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed", "Pending")
    ]
    found = []
    for pdb in pdbs:
        namespace = pdb["metadata"].get("namespace", "default")
        selector = (pdb.get("spec") or {}).get("selector")
        covered = tuple(
            pod_name(pod)
            for pod in counted
            if pod["metadata"].get("namespace", "default") == namespace
            and selects(selector, pod["metadata"].get("labels") or {}, empty_selects=api_version != "policy/v1beta1")
        )
        if not covered:
            continue
        status = pdb.get("status") or {}
        found.append(
            Budget(
                name=f"{namespace}/{pdb['metadata']['name']}",
                allowed=int(status.get("disruptionsAllowed") or 0),
                healthy=int(status.get("currentHealthy") or 0),
                desired=int(status.get("desiredHealthy") or 0),
                expected=int(status.get("expectedPods") or 0),
                pods=tuple(sorted(covered)),
            )
        )
    return sorted(found, key=lambda budget: budget.name)


def selects(selector: Json | None, labels: Mapping[str, str], *, empty_selects: bool = True) -> bool:
    """Tell if a LabelSelector selects an object with ``labels``. No selector at all selects nothing."""
    if selector is None:
        return False
    match_labels = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    if not match_labels and not expressions:
        return empty_selects
    if any(labels.get(key) != value for key, value in match_labels.items()):
        return False
    return all(_matches(expression, labels) for expression in expressions)


def _matches(expression: Json, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels


def room_to_reschedule(nodes: Iterable[Json], node: str, pods: Iterable[Json] = ()) -> str:
    """Return "" if another node can take the pods that leave ``node``, else why not, per node.

    Simple on purpose: another node must be Ready, schedulable, and free of taints that keep all of ``pods`` off. Space is
    the scheduler's matter. Pods that nobody creates again need no room.
    """
    moving = [pod for pod in pods if controller(pod) and not is_finished(pod) and not is_terminating(pod)]
    if not moving:
        return ""
    refusals = []
    for other in nodes:
        name = other["metadata"]["name"]
        if name == node:
            continue
        why = _why_no_room(other, moving)
        if not why:
            return ""
        refusals.append(f"{name} {why}")
    count = f"{len(moving)} pod{'s' if len(moving) > 1 else ''}"
    if not refusals:
        return f"{node} is the only node of the cluster, so its {count} could run nowhere else"
    return f"no other node can take the {count} of {node}: {'; '.join(refusals)}"


def _why_no_room(node: Json, pods: Sequence[Json]) -> str:
    spec = node.get("spec") or {}
    ready = next((c for c in (node.get("status") or {}).get("conditions") or () if c.get("type") == "Ready"), None)
    if ready is None or ready.get("status") != "True":
        return "is not Ready"
    if spec.get("unschedulable"):
        return "is cordoned"
    taints = [taint for taint in spec.get("taints") or () if taint.get("effect") in ("NoSchedule", "NoExecute")]
    for pod in pods:
        refused = [taint for taint in taints if not tolerates(pod, taint)]
        if not refused:
            return ""
    return "has the taint " + ", ".join(f"{taint['key']}:{taint['effect']}" for taint in taints)


def tolerates(pod: Json, taint: Json) -> bool:
    for toleration in (pod.get("spec") or {}).get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint.get("effect")):
            continue
        if toleration.get("operator") == "Exists" and toleration.get("key") in (None, "", taint["key"]):
            return True
        if toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def explain_stuck(
    node: str,
    seconds: float,
    left: Iterable[Json],
    found: Iterable[Budget],
    refusals: Mapping[str, str],
) -> str:
    """Return what holds up a drain, naming budgets and pods.

    Args:
        seconds: how long the drain tried.
        left: the pods that are still on the node and should be gone.
        found: the budgets that cover them.
        refusals: by pod ("namespace/name"), the API server's last refusal of its eviction; a pod without one is going.
    """
    remaining = {pod_name(pod): pod for pod in left}
    told: set[str] = set()
    parts = []
    for budget in found:
        held = [name for name in budget.pods if name in remaining and name in refusals]
        if not held:
            continue
        told.update(held)
        ever = (
            "never allows a disruption as it is written"
            if budget.never_allows
            else f"allows {budget.allowed} disruptions now"
        )
        parts.append(
            f"PodDisruptionBudget {budget.name} {ever} ({budget.healthy} healthy, {budget.desired} wanted, "
            f"{budget.expected} in all) and holds {', '.join(held)}"
        )
    for name, pod in sorted(remaining.items()):
        if name in told:
            continue
        if name in refusals:
            parts.append(f"the eviction of {name} was refused: {refusals[name]}")
            continue
        finalizers = pod["metadata"].get("finalizers")
        grace = pod["metadata"].get(
            "deletionGracePeriodSeconds", (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
        )
        details = [f"grace period {grace} s"] if grace is not None else []
        if finalizers:
            details.append(f"finalizers {', '.join(finalizers)}")
        parts.append(f"{name} was evicted and is still terminating" + (f" ({'; '.join(details)})" if details else ""))
    return (
        f"Node {node} is not drained after {seconds:.0f} s: {'; '.join(parts) or 'its pods could not be read'}. The node stays "
        "cordoned. Free the pods (scale up, or relax the budget) or give a longer timeout, and run again."
    )


def read_note(node: Json) -> dict[str, Any] | None:
    """Return what ``unshim.io/cordoned`` says, None if it is not there; an unreadable note counts as "cordoned before"."""
    text = (node["metadata"].get("annotations") or {}).get(NOTE_ANNOTATION)
    if text is None:
        return None
    try:
        note = json.loads(text)
    except ValueError:
        note = None
    if not isinstance(note, dict) or not isinstance(note.get("was_unschedulable"), bool):
        return {"by": "", "reason": f"unreadable note: {text}", "at": "", "was_unschedulable": True}
    return note


def cordon_patch(node: Json, by: str, reason: str, at: str) -> tuple[dict[str, Any] | None, bool]:
    """Return the merge patch that cordons ``node`` and notes it, or None if that is done; and if it was cordoned before us.

    The first note wins, so a resumed run still knows. Only a note "was cordoned before" on a node that is open now is
    stale: somebody opened it since.
    """
    unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
    note = read_note(node)
    if note is not None and unschedulable:
        return None, note["was_unschedulable"]
    if note is not None and not note["was_unschedulable"]:
        return {"spec": {"unschedulable": True}}, False
    text = json.dumps({"by": by, "reason": reason, "at": at, "was_unschedulable": unschedulable}, sort_keys=True)
    return {"metadata": {"annotations": {NOTE_ANNOTATION: text}}, "spec": {"unschedulable": True}}, unschedulable


def uncordon_patch(node: Json, force: bool = False) -> tuple[dict[str, Any] | None, str]:
    """Return the merge patch that opens ``node`` again as it was before us, or None; and a sentence about it."""
    name = node["metadata"]["name"]
    unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
    note = read_note(node)
    patch: dict[str, Any] = {}
    if note is not None:
        patch["metadata"] = {"annotations": {NOTE_ANNOTATION: None}}
    if unschedulable and (force or (note is not None and not note["was_unschedulable"])):
        patch["spec"] = {"unschedulable": None}
        return patch, f"Node {name} takes pods again."
    if unschedulable and note is not None:
        return patch, f"Node {name} stays cordoned, as it was before unshim came."
    if unschedulable:
        return None, f"Node {name} stays cordoned: unshim did not cordon it."
    return patch or None, f"Node {name} already takes pods."
