"""Whether everything a plan would write can be written at all: asked before anything is."""

from __future__ import annotations

from .plan_draft import JOURNAL, Draft

_FILE = {
    "immutable": ("has the immutable attribute, so it cannot be changed", "chattr -i {}"),
    "append-only": ("has the append-only attribute, so it cannot be changed", "chattr -a {}"),
    "mounted": (
        "has something mounted on it, so it cannot be replaced",
        "change what is mounted there, or umount {}",
    ),
}
_DIRECTORY = {
    "immutable": ("the directory {} has the immutable attribute", "chattr -i {}"),
    "append-only": ("the directory {} has the append-only attribute", "chattr -a {}"),
    "read-only": ("the directory {} is on a read-only file system", "mount it read-write"),
}


def check_writable(draft: Draft) -> None:
    """Block where a file of the plan, or the journal, cannot be written. Modules check the same again on the node."""
    obstacles = draft.facts.obstacles
    paths = [change.path for change in draft.files] + [copy.path for copy in draft.copies]
    for path in dict.fromkeys([*paths, JOURNAL] if paths else []):
        problem, remedy = _problem(path, obstacles)
        if problem:
            draft.block("not-writable", problem, f"{remedy[:1].upper()}{remedy[1:]}, or take it out of the move.")


def _problem(path: str, obstacles: dict[str, str]) -> tuple[str, str]:
    if obstacles.get(path) in _FILE:
        what, remedy = _FILE[obstacles[path]]
        return f"{path} {what}", remedy.format(path)
    directory = path.rsplit("/", 1)[0]
    while directory and directory not in obstacles:
        directory = directory.rsplit("/", 1)[0]
    directory = directory or "/"
    if obstacles.get(directory) in _DIRECTORY:
        what, remedy = _DIRECTORY[obstacles[directory]]
        return f"{path} cannot be written: {what.format(directory)}", remedy.format(directory)
    return "", ""
