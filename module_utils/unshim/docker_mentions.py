"""The lines that mention Docker in what cron and systemd run, as ``probe.sh`` prints them, made into facts.

The records come encoded, a tab between their fields: a file on a node may be called anything and have any bytes in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .facts import Mention
from .sections import Section


def read(sections: Sequence[Section]) -> tuple[Mention, ...] | None:
    """Return the mentions in the section ``docker-mentions``; None if the probe did not look.

    Raises:
        ProbeError: the section is damaged.
    """
    if not sections:
        return None
    records = (sections[0].content() or b"").decode("utf-8", "replace").split("\n")
    interpreters: dict[str, str] = {}
    callers: dict[str, list[str]] = {}
    mentions: dict[tuple[str, int], str] = {}
    for record in records:
        kind, *fields = record.split("\t")
        if kind == "script" and len(fields) == 2:
            interpreters[fields[0]] = _printable(fields[1])
        elif kind == "called" and len(fields) == 3:
            callers.setdefault(fields[0], []).append(_printable(f"{fields[1]}:{fields[2]}"))
        elif kind == "mention" and len(fields) >= 3 and re.fullmatch(r"[0-9]{1,9}", fields[1]):
            mentions.setdefault((fields[0], int(fields[1])), "\t".join(fields[2:]))
    return tuple(
        Mention(
            path=_printable(path),
            line=line,
            text=_printable(text),
            interpreter=interpreters.get(path, ""),
            called_by=tuple(dict.fromkeys(callers.get(path, ()))),
        )
        for (path, line), text in sorted(mentions.items())
    )


def _printable(text: str) -> str:
    """What a terminal would act upon does not get to one."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", "?", text)
