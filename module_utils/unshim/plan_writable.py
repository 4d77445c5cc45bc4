"""Whether everything a plan would write can be written at all: asked before anything is."""

from __future__ import annotations

from .plan_draft import JOURNAL, Draft

UNIT_DIRECTORY = "/etc/systemd/system"  # where a mask is a link, and a drop-in is ours where a unit cannot be masked
_FILE = {
    "immutable": ("has the immutable attribute, so it cannot be changed", "Run chattr -i {}"),
    "append-only": ("has the append-only attribute, so it cannot be changed", "Run chattr -a {}"),
    "mounted": (
        "has something mounted on it, so it cannot be replaced",
        "Change what is mounted there, or run umount {}",
    ),
}
_DIRECTORY = {
    "immutable": ("has the immutable attribute", "Run chattr -i {}"),
    "append-only": ("has the append-only attribute", "Run chattr -a {}"),
    "read-only": ("is on a read-only file system", "Mount it read-write"),
}


def check_writable(draft: Draft) -> None:
    """Block where a file of the plan, or the journal, cannot be written. Modules check the same again on the node."""
    obstacles = draft.facts.obstacles
    paths = [change.path for change in draft.files] + [copy.path for copy in draft.copies]
    paths += [f"{UNIT_DIRECTORY}/{change.unit}" for change in draft.units if change.action == "mask"]
    closed: dict[str, list[str]] = {}  # by directory
    for path in dict.fromkeys([*paths, JOURNAL] if paths else []):
        if obstacles.get(path) in _FILE:
            problem, remedy = _FILE[obstacles[path]]
            _block(draft, f"{path} {problem}", remedy.format(path))
            continue
        directory = _nearest(path, obstacles)
        if obstacles.get(directory) in _DIRECTORY:
            closed.setdefault(directory, []).append(path)
    for directory, inside in closed.items():
        problem, remedy = _DIRECTORY[obstacles[directory]]
        _block(
            draft,
            f"the directory {directory} {problem}, so {', '.join(inside)} cannot be written",
            remedy.format(directory),
        )


def _block(draft: Draft, problem: str, remedy: str) -> None:
    draft.block("not-writable", problem, f"{remedy}, and plan again.")


def _nearest(path: str, looked_at: dict[str, str]) -> str:
    """Return the directory above ``path`` that the probe looked at, the nearest."""
    directory = path.rsplit("/", 1)[0]
    while directory and directory not in looked_at:
        directory = directory.rsplit("/", 1)[0]
    return directory or "/"
