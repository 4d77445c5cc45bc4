"""The text ``probe.sh`` prints, cut into its sections."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = "@@unshim-probe"
END = "@@unshim-probe-end"
VERSION = "1"


class ProbeError(Exception):
    """The probe's output cannot be used. The message is one sentence for the operator."""


@dataclass(frozen=True)
class Section:
    """One section: ``@@name argument``, then ``lines``."""

    name: str
    argument: str = ""
    lines: tuple[str, ...] = ()

    def values(self) -> dict[str, str]:
        """The lines as ``key value``, as far as the content; the last of a key wins."""
        return dict(self._pairs())

    def every(self, key: str) -> tuple[str, ...]:
        """The values of all lines with this key, in order."""
        return tuple(value for name, value in self._pairs() if name == key)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for name, value in map(pair, self.lines):
            if name == "content":  # what follows is encoded, and may well spell a key
                return
            yield name, value

    def content(self) -> bytes | None:
        """The encoded content, which is the rest of the section after ``content base64`` or ``content hex``; None if
        there is none.

        Raises:
            ProbeError: the content is damaged.
        """
        for number, line in enumerate(self.lines):
            key, encoding = pair(line)
            if key == "content":
                return self._decode("".join(self.lines[number + 1 :]), encoding)
        return None

    def _decode(self, text: str, encoding: str) -> bytes:
        try:
            return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error) as error:
            place = f"{self.name} {self.argument}".rstrip()
            raise ProbeError(f"the probe's output was damaged in section {place}: {error}") from error


def pair(line: str) -> tuple[str, str]:
    """``key value with spaces`` -> ``("key", "value with spaces")``."""
    key, _, value = line.partition(" ")
    return key, value.strip()


def split(text: str) -> list[Section]:
    """Return the sections of a probe's output, without its first and last line.

    What stands before the header (a login message, a password prompt) or after the end is left out; lines may end with
    CR LF, as they do where a terminal is between.

    Raises:
        ProbeError: the text has no header, another version's, or no end.
    """
    lines = iter(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    _skip_to_header(lines, text)
    sections: list[Section] = []
    name, argument, body = "", "", []  # type: str, str, list[str]
    for line in lines:
        if not line.startswith("@@"):
            body.append(line)
            continue
        if name:
            sections.append(Section(name, argument, tuple(body)))
        if line == END:
            return sections
        name, argument = pair(line[2:])
        body = []
    raise ProbeError(f"the probe's output was cut off in section {name or 'unshim-probe'}: run again")


def _skip_to_header(lines: Iterator[str], text: str) -> None:
    for line in lines:
        name, version = pair(line)
        if name == HEADER:
            if version != VERSION:
                raise ProbeError(f"the probe's output has version {version}, only version {VERSION} can be read")
            return
    first = next((line.strip() for line in text.splitlines() if line.strip()), "it printed nothing")
    raise ProbeError(f"the probe did not run: {first}")
