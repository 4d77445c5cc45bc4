"""Environment files and unit files as systemd reads them, with the place of every character, so that single words can be
taken out or replaced and every other byte stays.

A value is a row of :class:`Char`: what systemd sees, and the span of the file it came from. Words split from it know
their span, quotes included. Sources: systemd src/basic/env-file.c, src/shared/conf-parser.c,
src/basic/extract-word.c; systemd.exec(5), systemd.service(5), systemd.syntax(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

WHITESPACE = " \t\n\r"
# What a flag may consist of when unshim writes it: nothing that any of the three layers of quoting would touch.
PLAIN = re.compile(r"[A-Za-z0-9@+=:,./_-]+\Z")


class FlagError(Exception):
    """A file that holds kubelet flags cannot be read or changed safely."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}")
        self.path, self.line, self.message = path, line, message


class Char(NamedTuple):
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Word:
    """One word of a value; ``start`` and ``end`` span it in the file, quotes included."""

    text: str
    start: int
    end: int
    chars: tuple[Char, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """``NAME=value`` in an environment file."""

    name: str
    line: int
    value: tuple[Char, ...]
    append_at: int  # where further words of the value go, inside its quotes

    @property
    def text(self) -> str:
        return "".join(char.text for char in self.value)


@dataclass(frozen=True)
class Directive:
    """``Name=value`` in a section of a unit file, continuation lines joined."""

    section: str
    name: str
    line: int
    value: tuple[Char, ...]
    append_at: int

    @property
    def text(self) -> str:
        return "".join(char.text for char in self.value)


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def parse_environment_file(path: str, text: str) -> list[Assignment]:
    """Return the assignments of an ``EnvironmentFile=``; raises FlagError where a quote is never closed."""
    found: list[Assignment] = []
    position, size = 0, len(text)
    while position < size:
        if text[position] in WHITESPACE:
            position += 1
        elif text[position] in "#;":
            position = _skip_comment(text, position)
        else:
            position = _assignment(path, text, position, found)
    return found


def _skip_comment(text: str, position: int) -> int:
    """Return the end of a comment; a backslash at its end makes the next line part of it."""
    while position < len(text) and text[position] not in "\r\n":
        position += 2 if text[position] == "\\" else 1
    return min(position, len(text))


def _assignment(path: str, text: str, position: int, found: list[Assignment]) -> int:
    start, size = position, len(text)
    while position < size and text[position] not in "=\r\n":
        position += 1
    if position >= size or text[position] != "=":
        return position  # a line without "=": systemd skips it
    name = text[start:position].strip()
    position += 1
    value: list[Char] = []
    append_at = position
    bare: int | None = None  # where trailing blanks of an unquoted part begin in ``value``
    in_bare = False
    while position < size and text[position] not in "\r\n":
        char = text[position]
        if not in_bare and char in " \t":
            position += 1
        elif not in_bare and char in "'\"":
            position = _quoted(path, text, position, value)
            append_at, bare = position - 1, None
        elif char == "\\":
            in_bare = True
            if position + 1 < size and text[position + 1] in "\r\n":
                position += 2  # of CR LF only the CR: the value ends with the LF
                continue
            if position + 1 < size:
                value.append(Char(text[position + 1], position, position + 2))
            position += 2
            append_at, bare = min(position, size), None
        else:
            in_bare = True
            bare = (len(value) if bare is None else bare) if char in " \t" else None
            value.append(Char(char, position, position + 1))
            position += 1
            if bare is None:
                append_at = position
    if bare is not None:
        del value[bare:]
    found.append(Assignment(name, line_of(text, start), tuple(value), append_at))
    return min(position, size)


def _quoted(path: str, text: str, position: int, value: list[Char]) -> int:
    quote, start = text[position], position
    position += 1
    while position < len(text) and text[position] != quote:
        following = text[position + 1 : position + 2]
        if quote == '"' and text[position] == "\\" and following:
            if following in '"\\`$':
                value.append(Char(following, position, position + 2))
            elif following != "\n":
                value += [Char("\\", position, position + 1), Char(following, position + 1, position + 2)]
            position += 2
        else:
            value.append(Char(text[position], position, position + 1))
            position += 1
    if position >= len(text):
        raise FlagError(path, line_of(text, start), f"the quote {quote} is never closed")
    return position + 1


@lru_cache(maxsize=256)
def parse_unit(path: str, text: str) -> tuple[Directive, ...]:
    """Return the directives of a unit file or drop-in, in order.

    A plan asks for the same files several times, and the nodes of a fleet have the same ones.
    """
    found: list[Directive] = []
    section, position, size = "", 1 if text.startswith("\ufeff") else 0, len(text)
    while position < size:
        start = position
        chars, position = _logical_line(text, position)
        line = "".join(char.text for char in chars)
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped[0] == "[" and stripped[-1] == "]":
            section = stripped[1:-1]
            continue
        name, equals, _ = line.partition("=")
        if not equals:
            continue
        value = _strip(chars[len(name) + 1 :])
        append_at = value[-1].end if value else chars[len(name)].end
        found.append(Directive(section, name.strip(), line_of(text, start), tuple(value), append_at))
    return tuple(found)


def _logical_line(text: str, position: int) -> tuple[list[Char], int]:
    """Return the characters of one line and its continuations, and where the next begins.

    A backslash at the end joins the next line with a blank; comment lines in between are skipped.
    """
    chars: list[Char] = []
    continued = False
    while position < len(text):
        newline = text.find("\n", position)
        after = len(text) if newline < 0 else newline + 1
        end = len(text) if newline < 0 else newline
        if end > position and text[end - 1] == "\r":
            end -= 1
        body = text[position:end]
        if continued and body.lstrip()[:1] in ("#", ";"):
            position = after
            continue
        if not continued and body.lstrip()[:1] in ("#", ";"):
            return [], after
        backslashes = len(body) - len(body.rstrip("\\"))
        continued = backslashes % 2 == 1
        stop = end - 1 if continued else end
        chars += [Char(text[i], i, i + 1) for i in range(position, stop)]
        if not continued:
            return chars, after
        chars.append(Char(" ", stop, after))
        position = after
    return chars, position


def _strip(chars: Sequence[Char]) -> Sequence[Char]:
    first, last = 0, len(chars)
    while first < last and chars[first].text in WHITESPACE:
        first += 1
    while last > first and chars[last - 1].text in WHITESPACE:
        last -= 1
    return chars[first:last]


_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "s": " ",
}
_NUMBERED = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-3][0-7]{2})")


