"""Files on the controller that somebody else applies: manifests, Secrets and patches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .errors import KubeError


def write(directory: Path, files: Mapping[str, str], mode: str, check_mode: bool) -> bool:
    """Write texts by their path below a directory; return if that changed, or would change, one."""
    changed = False
    for name, text in files.items():
        path = directory / name
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            changed = True
            if check_mode:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, int(mode, 8))
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                os.fchmod(stream.fileno(), int(mode, 8))
                stream.write(text)
        except OSError as error:
            raise KubeError(f"{path} cannot be written on the controller: {error.strerror}.") from None
    return changed
