"""Run a program and get its result, or one sentence that says why there is none."""

import errno
import os
import platform
import shlex
import signal
import subprocess
import time
from typing import Dict, List, NamedTuple, Optional

from . import place
from .errors import NodeError

# A connection through sudo or a minimal shell often lacks the sbin directories, where systemctl's friends live.
SEARCH_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
LAST_LINES = 8
NOT_FOUND = 127  # of a shell and of env(1)
SHELL_SIGNAL = 128  # a shell adds it to the signal that ended a program

Result = NamedTuple("Result", [("argv", List[str]), ("rc", int), ("out", str), ("err", str)])


class CommandFailed(NodeError):
    """A program could not be started, ran too long, or returned other than 0. ``result`` is None if it never ended."""

    def __init__(self, message, details=None, result=None):
        super(CommandFailed, self).__init__(message, details)
        self.result = result


def environment(extra: Optional[Dict[str, str]] = None) -> Dict[str, str]:
    """Return the environment programs run in: ours, with messages in English and every system directory on PATH."""
    env = dict(os.environ)
    env.update({"LC_ALL": "C", "LANGUAGE": "C"})
    path = [part for part in env.get("PATH", "").split(os.pathsep) if part]
    env["PATH"] = os.pathsep.join(path + [part for part in SEARCH_PATH if part not in path])
    env.update(extra or {})
    return env


def quote(argv: List[str]) -> str:
    """Return ``argv`` as a line that can be pasted into a shell."""
    return " ".join(shlex.quote(part) for part in argv)


def last_lines(text: str, count: int = LAST_LINES) -> str:
    """Return the last ``count`` lines of ``text`` that are not empty."""
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-count:])


def find(name: str) -> Optional[str]:
    """Return the full path of program ``name``, or None."""
    there = place.away()
    if there:
        return _find_away(there, name)
    for directory in environment()["PATH"].split(os.pathsep):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _find_away(there, name):
    if name not in there.found:
        # Every directory, as on this machine: what comes with a package is found without a new login.
        script = 'IFS=:; for one in $PATH:$2; do if [ -f "$one/$1" ] && [ -x "$one/$1" ]; then echo "$one/$1"; exit; fi; done'
        _, out, _ = there.run(["/bin/sh", "-c", script, "sh", name, os.pathsep.join(SEARCH_PATH)], None, 30, {})
        if not out:
            return None  # it may be installed yet, so that is not kept
        there.found[name] = out.strip()
    return there.found[name]


def now() -> float:
    """Return the time by the node's clock, as a Unix time."""
    there = place.away()
    return time.time() + (there.clock_offset if there else 0.0)


def machine() -> str:
    """Return the node's architecture, as ``uname -m`` says it."""
    return run(["uname", "-m"]).out.strip() if place.away() else platform.machine()


def run(
    argv: List[str],
    stdin: Optional[str] = None,
    timeout: Optional[float] = None,
    check: bool = True,
    env: Optional[Dict[str, str]] = None,
) -> Result:
    """Run ``argv`` (no shell) and return its Result.

    Args:
        argv: the program and its arguments.
        stdin: text for its standard input; None gives it an empty one.
        timeout: seconds after which it and its children are killed; None waits for ever.
        check: raise if it returns other than 0.
        env: variables set in addition to :func:`environment`.

    Raises:
        CommandFailed: the program is missing, took too long, or (with ``check``) returned other than 0.
    """
    argv = [str(part) for part in argv]
    there = place.away()
    result = _run_away(there, argv, stdin, timeout, env) if there else _run_here(argv, stdin, timeout, env)
    if check and result.rc != 0:
        said = last_lines(result.err) or last_lines(result.out) or "(it printed nothing)"
        how = "was ended by signal %d" % -result.rc if result.rc < 0 else "returned %d" % result.rc
        raise CommandFailed("`%s` %s: %s" % (quote(argv), how, said), {"rc": result.rc, "stderr": result.err}, result)
    return result


def _run_here(argv, stdin, timeout, env):
    env = environment(env)
    program = argv[0] if os.sep in argv[0] else find(argv[0])
    if program is None:
        raise _no_program(argv[0], env["PATH"])
    try:
        # Its own session, so that a timeout also ends what the program has started.
        process = subprocess.Popen(
            [program] + argv[1:],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        what = "is not on this node" if error.errno == errno.ENOENT else "cannot be started"
        raise CommandFailed("The program %s %s: %s." % (program, what, error.strerror)) from error
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        raise _too_long(argv, timeout) from None
    except BaseException:
        _kill_group(process)
        raise
    return Result(argv, process.returncode, out, err)


def _run_away(there, argv, stdin, timeout, env):
    program = argv[0] if os.sep in argv[0] else find(argv[0])
    if program is None:
        raise _no_program(argv[0], os.pathsep.join(SEARCH_PATH))
    env = dict({"LC_ALL": "C", "LANGUAGE": "C"}, **(env or {}))
    try:
        rc, out, err = there.run([program] + argv[1:], stdin, timeout, env)
    except place.TimedOut:
        raise _too_long(argv, timeout) from None
    if rc == NOT_FOUND and program in err:
        raise _no_program(program, os.pathsep.join(SEARCH_PATH))
    return Result(argv, SHELL_SIGNAL - rc if rc > SHELL_SIGNAL else rc, out, err)


def _no_program(name, path):
    return CommandFailed(
        "The program %s is not on this node (looked in %s); install it or add its directory to PATH." % (name, path)
    )


def _too_long(argv, timeout):
    return CommandFailed(
        "`%s` did not end within %g s and was killed; run it by hand to see what it waits for." % (quote(argv), timeout)
    )


def _kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    # A grandchild that left the group may hold the pipes open: do not wait for their end.
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
