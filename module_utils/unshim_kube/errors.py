"""What the API side raises for the operator to read."""

from __future__ import annotations

import os
import traceback
from typing import Any


class KubeError(Exception):
    """Something is wrong with the cluster or the way to it.

    Args:
        message: one or two complete sentences: what is wrong, on which server, file or object, and what to do.
        details: optional facts for programs; they become further keys of the module's result.
    """

    def __init__(self, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})


class NoSuchNode(KubeError):
    """The cluster has no node of this name."""


class Unreachable(KubeError):
    """The API server gave no answer."""


class Refused(KubeError):
    """The API server answered with an error.

    Args:
        status: the HTTP status.
        said: the server's own message.
        reason: its machine-readable reason, for example "NotFound".
        causes: the ``details.causes`` of its Status, dicts with "reason" and "message".
    """

    def __init__(
        self, message: str, status: int, said: str = "", reason: str = "", causes: tuple[dict[str, Any], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.said = said
        self.reason = reason
        self.causes = causes

    def has_cause(self, reason: str) -> bool:
        return any(cause.get("reason") == reason for cause in self.causes)


def own_fault(name: str, error: BaseException) -> str:
    """Return what is said of an exception that nobody foresaw in the module or action ``name``: no traceback reaches an operator."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    return f"internal error in {name} (please report): {type(error).__name__}: {error} at {where}"
