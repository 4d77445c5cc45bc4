"""What the gate before a batch and the soak after it look at, read in as few calls as can be, and followed where it changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import KubeError
from .node_view import budget_version, list_budgets, list_nodes, pods_on

if TYPE_CHECKING:
    from .client import Api

Json = dict[str, Any]

LONGEST_WATCH = 60


class Changes:
    """Wakes whoever waits when an object of some kinds changes; watches stand until :meth:`stop`."""

    def __init__(self, api: Api, paths: Iterable[tuple[str, dict[str, Any]]]) -> None:
        self._api = api
        self._happened = threading.Event()
        self._stopped = False
        for path, query in paths:
            threading.Thread(target=self._follow, args=(path, query), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Return when something changed since the last wait, at the latest after ``seconds``."""
        self._happened.wait(seconds)
        self._happened.clear()

    def stop(self) -> None:
        self._stopped = True

    def _follow(self, path: str, query: dict[str, Any]) -> None:
        pause = threading.Event()
        while not self._stopped:
            # Without a version the watch begins with what is there: one needless look, and nothing can be missed.
            with contextlib.suppress(KubeError, ValueError, KeyError):
                for _event in self._api.watch(path, seconds=LONGEST_WATCH, **query):
                    if self._stopped:
                        return
                    self._happened.set()
            pause.wait(1.0)


@contextlib.contextmanager
def changes(api: Api, *paths: tuple[str, dict[str, Any]]) -> Iterator[Changes]:
    standing = Changes(api, paths)
    try:
        yield standing
    finally:
        standing.stop()


def nodes(api: Api) -> list[Json]:
    return list_nodes(api)


def every_pod(api: Api) -> list[Json]:
    """Return the pods that are not finished, of the whole cluster: what a node has left depends on all of them."""
    return api.list_objects("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed")


def pods_of(api: Api, names: Iterable[str]) -> list[Json]:
    return [pod for name in names for pod in pods_on(api, name)]


def budgets(api: Api) -> tuple[list[Json], str]:
    """Return the PodDisruptionBudgets of the cluster, and the version they were read in."""
    version = budget_version(api)
    return list_budgets(api, version), version
