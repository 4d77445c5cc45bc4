"""The lock that makes one process the only one who changes a node: flock(2) on a file of the node's."""

import errno
import fcntl
import os
import time

from . import lock_by_shell, place
from .errors import NodeError

# s; what a killed controller had started goes on here until it is done, and installing a package may take as long.
LOCK_WAIT = 300.0


class Lock(object):
    """A lock of this machine that is held, until its release or the end of the process."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def release(self):
        os.close(self._descriptor)


def take(path, controller):
    """Return the lock, on a node that is away or on this machine; both kinds are ended by ``release()``.

    Args:
        path: of the lock's file, in a directory that is there.
        controller: who takes it, for whoever meets it.

    Raises:
        NodeError: another process holds it, and did not end within LOCK_WAIT.
    """
    if place.away():
        held = lock_by_shell.take(path, LOCK_WAIT, controller)
        if isinstance(held, str):
            raise _is_locked(path, held)
        return held
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= deadline:
                holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
                os.close(descriptor)
                raise _is_locked(path, holder) from error
            time.sleep(0.1)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, ("process %d of %s\n" % (os.getpid(), controller)).encode("utf-8"))
    return Lock(descriptor)


def _is_locked(path, holder):
    return NodeError(
        "Another run is changing this node (%s holds %s). Wait until it ends, or end it, and run again."
        % (holder or "a process", path)
    )
