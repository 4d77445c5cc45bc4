"""Facts and plans travel through Ansible and JSON as plain data; here they are turned into it and back."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import cattrs

T = TypeVar("T")
_converter = cattrs.Converter(forbid_extra_keys=False)


def prepare(*kinds: type[Any]) -> None:
    """Have the converters of these dataclasses made, which otherwise takes the first use of them many times its own time."""
    for kind in kinds:
        _converter.get_structure_hook(kind)
        _converter.get_unstructure_hook(kind)


def to_data(record: Any) -> Any:
    """Return ``record`` (a dataclass, or a list of them) as dicts, lists and scalars that JSON can hold."""
    return json.loads(json.dumps(_converter.unstructure(record)))


def from_data(kind: type[T], data: Any) -> T:
    """Return ``data`` as a ``kind``; raises :class:`cattrs.BaseValidationError` where a field has the wrong shape.

    Values that come out of Ansible are tagged subclasses of str, dict and list; a trip through JSON makes them plain.
    """
    return _converter.structure(json.loads(json.dumps(data)), kind)
