"""Where the node is: here, where this code runs, or away, where nothing but a shell is reached.

Ansible brings this code to the node and runs it there. A node without Python is worked on by the same code from the
controller (deploys/provision.py): programs are started through the shell, and what :mod:`files` does by system calls here is
done there by :mod:`files_by_shell`.
"""

import contextlib
import functools
import threading

_current = threading.local()


class Place(object):
    """Another machine.

    Attributes:
        controller: who works on it, for the journal.
        clock_offset: seconds its clock is ahead of ours.
        found: what was found out of it, such as where programs are, by name.
    """

    controller = ""
    clock_offset = 0.0

    def __init__(self):
        self.found = {}

    def run(self, argv, stdin, timeout, env):
        """Run a program there and return (return code, output, errors); :class:`TimedOut` if it was killed after ``timeout`` s.

        Args:
            stdin: text or None.
            env: variables by name.
        """
        raise NotImplementedError


class TimedOut(Exception):
    """A program did not end in time and was killed."""


def away():
    """Return the place that is worked on, None if that is this machine."""
    return getattr(_current, "place", None)


@contextlib.contextmanager
def at(there):
    """Let everything in the block, in this thread or greenlet, work on ``there``."""
    before, _current.place = away(), there
    try:
        yield there
    finally:
        _current.place = before


def by_shell(function):
    """Make ``function`` the one of the same name in :mod:`files_by_shell` while another place is worked on."""

    @functools.wraps(function)
    def wherever(*args, **kwargs):
        if away() is None:
            return function(*args, **kwargs)
        from . import files_by_shell

        return getattr(files_by_shell, function.__name__)(*args, **kwargs)

    return wherever
