"""Objects of the API that are kept up to date by a list and a watch, so that waiting for them asks the API nothing more.

A list of one node's pods makes an API server read every pod of the cluster: to ask for it again and again, for each node of
a batch, is what a large cluster feels.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Self

from .errors import KubeError

if TYPE_CHECKING:
    from .client import Api

WATCH_SECONDS = 30
AGAIN = 0.5  # seconds after a watch that failed


class Pulse:
    """Says that something changed; several lists may share one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._beats = self._heard = 0

    def beat(self) -> None:
        with self._condition:
            self._beats += 1
            self._condition.notify_all()

    def wait(self, seconds: float) -> None:
        """Return when something has changed since the last call, at the latest after ``seconds``."""
        with self._condition:
            self._condition.wait_for(lambda: self._beats != self._heard, max(0.0, seconds))
            self._heard = self._beats


class Followed:
    """The objects of one list.

    Args:
        pulse: told of every change; a new one if left out.
        retry_for: seconds for which an API server that does not answer is asked again, for the first list.

    Attributes:
        is_current: whether the API has answered when it was asked last; else what is known may be old.
    """

    def __init__(
        self, api: Api, path: str, *, pulse: Pulse | None = None, retry_for: float | None = None, **query: Any
    ) -> None:
        self._api, self._path, self._query = api, path, query
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Any]] = {}
        self._version = ""
        self._ended = threading.Event()
        self.pulse = pulse or Pulse()
        self.is_current = True
        self._list(retry_for)

    def __enter__(self) -> Self:
        threading.Thread(target=self._follow, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def objects(self) -> dict[str, dict[str, Any]]:
        """Return them by UID."""
        with self._lock:
            return dict(self._objects)

    def wait(self, seconds: float) -> None:
        self.pulse.wait(seconds)

    def _list(self, retry_for: float | None = None) -> None:
        found, version = self._api.list_with_version(self._path, retry_for=retry_for, **self._query)
        with self._lock:
            self._objects = {one["metadata"]["uid"]: one for one in found}
            self._version = version
        self.is_current = True
        self.pulse.beat()

    def _follow(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                for event in self._api.watch(
                    self._path, seconds=WATCH_SECONDS, resourceVersion=self._version, **self._query
                ):
                    if event["type"] == "ERROR":  # mostly 410: the version is too old
                        break
                    self._apply(event["type"], event["object"])
                    if self._ended.is_set():
                        return
                else:
                    if time.monotonic() - began < AGAIN:
                        self._ended.wait(AGAIN)
                    continue
            except (KubeError, ValueError, KeyError):  # also: may not watch, or cut in the middle of a line
                self._ended.wait(AGAIN)
            try:
                self._list(retry_for=0)
            except KubeError:
                self.is_current = False
                self.pulse.beat()
                self._ended.wait(AGAIN)

    def _apply(self, kind: str, changed: dict[str, Any]) -> None:
        with self._lock:
            self._version = changed["metadata"]["resourceVersion"]
            if kind == "DELETED":
                self._objects.pop(changed["metadata"]["uid"], None)
            elif kind in ("ADDED", "MODIFIED"):
                self._objects[changed["metadata"]["uid"]] = changed
        self.pulse.beat()
