"""Facts and plans travel through Ansible and JSON as plain data; here they are turned into it and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import cattrs

T = TypeVar("T")
_converter = cattrs.Converter(forbid_extra_keys=False)


def prepare(*kinds: type[Any]) -> None:
    """Have the converters of these dataclasses, and of all that they hold, made: the first use takes many times its own time."""
    # To make one may empty the cache of those that turn records into data, so all are asked for twice.
    for kind in 2 * _dataclasses_in(kinds):
        _converter.get_structure_hook(kind)
        _converter.get_unstructure_hook(kind)


def _dataclasses_in(kinds: Iterable[Any]) -> list[type[Any]]:
    found: list[type[Any]] = []
    unseen = [*kinds]
    while unseen:
        kind = unseen.pop()
        if not (isinstance(kind, type) and is_dataclass(kind)):
            unseen += get_args(kind)
        elif kind not in found:
            found.append(kind)
            unseen += get_type_hints(kind).values()
    return found


def to_data(record: Any) -> Any:
    """Return ``record`` (a dataclass, or a list of them) as dicts, lists and scalars that JSON can hold."""
    return json.loads(json.dumps(_converter.unstructure(record)))


def from_data(kind: type[T], data: Any) -> T:
    """Return ``data`` as a ``kind``; raises :class:`cattrs.BaseValidationError` where a field has the wrong shape.

    Values that come out of Ansible are tagged subclasses of str, dict and list; a trip through JSON makes them plain.
    """
    return _converter.structure(json.loads(json.dumps(data)), kind)
