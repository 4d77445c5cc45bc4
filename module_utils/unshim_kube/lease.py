"""One run of unshim at a time per cluster: the Lease ``unshim`` in kube-system, and who may take it from whom.

A Lease (coordination.k8s.io/v1) is the API's own object for this; every change of it names the version it was read at, so of
two runs that try at the same moment one is refused. While a run lasts, a keeper (:mod:`lease_keeper`) renews it.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import KubeError, Refused

if TYPE_CHECKING:
    from .client import Api

NAMESPACE, NAME = "kube-system", "unshim"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
PATH = f"{LEASES}/{NAME}"
# What tells two controllers with one host name apart (containers mostly), and a reboot: boot and PID namespace.
CONTROLLER_ANNOTATION = "unshim.io/controller"
RENEW_EVERY = 10.0  # seconds
STALE_AFTER = 60.0  # seconds without a sign of life
WATCHED_FOR = 15.0  # seconds for which a stale lock is looked at before it is taken from another controller
CLOCK_SLACK = 5.0  # seconds


@dataclass(frozen=True)
class Holder:
    """Who holds the lock. Times are Unix seconds."""

    name: str  # "user@host pid N run XXXX"
    controller: str
    pid: int
    acquired: float
    renewed: float
    version: str  # the Lease's resourceVersion
    uid: str = ""


@dataclass(frozen=True)
class Taken:
    """A lock that was just taken, or found to be held by this process already."""

    name: str  # the holder's
    said: str = ""  # whose it was before, a sentence; "" if nobody's
    needs_keeper: bool = True


@dataclass(frozen=True)
class Process:
    """The ansible-playbook process that a lock belongs to."""

    user: str
    host: str
    controller: str
    pid: int


def this_process(pid: int) -> Process:
    """Describe process ``pid`` of this controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a passwd entry, as in some containers
        user = "unknown"
    return Process(user, socket.gethostname(), controller_identity(), pid)


def controller_identity() -> str:
    """Return what is the same for all processes that see each other's PIDs, and for no others; "" where that is unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return ""


def process_lives(pid: int, since: float) -> bool:
    """Tell if ``pid`` is a process of this controller that was there at ``since`` (Unix seconds): numbers are used again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        started_ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line[:5] == "btime")
    except (OSError, StopIteration, ValueError, IndexError):  # no Linux: that it is there must do
        return True
    return boot + started_ticks / os.sysconf("SC_CLK_TCK") <= since + CLOCK_SLACK


def read(api: Api) -> Holder | None:
    """Return who holds the lock, None if nobody does."""
    try:
        lease = api.get(PATH)
    except Refused as error:
        if error.status == 404:
            return None
        raise _may_not(error) from None
    return _holder(lease)


def _holder(lease: dict[str, Any]) -> Holder | None:
    meta, spec = lease["metadata"], lease.get("spec") or {}
    name = spec.get("holderIdentity") or ""
    if not name:
        return None
    words = name.split()
    pid = words[words.index("pid") + 1] if "pid" in words[:-1] else ""
    return Holder(
        name=name,
        controller=(meta.get("annotations") or {}).get(CONTROLLER_ANNOTATION, ""),
        pid=int(pid) if re.fullmatch(r"[0-9]{1,9}", pid) else 0,
        acquired=_seconds(spec.get("acquireTime")),
        renewed=_seconds(spec.get("renewTime")),
        version=meta.get("resourceVersion", ""),
        uid=meta.get("uid", ""),
    )


def is_of(holder: Holder, process: Process) -> bool:
    """Tell if the lock belongs to this very process."""
    words = holder.name.split()
    return (
        holder.controller == process.controller
        and holder.pid == process.pid
        and bool(words)
        and words[0].rpartition("@")[2] == process.host
        and process_lives(process.pid, holder.acquired)
    )


