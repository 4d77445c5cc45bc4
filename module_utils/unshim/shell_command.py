"""One program, run on a node through whatever carries a command there, so that its result comes back exact.

The tools on the way quote a command anew, take output for UTF-8, drop what is not, and tell success from failure only. So the
command goes as base64, which has nothing to quote, and output and errors come back so, with the return code in a line of its
own. Standard input may begin with the password of sudo, which takes that line or, where it needs none, does not.
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

STDIN = "@@unshim-stdin"
RETURNED = "@@unshim-rc "
ERRORS = "@@unshim-errors"
KILLED = 124  # of timeout(1)

_SCRIPT = """\
PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
echo {errors} >&2
exec 3>&1
unshim_rc=$( {{ {{ {{ {stdin} ( {command}
) 3>&- 4>&- 5>&-; echo "$?" >&4; }} | base64 >&3; }} 2>&1 | base64 >&5; }} 4>&1 5>&2 )
echo "{returned}$unshim_rc"
"""
_STDIN = '{{ while IFS= read -r unshim_line && [ "$unshim_line" != {stdin} ]; do :; done; base64 -d; }} |'


class NoAnswer(Exception):
    """What came back is not a whole answer; the message says what was there instead."""


def argument_list(argv: Sequence[str], env: Mapping[str, str], timeout: float | None) -> str:
    """Return a shell command that runs a program with more in its environment, for ``timeout`` seconds at most."""
    words = ["env", *(f"{name}={value}" for name, value in env.items())] if env else []
    if timeout is not None:
        words += ["timeout", "-k", "5", f"{timeout:g}"]
    return shlex.join([*words, *argv])


def framed(command: str, become: str = "", with_password: bool = False, with_stdin: bool = False) -> str:
    """Return the command line that runs a shell command on a node and brings its result back for :func:`result`.

    Args:
        command: for a POSIX shell.
        become: "sudo" or "doas", for a user who is not root; "" to stay who we are.
        with_password: the first line of standard input is the password for it.
        with_stdin: the command's own follows on standard input; else that is empty.
    """
    stdin = _STDIN.format(stdin=STDIN) if with_stdin else ": |"
    script = _SCRIPT.format(command=command, errors=ERRORS, stdin=stdin, returned=RETURNED)
    packed = base64.b64encode(script.encode()).decode()
    run = f'sh -c "$(printf %s {packed} | base64 -d)"'
    if not become:
        return f"exec {run}"
    options = {"sudo": "-H -S -p unshim:" if with_password else "-H -n", "doas": "-n"}[become]
    return f'if [ "$(id -u)" -eq 0 ]; then exec {run}; else exec {become} {options} {run}; fi'


def stdin_lines(text: str | None, password: str = "") -> list[str] | None:
    """Return the lines to send, None for no standard input."""
    lines = [password] if password else []
    if text is not None:
        lines += [STDIN, *base64.encodebytes(text.encode()).decode().splitlines()]
    return lines or None


def result(output: Iterable[str], errors: Iterable[str]) -> tuple[int, str, str]:
    """Return (return code, output, errors) of the command from the lines that came back.

    Raises:
        NoAnswer: the connection broke, or the node has no shell, base64 or sudo to run it with.
    """
    lines, said = list(output), list(errors)
    code = next((line for line in reversed(lines) if line.startswith(RETURNED)), "")
    if not code or not re.fullmatch(r"\s*[0-9]{1,9}\s*", code.removeprefix(RETURNED)):
        told = " ".join(" ".join(line for line in said if ERRORS not in line).replace("unshim:", "").split())
        raise NoAnswer(told[-300:] or "the connection broke before the command had ended")
    begin = next((number for number, line in enumerate(said) if line.endswith(ERRORS)), -1)
    try:
        out = base64.b64decode("".join(lines[: lines.index(code)]), validate=True)
        err = base64.b64decode("".join(said[begin + 1 :]))
    except (binascii.Error, ValueError):
        raise NoAnswer("its answer was damaged on its way") from None
    return int(code.removeprefix(RETURNED)), out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
