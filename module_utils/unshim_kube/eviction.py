"""Evicting many pods at once and watching them go.

Every pod gets its own eviction, asked again while a budget refuses it; one watch on the node tells which pods are gone, by
UID, so a pod that comes back elsewhere under its old name (a StatefulSet's) is neither waited for nor evicted again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import KubeError, Refused, Unreachable
from .followed import Followed

if TYPE_CHECKING:
    from .client import Api

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two tries for one pod
WORKERS = 16


@dataclass
class Leaving:
    """One pod on its way out."""

    name: str  # "namespace/name"
    uid: str
    accepted: bool = False  # the API server took the eviction, or the pod was terminating before
    gone_after: float | None = None  # seconds
    refusals: int = 0
    refusal: str = ""  # what holds it now; "" once accepted
    last_refusal: str = ""  # kept for the record
    next_try: float = 0.0
    pause: float = FIRST_PAUSE
    pending: Future[None] | None = field(default=None, repr=False)


class PodsOfNode(Followed):
    """The pods bound to one node."""

    def __init__(self, api: Api, node: str) -> None:
        super().__init__(api, "/api/v1/pods", fieldSelector=f"spec.nodeName={node}")


def empty(
    api: Api, node: PodsOfNode, leaving: Iterable[Leaving], version: str, grace_period: int, deadline: float
) -> list[Leaving]:
    """Evict the pods and wait until they are gone or ``deadline`` (of ``time.monotonic``) has come.

    Args:
        leaving: the pods; those already ``accepted`` are only waited for.
        version: the group version of the Eviction, from :func:`node_view.eviction_version`.
        grace_period: seconds; -1 means each pod's own.

    Returns:
        The pods that are still there; empty means done.
    """
    began = time.monotonic()
    waiting = list(leaving)
    with ThreadPoolExecutor(max_workers=max(1, min(WORKERS, len(waiting)))) as workers:
        while waiting:
            present = node.objects()
            now = time.monotonic()
            for pod in waiting:
                if pod.uid not in present:
                    pod.gone_after, pod.refusal = now - began, ""
            waiting = [pod for pod in waiting if pod.gone_after is None]
            if not waiting or now >= deadline:
                break
            for pod in waiting:
                if pod.pending is not None and pod.pending.done():
                    finished, pod.pending = pod.pending, None
                    finished.result()  # raises what cannot get better
                if pod.pending is None and not pod.accepted and now >= pod.next_try:
                    pod.pending = workers.submit(_evict, api, pod, version, grace_period)
            due = [pod.next_try for pod in waiting if not pod.accepted and pod.pending is None]
            busy = any(pod.pending is not None for pod in waiting)
            node.wait(max(0.02, min([deadline - now, 0.1 if busy else 1.0, *(moment - now for moment in due)])))
    return waiting


def _evict(api: Api, pod: Leaving, version: str, grace_period: int) -> None:
    namespace, _, name = pod.name.partition("/")
    options: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
    if grace_period >= 0:
        options["gracePeriodSeconds"] = grace_period
    body = {
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": options,
    }
    try:
        api.post(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body, retry_for=0)
    except Unreachable as error:
        _again(pod, error.message)
    except Refused as error:
        if error.status == 404:  # gone, the watch will say so
            pod.accepted, pod.refusal = True, ""
            return
        if not _may_pass(error):
            raise KubeError(
                f"The eviction of pod {pod.name} was refused for good: {error.said} ({error.status})."
            ) from None
        budget = "; ".join(
            cause.get("message", "") for cause in error.causes if cause.get("reason") == "DisruptionBudget"
        )
        _again(pod, budget or error.said)
    else:
        pod.accepted, pod.refusal = True, ""


def _may_pass(error: Refused) -> bool:
    if error.status == 500:
        return "more than one" not in error.said
    # 409: the object changed at the same moment, or is another pod of that name; the watch tells which.
    # 403 while its namespace is being deleted: the pod will be, too.
    return error.status in (409, 429, 502, 503, 504) or (
        error.status == 403 and error.has_cause("NamespaceTerminating")
    )


def _again(pod: Leaving, why: str) -> None:
    pod.refusals += 1
    pod.refusal = pod.last_refusal = why
    pod.next_try = time.monotonic() + pod.pause
    pod.pause = min(pod.pause * 2, LONGEST_PAUSE)
