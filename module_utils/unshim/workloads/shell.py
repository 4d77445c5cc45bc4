"""Which programs a command line runs, as far as can be told without running it."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

SHELLS = ("sh", "bash", "ash", "dash", "zsh", "ksh")
#: Words after which a command begins anew.
_SEPARATORS = re.compile(r"^(?:[;&|()\n]+|[{}!]|do|then|else|elif|if|while|until)$")
#: Programs that run the command they are given, with the options of theirs that take a word.
_RUNNERS: dict[str, tuple[str, ...]] = {
    "sudo": ("-u", "-g"),
    "exec": (),
    "command": (),
    "eval": (),
    "time": (),
    "nohup": (),
    "env": ("-u",),
    "nice": ("-n",),
    "timeout": ("-s", "-k"),
    "xargs": ("-n", "-I", "-P", "-L", "-d"),
    "watch": ("-n",),
    "chroot": (),
    "nsenter": ("-t", "--target", "-S", "-G", "-r", "-w"),
    "tini": (),
    "dumb-init": (),
}
#: Runners whose first word that is no option is not yet the command: a duration, a directory.
_TAKES_ONE = ("timeout", "chroot")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_SUBSTITUTION = re.compile(r"\$\(|`")
_DEPTH = 8


def commands(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield each command of an exec array (``["sh", "-c", "a && b"]``) as its words, the program without its directory.

    What runs another command, such as ``sudo`` or ``nsenter``, is yielded and then what it runs. Comments and words that are
    data, as in ``echo docker run``, are no commands.
    """
    yield from _command([str(word) for word in words], 0)


def script_commands(script: str) -> Iterator[list[str]]:
    """Yield each command of a shell script, as :func:`commands` does."""
    yield from _script(script, 0)


def _script(script: str, depth: int) -> Iterator[list[str]]:
    if depth > _DEPTH:
        return
    for line in _logical_lines(script):
        parts = _SUBSTITUTION.split(line)
        # What is substituted is a command of its own. It may be cut off too late; its first words are what counts.
        for part in parts if len(parts) > 1 else [line]:
            current: list[str] = []
            for word in _lexed(part):
                if _SEPARATORS.match(word):
                    yield from _command(current, depth)
                    current = []
                else:
                    current.append(word)
            yield from _command(current, depth)


def _logical_lines(script: str) -> Iterator[str]:
    """Yield lines with their continuations; a quoted text over several lines is one, a here-document is left out."""
    waiting = ""
    end_of_document = ""
    for line in script.splitlines():
        if end_of_document:
            if line.strip() == end_of_document:
                end_of_document = ""
            continue
        if not waiting and line.lstrip().startswith("#"):
            continue
        waiting += line
        if waiting.endswith("\\"):
            waiting = waiting[:-1] + " "
            continue
        if _is_open(waiting) and len(waiting) < 20_000:
            waiting += "\n"
            continue
        here = re.search(r"<<-?\s*(['\"]?)(\w+)\1", waiting)
        if here:
            end_of_document = here.group(2)
        yield waiting
        waiting = ""
    if waiting:
        # A quote that nothing closes (a here-document's apostrophe, say): line by line, so that no command is lost.
        yield from waiting.split("\n")


def _is_open(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def _lexed(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#"):  # the rest of this line
                break
            words.append(word)
    except ValueError:
        pass  # a quote that the cut at a substitution left open: what came before it counts
    return words


def _command(words: list[str], depth: int) -> Iterator[list[str]]:
    while words and (_ASSIGNMENT.match(words[0]) or _SEPARATORS.match(words[0])):
        words = words[1:]
    if not words or depth > _DEPTH:
        return
    program = posixpath.basename(words[0])
    rest = words[1:]
    yield [program, *rest]
    if program in SHELLS:
        index = 0
        has_script = False
        while index < len(rest) and rest[index].startswith(("-", "+")):
            word = rest[index]
            has_script |= word.startswith("-") and not word.startswith("--") and "c" in word
            index += 2 if "o" in word and not word.startswith("--") else 1  # -o pipefail
        if has_script and index < len(rest):
            yield from _script(rest[index], depth + 1)
    elif program in _RUNNERS:
        yield from _run_by(program, rest, depth)


def _run_by(program: str, words: list[str], depth: int) -> Iterator[list[str]]:
    """Yield the command that ``program`` runs, which comes after its options."""
    to_skip = 1 if program in _TAKES_ONE else 0
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            index += 1
            if not to_skip:
                break
        elif word.startswith("-"):
            index += 2 if word in _RUNNERS[program] else 1
        elif _ASSIGNMENT.match(word):
            index += 1
        elif to_skip:
            to_skip -= 1
            index += 1
        else:
            break
    if program == "eval":
        yield from _script(" ".join(words[index:]), depth + 1)
    else:
        yield from _command(words[index:], depth + 1)
