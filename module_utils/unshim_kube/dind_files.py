"""Files on the controller that somebody else applies: manifests, Secrets and patches."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from . import written_file
from .errors import KubeError


def is_same(path: Path, text: str, mode: int) -> bool:
    """Return whether a file, and no link to one, has this text and this mode already."""
    try:
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode) or stat.S_IMODE(info.st_mode) != mode:
            return False
        return path.read_text(encoding="utf-8") == text
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def write(directory: Path, files: Mapping[str, str], mode: str, check_mode: bool) -> bool:
    """Write texts by their path below a directory; return if that changed, or would change, one."""
    changed = False
    for name, text in files.items():
        path = directory / name
        try:
            if is_same(path, text, int(mode, 8)):
                continue
            changed = True
            if check_mode:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            written_file.replace(path, text, int(mode, 8))
        except OSError as error:
            raise KubeError(f"{path} cannot be written on the controller: {error.strerror}.") from None
    return changed