def take(
    api: Api,
    process: Process,
    take_over: str = "",
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Taken:
    """Take the lock for ``process`` or raise a KubeError that says who has it, since when, and whether it lives.

    Args:
        take_over: the holder's name, to take a stale lock of another controller from it.
    """
    while True:
        held = read(api)
        said = ""
        if held is not None:
            if is_of(held, process):
                if renew(api, held.name, now()):
                    return Taken(held.name, needs_keeper=not is_kept(held, now()))
                continue
            if _is_gone_here(held, process):
                said = f"The lock was {held.name}'s, which has ended without giving it back; it was taken over."
            else:
                _may_take_over(api, held, take_over, sleep, now())
                said = f"The lock was taken over from {held.name}, as unshim_take_over says."
        name = f"{process.user}@{process.host} pid {process.pid} run {uuid.uuid4().hex[:8]}"
        if _write(api, process, name, held, now()):
            return Taken(name, said=said)


def _is_gone_here(held: Holder, process: Process) -> bool:
    host = held.name.split()[0].rpartition("@")[2] if held.name else ""
    same = host == process.host and held.controller == process.controller
    return same and held.pid > 0 and not process_lives(held.pid, held.acquired)


def _may_take_over(api: Api, held: Holder, take_over: str, sleep: Callable[[float], None], now: float) -> None:
    age, silent = now - held.acquired, now - held.renewed
    fact = (
        f"Another run of unshim changes nodes of this cluster: {held.name}, since {_span(age)}, last sign of life "
        f"{_span(silent)} ago."
    )
    if silent <= STALE_AFTER:
        hint = (
            f" unshim_take_over takes only a lock without a sign of life for {STALE_AFTER:.0f} s." if take_over else ""
        )
        raise KubeError(f"{fact} Nothing was changed. Wait until it has ended.{hint}")
    if take_over != held.name:
        given = f" (unshim_take_over names {take_over}, which is another)" if take_over else ""
        raise KubeError(
            f"{fact} Nothing was changed. If that run is certainly over, take its lock with "
            f"-e 'unshim_take_over=\"{held.name}\"'{given}."
        )
    # The other controller's clock may be behind ours: only a lock that nobody renews while we look is stale.
    for _ in range(int(WATCHED_FOR)):
        sleep(1.0)
        seen = read(api)
        if seen is None or (seen.version, seen.name) != (held.version, held.name):
            raise KubeError(
                f"{fact} But it was renewed just now, so that run lives (one of the clocks is wrong). Nothing was changed."
            )


def _write(api: Api, process: Process, name: str, held: Holder | None, now: float) -> bool:
    """Create the Lease or take it from ``held``; False if somebody was faster."""
    body: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": {CONTROLLER_ANNOTATION: process.controller}},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": int(STALE_AFTER),
            "acquireTime": _text(now),
            "renewTime": _text(now),
        },
    }
    try:
        if held is None:
            api.post(LEASES, body)
        else:
            body["metadata"]["resourceVersion"] = held.version
            api.patch(PATH, body)
    except Refused as error:
        if error.status == 409 and held is None:
            _clear_if_free(api)
        elif error.status not in (404, 409):
            raise _may_not(error) from None
        return False
    return True


def _clear_if_free(api: Api) -> None:
    """Remove a Lease that is there and held by nobody, so that it can be created."""
    try:
        lease = api.get(PATH)
    except Refused as error:
        if error.status == 404:
            return
        raise
    if _holder(lease) is None:
        _delete(api, lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])


def renew(api: Api, name: str, now: float, retry_for: float | None = None) -> bool:
    """Give a sign of life; False if the lock is not ``name``'s any more.

    Raises:
        KubeError: the API server gave no answer, or refused.
    """
    while True:
        held = read(api)
        if held is None or held.name != name:
            return False
        patch = {"metadata": {"resourceVersion": held.version}, "spec": {"renewTime": _text(now)}}
        try:
            api.patch(PATH, patch, retry_for=retry_for)
        except Refused as error:
            if error.status not in (404, 409):
                raise _may_not(error) from None
        else:
            return True


def release(api: Api, name: str) -> None:
    """Give the lock back if it is ``name``'s."""
    while True:
        held = read(api)
        if held is None or held.name != name or _delete(api, held.uid, held.version):
            return


def _delete(api: Api, uid: str, version: str) -> bool:
    try:
        api.delete(PATH, body={"preconditions": {"uid": uid, "resourceVersion": version}})
    except Refused as error:
        if error.status != 409:
            raise _may_not(error) from None
        return False
    return True


def problem(held: Holder | None, process: Process, now: float) -> str:
    """Return why ``process`` may not go on, "" while the lock is its own."""
    if held is None:
        return "the lock of this run is gone (Lease unshim in kube-system was deleted)"
    if not is_of(held, process):
        return f"the lock was taken over by {held.name}, {_span(now - held.acquired)} ago"
    return ""


def is_kept(held: Holder, now: float) -> bool:
    """Tell if the keeper of the lock still gives signs of life."""
    return now - held.renewed < 3 * RENEW_EVERY


def _may_not(error: Refused) -> KubeError:
    if error.status != 403:
        return error
    return KubeError(
        f"{error.message} So that no two runs move nodes at a time, unshim keeps the Lease {NAME} in {NAMESPACE}: the user "
        "needs get, create, patch and delete on leases.coordination.k8s.io there."
    )


def _seconds(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _span(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"
