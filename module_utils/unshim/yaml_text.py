"""YAML that nodes, clusters and repositories hold, read by the parser in C where PyYAML has it.

That parser composes by recursion and ends the process where a text is nested without end; and a few hundred bytes of aliases to
aliases can stand for gigabytes. Both are found in the parser's events, which come one by one, before anything is made of them.
"""

from __future__ import annotations

from typing import Any

import yaml

#: PyYAML's safe loader, in C where it was built with libyaml.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Nothing that is read here is nested half as deep, and what is made of it may go into it by recursion.
MOST_NESTED = 200
#: Values that a document stands for, its aliases followed.
MOST_VALUES = 500_000


class TooMuch(yaml.MarkedYAMLError):
    """A text is nested deeper, or stands for more values, than any that is meant."""


def load(text: str) -> Any:
    """Return the only document of a text, None if there is none; raises yaml.YAMLError or ValueError."""
    refuse_too_much(text)
    return yaml.load(text, Loader=Loader)


def load_all(text: str) -> list[Any]:
    """Return every document of a text; raises as :func:`load`."""
    refuse_too_much(text)
    return list(yaml.load_all(text, Loader=Loader))


def compose(text: str) -> yaml.Node | None:
    """Return the nodes of the only document of a text, with their places in it; for one that :func:`load` took.

    Raises yaml.YAMLError or RecursionError.
    """
    if text.startswith("\ufeff"):  # the parser in C counts places from behind a byte order mark
        return yaml.compose(text, Loader=yaml.SafeLoader)
    return yaml.compose(text, Loader=Loader)


def refuse_too_much(text: str) -> None:
    """Raise TooMuch where a text must not be composed, or another yaml.YAMLError where it cannot be."""
    if "*" not in text and len(text) <= MOST_VALUES and _most_nested(text) <= MOST_NESTED:
        return  # without an alias each value takes a character
    sizes: dict[str | None, int] = {}  # values under each anchor of the document
    unclosed: list[tuple[str | None, int]] = []  # the anchor of each collection around, and the values before it
    values = 0
    event: Any
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            sizes, values = {}, 0
        elif isinstance(event, yaml.CollectionStartEvent):
            unclosed.append((event.anchor, values))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = unclosed.pop()
            if anchor:
                sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            # An alias to what it is in would never end. One to nothing is for the composer to tell.
            never_ends = any(anchor == event.anchor for anchor, _ in unclosed)
            values += MOST_VALUES if never_ends else sizes.get(event.anchor, 0)
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if len(unclosed) > MOST_NESTED:
            raise TooMuch(problem=f"it is nested more than {MOST_NESTED} deep", problem_mark=event.start_mark)
        if values > MOST_VALUES:
            raise TooMuch(
                problem=f"it and its aliases stand for more than {MOST_VALUES} values", problem_mark=event.start_mark
            )


def _most_nested(text: str) -> int:
    """Return a bound of a text's nesting: a level has a bracket, or it has or shares a place before a line's first word."""
    indents = (len(line) - len(line.lstrip(" \t-?:")) for line in text.splitlines())
    return 2 * max(indents, default=0) + 2 + text.count("[") + text.count("{")
