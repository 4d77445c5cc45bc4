"""Write a file on the controller so that nobody reads it who may not, and nothing is written through a link."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, text: str, mode: int, errors: str = "strict") -> None:
    """Replace ``path`` at once: there is the old file or the whole new one, which has ``mode`` before it has content.

    A symlink at ``path`` is replaced, not followed. The directory has to be there.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "w", encoding="utf-8", errors=errors) as stream:
            os.fchmod(stream.fileno(), mode)  # whatever the umask is
            stream.write(text)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
