"""The process that keeps a run's lock: renews it while ansible-playbook lives, and gives it back when that ends, however it ends.

Started by :func:`start` and on its own from then on: in a session of its own, no terminal's signals reach it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import lease
from .client import Api, connect
from .errors import KubeError

API_PATIENCE = 5.0  # seconds for one request; the next try comes soon
GIVES_UP_AFTER = 120.0  # seconds for which a lock of a run that ended is tried to be given back


def start(kubeconfig: str, context: str, pid: int, holder: str) -> None:
    """Start the keeper of the lock ``holder`` of the process ``pid``."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]))
    subprocess.Popen(
        [sys.executable, "-m", "unshim_kube.lease_keeper", json.dumps([kubeconfig, context, pid, holder])],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/" if os.path.isabs(kubeconfig) or not kubeconfig else None,
    )


def watcher(pid: int) -> Callable[[float], bool]:
    """Return a function that waits up to some seconds for the process to end and tells if it has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return lambda _seconds: True
    except (AttributeError, OSError):  # no Linux, or one before 5.3

        def has_ended(seconds: float) -> bool:
            deadline = time.monotonic() + seconds
            while True:
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    return True
                except PermissionError:
                    pass
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.5)

        return has_ended
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda seconds: bool(poll.poll(max(0.0, seconds) * 1000))


def keep(api: Api, has_ended: Callable[[float], bool], holder: str) -> None:
    """Renew until the process has ended, then give the lock back; stop at once if the lock is another's."""
    pause = lease.RENEW_EVERY
    while not has_ended(pause):
        try:
            if not lease.renew(api, holder, time.time()):
                return
            pause = lease.RENEW_EVERY
        except KubeError:  # away, as while a control plane moves: nobody else can take the lock then either
            pause = 2.0
    deadline = time.monotonic() + GIVES_UP_AFTER
    while time.monotonic() < deadline:
        try:
            lease.release(api, holder)
            return
        except KubeError:
            time.sleep(2.0)


def main(argument: str) -> None:
    kubeconfig, context, pid, holder = json.loads(argument)
    has_ended = watcher(pid)
    api = None
    while api is None:
        with contextlib.suppress(KubeError):
            api = connect(kubeconfig, context, API_PATIENCE)
        if api is None and has_ended(2.0):
            return
    keep(api, has_ended, holder)


if __name__ == "__main__":
    main(sys.argv[1])
