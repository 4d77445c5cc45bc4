"""A planner's settings from what Ansible holds: the argument of ``migration_plan``, or a host's ``unshim_...`` variables."""

from __future__ import annotations

import dataclasses
from typing import Any

from . import records
from .plan_model import Settings

_LISTS = ("stop_foreign_containers", "no_proxy")


def names() -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(Settings))


def from_plain(given: dict[str, Any]) -> Settings:
    """Return settings given by name; None means the default, and lists and booleans may be text, as ``-e name=value`` is.

    Raises:
        cattrs.BaseValidationError: a setting has the wrong shape.
    """
    plain = {name: value for name, value in given.items() if value is not None}
    if isinstance(plain.get("all_images"), str):
        plain["all_images"] = plain["all_images"].lower() in ("true", "yes", "on", "1")
    for name in _LISTS:
        if isinstance(plain.get(name), str):
            plain[name] = [entry.strip() for entry in plain[name].split(",") if entry.strip()]
    return records.from_data(Settings, plain)


def of_variables(variables: dict[str, Any]) -> Settings:
    """Return the settings in a host's variables; the goal is to move its kubelet."""
    return from_plain({name: variables.get(f"unshim_{name}") for name in names() if name != "goal"})
