"""One pod of ours on one node: created, watched, run into, and always deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from .errors import KubeError, Refused, Unreachable
from .followed import Followed

if TYPE_CHECKING:
    from .client import Api, Executed

PAUSE = 0.5  # seconds between two looks, where the API cannot be listened to
NUDGE_EVERY = 0.5  # seconds
NUDGED = "unshim.io/asked-to-go"  # annotation of a pod that is to go

Json = dict[str, Any]


class Canary:
    """A pod that is gone when the ``with`` block ends, however it ends.

    Args:
        manifest: the pod; its name must be new.
        delete_timeout: seconds it may take to disappear.
    """

    def __init__(self, api: Api, manifest: Json, delete_timeout: float) -> None:
        self._api = api
        self._manifest = manifest
        self._delete_timeout = delete_timeout
        self.namespace: str = manifest["metadata"]["namespace"]
        self.name: str = manifest["metadata"]["name"]
        self.path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self._gone = False
        self.last: Json = {}  # the pod as it was seen last while it was being deleted

    def __enter__(self) -> Self:
        try:
            self._api.post(f"/api/v1/namespaces/{self.namespace}/pods", self._manifest)
        except Refused as error:
            # An answer that was lost on the way: the retry finds our own pod. The name is random.
            if error.status != 409 or error.reason != "AlreadyExists":
                raise
        except BaseException:
            self._give_up()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._gone:
            self._give_up()

    def read(self) -> Json:
        return self._api.get(self.path)

    def wait(self, done: Callable[[Json], bool], hopeless: Callable[[Json], str], timeout: float) -> tuple[Json, str]:
        """Return the pod as soon as it is ``done`` or hopeless, at the latest after ``timeout``; and why it is hopeless."""
        deadline = time.monotonic() + timeout
        with self._followed() as seen:
            while True:
                pod = self._seen(seen) or self.read()
                why = hopeless(pod)
                if why or done(pod) or time.monotonic() >= deadline:
                    return pod, why
                seen.wait(PAUSE if not seen.is_current else deadline - time.monotonic())

    def _followed(self) -> Followed:
        return Followed(
            self._api, f"/api/v1/namespaces/{self.namespace}/pods", fieldSelector=f"metadata.name={self.name}"
        )

    def _seen(self, seen: Followed) -> Json | None:
        """Return the pod as the API said last, None if it is gone or the API has to be asked."""
        return next(iter(seen.objects().values()), None) if seen.is_current else None

    def log(self, container: str) -> str:
        return self._api.text(f"{self.path}/log", container=container, tailLines=20)

    def run(self, container: str, *command: str, timeout: float = 15.0) -> Executed:
        return self._api.execute(self.namespace, self.name, container, list(command), timeout)

    def events(self) -> list[str]:
        """Return the kubelet's latest words about the pod, "Reason: message"."""
        try:
            found = self._api.list_objects(
                f"/api/v1/namespaces/{self.namespace}/events",
                fieldSelector=f"involvedObject.name={self.name}",
                retry_for=0,
            )
        except KubeError:
            return []
        told = [
            f"{event.get('reason', '')}: {event.get('message', '')}"
            for event in found
            if event.get("type") == "Warning"
        ]
        return list(dict.fromkeys(told))[-3:]

    def delete(self) -> float | None:
        """Delete the pod and wait until it is gone; return the seconds that took, None if it is still there.

        A kubelet before 1.22 that finds a pod's remains at its first try looks again with its next round through all pods only,
        up to 10 s later (``syncPeriod`` in pkg/kubelet/status/status_manager.go). A change of the pod makes it look at once
        (``dispatchWork`` in pkg/kubelet/kubelet.go); it still decides by itself that nothing is left.
        """
        began = nudged = time.monotonic()
        with self._followed() as seen:
            self._api.delete(self.path)
            while True:
                try:
                    self.last = self._seen(seen) or self.read()
                except Refused as error:
                    if error.status == 404:
                        self._gone = True
                        return time.monotonic() - began
                    raise
                now = time.monotonic()
                left = began + self._delete_timeout - now
                if left <= 0:
                    # The kubelet finishes a terminating pod when it can; forcing it would only hide its container.
                    self._gone = True
                    return None
                if now >= nudged + NUDGE_EVERY:
                    nudged = now
                    self._nudge(now - began)
                seen.wait(PAUSE if not seen.is_current else min(nudged + NUDGE_EVERY - now, left))

    def _nudge(self, waited: float) -> None:
        """Change an annotation of the pod, which costs nobody anything; where that is refused, waiting goes on without."""
        try:
            self._api.patch(self.path, {"metadata": {"annotations": {NUDGED: f"{waited:.1f} s later"}}}, retry_for=0)
        except KubeError:
            return

    def _give_up(self) -> None:
        try:
            self._api.delete(self.path, retry_for=20)
        except KubeError:  # the first cause is what the operator must read; the next run removes leftovers
            return


def remove_leftovers(api: Api, namespace: str, node: str, selector: str, timeout: float = 60.0) -> list[str]:
    """Delete canary pods of an earlier, interrupted run on ``node``; return their names."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    query: dict[str, Any] = {"labelSelector": selector, "fieldSelector": f"spec.nodeName={node}"}
    found = api.list_objects(path, **query)
    for pod in found:
        api.delete(f"{path}/{pod['metadata']['name']}")
    deadline = time.monotonic() + timeout
    left = found
    while left and time.monotonic() < deadline:
        time.sleep(PAUSE)
        left = api.list_objects(path, **query)
    for pod in left:  # ours, worth nothing, and its kubelet had a minute
        api.delete(f"{path}/{pod['metadata']['name']}", gracePeriodSeconds=0)
    return [pod["metadata"]["name"] for pod in found]


def repeat(attempt: Callable[[], tuple[bool, str]], timeout: float) -> tuple[bool, str]:
    """Call ``attempt`` until it says True or ``timeout`` seconds are over; return its last answer."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            passed, evidence = attempt()
        except Unreachable:
            raise
        except KubeError as error:
            passed, evidence = False, error.message
        if passed or time.monotonic() >= deadline:
            return passed, evidence
        time.sleep(1.0)
