"""Can the rest of a cluster take the pods of some nodes? A pure estimate of what the scheduler will find.

It knows what keeps most pods off a node: taints, node selectors and required node affinity, host ports, and requests of CPU,
memory and pods (kubernetes.io/docs/concepts/scheduling-eviction). Anti-affinity, spreading and volumes are the scheduler's matter.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from . import drain
from .node_gate import ready_condition

Json = Mapping[str, Any]

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    **{letter: Decimal(1000) ** power for power, letter in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{letter + "i": Decimal(1024) ** power for power, letter in enumerate(("K", "M", "G", "T", "P", "E"), 1)},
}  # fmt: skip


def quantity(text: Any) -> Decimal:
    """Return a Kubernetes quantity such as ``100m``, ``1.5Gi`` or ``1e3`` as a number."""
    found = re.fullmatch(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([KMGTPE]i|[numkMGTPE]?)", str(text))
    if not found:
        return Decimal(0)  # the API server takes no such thing
    return Decimal(found[1]) * _SUFFIXES[found[2]]


@dataclass
class Free:
    """What a node still has to give."""

    node: Json
    left: dict[str, Decimal]
    ports: set[tuple[str, int]] = field(default_factory=set)


def requests(pod: Json) -> dict[str, Decimal]:
    """Return what a pod asks for: the sum of its containers or the largest init container, plus its overhead."""
    spec = pod.get("spec") or {}

    def of(container: Json, name: str) -> Decimal:
        return quantity(((container.get("resources") or {}).get("requests") or {}).get(name, 0))

    found = {"pods": Decimal(1)}
    for name in ("cpu", "memory"):
        usual = sum((of(container, name) for container in spec.get("containers") or ()), Decimal(0))
        first = max((of(container, name) for container in spec.get("initContainers") or ()), default=Decimal(0))
        found[name] = max(usual, first) + quantity((spec.get("overhead") or {}).get(name, 0))
    return found


def host_ports(pod: Json) -> set[tuple[str, int]]:
    return {
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in (pod.get("spec") or {}).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def wants_node(pod: Json, node: Json) -> bool:
    """Tell if the pod's node selector and required node affinity allow this node."""
    spec = pod.get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches(expression, labels) for expression in term.get("matchExpressions") or ())
        and all(_matches(expression, fields) for expression in term.get("matchFields") or ())
        for term in required.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _matches(expression: Json, labels: Mapping[str, str]) -> bool:
    operator, value = expression["operator"], labels.get(expression["key"])
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    values: list[str] = expression.get("values") or []
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    try:
        return int(value or "") > int(values[0]) if operator == "Gt" else int(value or "") < int(values[0])
    except (ValueError, IndexError):
        return False


def tolerates_node(pod: Json, node: Json) -> bool:
    taints = (node.get("spec") or {}).get("taints") or ()
    return all(drain.tolerates(pod, taint) for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute"))


def free_nodes(nodes: Iterable[Json], pods: Iterable[Json], without: Collection[str]) -> list[Free]:
    """Return the nodes that take pods, with what their pods leave of them."""
    found = {}
    for node in nodes:
        name = node["metadata"]["name"]
        if name in without or (node.get("spec") or {}).get("unschedulable"):
            continue
        if ready_condition(node).get("status") != "True":
            continue
        given = (node.get("status") or {}).get("allocatable") or {}
        found[name] = Free(node, {key: quantity(given[key]) for key in ("cpu", "memory", "pods") if key in given})
    for pod in pods:
        free = found.get((pod.get("spec") or {}).get("nodeName", ""))
        if free and not drain.is_finished(pod):
            _take(free, pod)
    return list(found.values())


def _take(free: Free, pod: Json) -> None:
    for key, amount in requests(pod).items():
        if key in free.left:
            free.left[key] -= amount
    free.ports |= host_ports(pod)


def _fits(free: Free, pod: Json) -> bool:
    wanted = requests(pod)
    return all(wanted.get(key, 0) <= left for key, left in free.left.items()) and not (host_ports(pod) & free.ports)


def explain_no_room(
    nodes: Iterable[Json], pods: Iterable[Json], leaving: Iterable[Json], without: Collection[str]
) -> str:
    """Return "" if the rest of the cluster can take all of ``leaving`` together, else what it has no room for.

    A pod that only nodes of ``without`` may run waits for its node, as it would during any drain, and needs no room.

    Args:
        pods: every pod of the cluster.
        leaving: the pods that must go elsewhere.
        without: nodes that take none of them: those that are drained, and those that are down.
    """
    every = list(nodes)
    others = [node for node in every if node["metadata"]["name"] not in without]
    moving = [
        pod for pod in leaving if drain.controller(pod) and not drain.is_finished(pod) and not drain.is_terminating(pod)
    ]
    if not moving:
        return ""
    if not others:
        names = sorted(node["metadata"]["name"] for node in every)
        if len(names) == 1:
            return f"{names[0]} is the only node of the cluster, so {_names(moving)} could run nowhere else"
        return f"no node is left for {_names(moving)}: {', '.join(names)} would all be closed"
    free = free_nodes(every, pods, without)
    homeless = []
    # The largest first: what is placed last is what fits anywhere.
    for pod in sorted(moving, key=lambda pod: (requests(pod)["memory"], requests(pod)["cpu"]), reverse=True):
        if not any(wants_node(pod, node) for node in others):
            continue
        place = next(
            (one for one in free if wants_node(pod, one.node) and tolerates_node(pod, one.node) and _fits(one, pod)),
            None,
        )
        if place is None:
            homeless.append(pod)
        else:
            _take(place, pod)
            free.sort(key=lambda one: one.left.get("memory", Decimal(0)), reverse=True)
    if not homeless:
        return ""
    if not free:
        return f"no node is left for {_names(homeless)}: none of the others is Ready and takes pods"
    return f"the other nodes have no room for {_names(homeless)} ({_free(free)})"


def _names(pods: list[Json]) -> str:
    named = [f"{drain.pod_name(pod)} ({_asked(pod)})" for pod in sorted(pods, key=drain.pod_name)]
    return ", ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else "")


def _asked(pod: Json) -> str:
    wanted = requests(pod)
    parts = [f"cpu {wanted['cpu'].normalize():f}"] if wanted["cpu"] else []
    parts += [f"memory {_mebibytes(wanted['memory'])}"] if wanted["memory"] else []
    parts += [f"host port {port}" for _, port in sorted(host_ports(pod))]
    return ", ".join(parts) or "no requests"


def _free(free: list[Free]) -> str:
    parts = [
        f"{one.node['metadata']['name']}: cpu {one.left['cpu'].normalize():f}, memory {_mebibytes(one.left['memory'])}, "
        f"{one.left['pods']} pods free"
        for one in sorted(free, key=lambda one: one.node["metadata"]["name"])
        if {"cpu", "memory", "pods"} <= set(one.left)
    ]
    return "; ".join(parts[:6]) + (f"; and {len(parts) - 6} more" if len(parts) > 6 else "")


def _mebibytes(amount: Decimal) -> str:
    return f"{int(amount / 1024**2)}Mi"
