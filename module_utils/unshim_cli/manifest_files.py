"""Manifests on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from unshim.workloads.manifests import read
from unshim.workloads.model import Document, Problem, printable

SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"


def read_all(paths: list[str]) -> tuple[list[Document], list[Problem]]:
    """Return the objects below some files and directories, and what could not be read; ``-`` is standard input."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for name in paths:
        for file in _files(name):
            try:
                text = sys.stdin.buffer.read().decode() if file == STDIN else Path(file).read_bytes().decode()
            except OSError as error:
                problems.append(Problem(f"It cannot be read: {error.strerror}.", printable(file)))
                continue
            except UnicodeDecodeError as error:
                line = error.object.count(b"\n", 0, error.start) + 1
                problems.append(Problem("It is not UTF-8.", printable(file), line))
                continue
            if file.endswith(".json") and not ('"kind"' in text and '"apiVersion"' in text):
                continue  # a package.json and its like
            found, wrong = read(text, "standard input" if file == STDIN else printable(file))
            documents += found
            problems += wrong
    return documents, problems


def _files(name: str) -> Iterator[str]:
    if name == STDIN or not os.path.isdir(name):
        yield name
        return
    for directory, folders, files in os.walk(name):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        yield from (os.path.join(directory, file) for file in sorted(files) if file.endswith(SUFFIXES))
