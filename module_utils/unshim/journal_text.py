"""Which text of a node's journal counts: the journal, or the generation before it where the journal is lost or damaged.

The same rule as ``unshim_node.journal`` follows on the node, so that planner and modules see the same state.
"""

from __future__ import annotations

import json
from dataclasses import replace

from .facts import File

JOURNAL = "/var/lib/unshim/journal.json"
PREVIOUS = JOURNAL + ".previous"


def in_force(files: dict[str, File]) -> dict[str, File]:
    """Return the files the probe saw, with the journal's content as it counts."""
    previous = files.get(PREVIOUS)
    journal = files.get(JOURNAL, File(JOURNAL))
    if previous is None or not _is_journal(previous) or _is_journal(journal) or journal.kind not in ("file", "missing"):
        return files
    return {**files, JOURNAL: replace(previous, path=JOURNAL)}


def is_older(files: dict[str, File]) -> bool:
    """Return whether what counts as the journal is the generation before it."""
    return JOURNAL in files and PREVIOUS in files and files[JOURNAL] == replace(files[PREVIOUS], path=JOURNAL)


def _is_journal(file: File) -> bool:
    try:
        data = json.loads(file.content or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "format" in data