def split_words(path: str, line: int, value: Sequence[Char], of_variable: bool) -> list[Word]:
    """Split a value at blanks, quotes respected and removed.

    Args:
        of_variable: True for the value of ``$VARIABLE``, where a backslash only protects the next character and a quote
            may stay open; False for ExecStart= and Environment=, where ``\n`` is a newline and an open quote is an error.
    """
    words: list[Word] = []
    index, size = 0, len(value)
    while index < size:
        if value[index].text in WHITESPACE:
            index += 1
            continue
        chars: list[Char] = []
        first, quote = index, ""
        while index < size and (quote or value[index].text not in WHITESPACE):
            char = value[index]
            if char.text == quote:
                quote = ""
            elif not quote and char.text in "'\"":
                quote = char.text
            elif char.text == "\\" and index + 1 < size:
                index = _escaped(value, index, of_variable, chars)
            else:
                chars.append(char)
            index += 1
        if quote and not of_variable:
            raise FlagError(path, line, f"the quote {quote} is never closed")
        words.append(Word("".join(c.text for c in chars), value[first].start, value[index - 1].end, tuple(chars)))
    return words


def _escaped(value: Sequence[Char], index: int, of_variable: bool, chars: list[Char]) -> int:
    """Add what the backslash at ``index`` and what follows it mean to ``chars``; return the last index used."""
    start, following = value[index].start, value[index + 1]
    numbered = _NUMBERED.match("".join(char.text for char in value[index + 1 : index + 6]))
    if of_variable:
        chars.append(Char(following.text, start, following.end))
    elif following.text in _ESCAPES:
        chars.append(Char(_ESCAPES[following.text], start, following.end))
    elif numbered:
        last = index + numbered.end()
        code = int(numbered[1] or numbered[2] or "0", 16) or int(numbered[3] or "0", 8)
        chars.append(Char(chr(code), start, value[last].end))
        return last
    else:
        chars += [value[index], following]
    return index + 1


def edit_words(
    text: str, words: Sequence[Word], changes: Mapping[int, str | None], bare: bool = False
) -> list[tuple[int, int, str]]:
    """Return the edits (start, end, replacement) that carry out ``changes`` on one value.

    Args:
        words: all words of the value, in order.
        changes: by index: None takes the word out with the blanks behind it (or before it, if it is the last), a string
            replaces it.
        bare: the value is that of an environment file and in no quotes of the file's. A quote at its very beginning would be
            one of the file's, so one that comes there is protected.
    """
    edits: list[tuple[int, int, str]] = [
        (words[i].start, words[i].end, new) for i, new in changes.items() if new is not None
    ]
    gone = {index for index, new in changes.items() if new is None}
    index = 0
    while index < len(words):
        if index not in gone:
            index += 1
            continue
        first = index
        while index < len(words) and index in gone:
            index += 1
        start, end = words[first].start, words[index - 1].end
        if index < len(words):
            wider = (start, words[index].start)
        elif first:
            wider = (words[first - 1].end, end)
        else:
            wider = (start, end)
        if re.search(r"\n[ \t]*[#;]", text[wider[0] : wider[1]]):  # a comment between continued lines stays
            edits += [(word.start, word.end, "") for word in words[first:index]]
        else:
            quote_first = bare and first == 0 and index < len(words) and index not in changes
            protection = "\\" if quote_first and text[words[index].start] in "'\"" else ""
            edits.append((*wider, protection))
    return edits


def apply_edits(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """Return ``text`` with every (start, end, replacement) carried out; the spans must not overlap."""
    for start, end, new in sorted(set(edits), reverse=True):
        text = text[:start] + new + text[end:]
    return text
