"""Manifests as text: objects with the line each of their values is in, and what cannot be read with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from .. import yaml_text
from .model import Document, Path, Problem, printable

_START = re.compile(r"(?m)^---(?=\s|$)")
_MARK = re.compile(r"\{\{")


def read(text: str, file: str, node: str = "") -> tuple[list[Document], list[Problem]]:
    """Return the Kubernetes objects of a file, its lists taken apart, and what is wrong with it.

    One broken document does not hide the others. What is no Kubernetes object (values of a chart, say) is passed over.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    for piece, first_line in _pieces(text.removeprefix("\ufeff")):
        try:
            yaml_text.refuse_too_much(piece)
            loader = yaml_text.Loader(piece)
            try:
                root = loader.get_single_node()
                if root is None:
                    continue
                value = loader.construct_document(root)
            finally:
                loader.dispose()
        except yaml.YAMLError as error:
            problems.append(_problem(error, piece, file, first_line))
            continue
        except (ValueError, RecursionError, OverflowError) as error:  # a date that is none, nesting without end
            problems.append(Problem(printable(f"It cannot be read as YAML: {str(error)[:200]}."), file, first_line))
            continue
        documents += _objects(value, root, (), file, first_line, node)
    return documents, problems


def _pieces(text: str) -> Iterator[tuple[str, int]]:
    """Yield each document of a text and the line it begins in."""
    begin = 0
    for match in [*_START.finditer(text), None]:
        end = match.start() if match else len(text)
        piece = text[begin:end]
        body = piece.removeprefix("---")
        if any(
            line.strip() and not line.lstrip().startswith(("#", "%")) and line.strip() != "..."
            for line in body.splitlines()
        ):
            yield piece, text.count("\n", 0, begin) + 1
        begin = end


def _problem(error: yaml.YAMLError, piece: str, file: str, first_line: int) -> Problem:
    mark = getattr(error, "problem_mark", None)
    line = first_line + mark.line if mark else first_line
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    if isinstance(error, yaml.reader.ReaderError):
        line = first_line + piece.count("\n", 0, error.position)
        what = "a character that YAML does not allow"
    hint = ""
    if _MARK.search(piece):
        hint = " It looks like a chart's template: scan what helm template prints."
    return Problem(printable(f"It is not valid YAML: {what}.{hint}"), file, line)


def _objects(value: Any, root: yaml.Node, path: Path, file: str, first_line: int, node: str) -> Iterator[Document]:
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _objects(one, root, (*path, index), file, first_line, node)
    elif isinstance(value, dict):
        if str(value.get("kind") or "").endswith("List") and isinstance(value.get("items"), list):
            for index, one in enumerate(value["items"]):
                yield from _objects(one, root, (*path, "items", index), file, first_line, node)
        elif isinstance(value.get("kind"), str) and isinstance(value.get("apiVersion"), str):

            def line_of(inner: Path) -> int:
                return first_line + _line(root, (*path, *inner))

            yield Document(value, file, line_of, node)


def _line(node: yaml.Node, path: Path) -> int:
    """Return the line, from 0, of the value at ``path``, or of the nearest thing around it."""
    line = node.start_mark.line
    for part in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if getattr(key, "value", None) == str(part):
                    found, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = node.value[part]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return line
