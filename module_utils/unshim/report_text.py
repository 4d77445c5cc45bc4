"""Text from nodes, made fit to be shown: nothing in it acts on a reader's screen."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Controls (not tab and newline), what turns the direction of text around, invisible separators, halves of characters.
# Unicode 16, DerivedBidiClass and CVE-2021-42574 ("Trojan Source").
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Return ``text`` with every character that is not seen, or moves others, as its code: ``\\u202e``."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def moment(seconds: float) -> str:
    """Return a time as ``2026-11-24 17:34:47 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S")


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(seconds: float) -> str:
    """Return a time as part of a file's name: ``20261124T173447Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
