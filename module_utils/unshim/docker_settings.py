"""The settings dockerd runs with, by the keys of daemon.json."""

from __future__ import annotations

import json
from typing import Any


class DaemonJsonError(Exception):
    """daemon.json cannot be read; the message says where."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def parse_daemon_json(text: str) -> dict[str, Any]:
    """Return daemon.json as data, {} if it is empty; raises DaemonJsonError where it is not a JSON object."""
    if not text.strip():
        return {}
    try:
        data = json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise DaemonJsonError(error.msg, error.lineno, error.colno) from None
    except RecursionError:
        raise DaemonJsonError("it is nested too deeply") from None
    if not isinstance(data, dict):
        raise DaemonJsonError("it is not a JSON object", 1, 1)
    return data
