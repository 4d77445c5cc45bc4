"""The table of alerts as a rules file of Prometheus, with what a user wants otherwise."""

from __future__ import annotations

import dataclasses
import difflib
import re
import string
from collections.abc import Mapping
from typing import Any

import yaml

from .alerts import ALERTS, BY_NAME, SEVERITIES, Alert

GROUP = "unshim"
CHANGEABLE = ("threshold", "for", "severity", "enabled")


class AlertError(Exception):
    """A user's setting for an alert that cannot be followed."""


def chosen(overrides: Mapping[str, Any]) -> tuple[Alert, ...]:
    """Return the alerts as a user wants them.

    Args:
        overrides: by an alert's name any of ``threshold``, ``for``, ``severity`` and ``enabled``.

    Raises:
        AlertError: an alert or a key is not known, or a value is not of its kind.
    """
    for name, wanted in overrides.items():
        _check(name, wanted)
    found = []
    for alert in ALERTS:
        wanted = overrides.get(alert.name, {})
        if not wanted.get("enabled", True):
            continue
        threshold = wanted.get("threshold", alert.threshold)
        found.append(
            dataclasses.replace(
                alert,
                threshold=threshold if threshold is None else float(threshold),
                hold=wanted.get("for", alert.hold),
                severity=wanted.get("severity", alert.severity),
            )
        )
    return tuple(found)


def _check(name: str, wanted: Any) -> None:
    where = f"unshim_alerts.{name}"
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, BY_NAME, 1)
        raise AlertError(
            f"{where}: there is no such alert{f'; do you mean {near[0]}?' if near else ''} docs/monitoring.md lists them."
        )
    if not isinstance(wanted, Mapping):
        raise AlertError(f"{where}: give it keys ({', '.join(CHANGEABLE)}), not {wanted!r}.")
    for key, value in wanted.items():
        if key not in CHANGEABLE:
            raise AlertError(f"{where}.{key}: there is no such key; there are {', '.join(CHANGEABLE)}.")
        if key == "threshold" and BY_NAME[name].threshold is None:
            raise AlertError(f"{where}.threshold: this alert has no threshold.")
        if key == "threshold" and (isinstance(value, bool) or not _is_number(value)):
            raise AlertError(f"{where}.threshold: {value!r} is not a number.")
        if key == "for" and not re.fullmatch(r"(\d+(ms|[smhdwy]))+", str(value)):
            raise AlertError(f"{where}.for: {value!r} is not a time as Prometheus writes it, such as 5m or 1h30m.")
        if key == "severity" and value not in SEVERITIES:
            raise AlertError(f"{where}.severity: {value!r} is not one of {', '.join(SEVERITIES)}.")
        if key == "enabled" and not isinstance(value, bool):
            raise AlertError(f"{where}.enabled: {value!r} is neither true nor false.")


def _is_number(value: Any) -> bool:
    try:
        return float(value) == float(value)
    except (TypeError, ValueError):
        return False


def expression(alert: Alert) -> str:
    """Return an alert's PromQL with its threshold."""
    return string.Template(alert.expression).substitute(threshold=number(alert.threshold or 0))


def number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def data(alerts: tuple[Alert, ...] = ALERTS) -> dict[str, Any]:
    """Return the rules file as data."""
    rules = [
        {
            "alert": alert.name,
            "expr": expression(alert),
            "for": alert.hold,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.remedy},
        }
        for alert in alerts
    ]
    return {"groups": [{"name": GROUP, "rules": rules}]}


def render(alerts: tuple[Alert, ...] = ALERTS) -> str:
    """Return the rules file."""
    head = "# Written by unshim from its table of alerts (docs/monitoring.md). Check with: promtool check rules FILE\n"
    return head + yaml.safe_dump(data(alerts), sort_keys=False, width=1000)
