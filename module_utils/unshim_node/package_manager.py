"""What every package manager here is asked: the modules package_manager_apt, _dnf and _zypper offer the same functions.

NAME: what an operator calls it. is_here(), installed(names), unfinished(), finish(), available(name, version),
update_lists(), simulate(wanted), install(wanted), is_download_failure(message), held(names), hold(names), release(names),
cannot_hold(), RELEASE: the command that takes a hold off, with %s for the package. ``wanted`` is package name -> version or "".
"""

import time
from typing import Callable, Dict, List, NamedTuple, Optional, Pattern, Tuple

from . import commands
from .errors import NodeError

LOCK_WAIT = 120  # s
TIMEOUT = 900  # s for one transaction that downloads

Transaction = NamedTuple(
    "Transaction",
    [
        ("installed", Dict[str, str]),  # new packages and their versions
        ("changed", Dict[str, Tuple[str, str]]),  # (version before, after)
        ("removed", List[str]),  # replaced by another package, too
    ],
)


def rpm_installed(names: List[str]) -> Dict[str, str]:
    """Return the installed version of each of ``names`` by RPM's database, "" if it is not installed."""
    versions = {name: "" for name in names}
    if names:
        form = "installed %{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n"
        for line in commands.run(["rpm", "-q", "--qf", form] + names, check=False).out.splitlines():
            words = line.split()
            if len(words) == 3 and words[0] == "installed" and words[1] in versions:
                versions[words[1]] = without_epoch_0(words[2])
    return versions


def without_epoch_0(version: str) -> str:
    """Return an RPM version as it is written everywhere else: some tools print the epoch that is not there."""
    epoch, _, rest = version.partition(":")
    return rest if epoch == "0" else version


def run_locked(
    argv: List[str],
    locked: Callable[[commands.Result], bool],
    said: Callable[[commands.Result], str],
    good: Tuple[int, ...] = (0,),
    env: Optional[Dict[str, str]] = None,
) -> commands.Result:
    """Run a package manager, waiting for whoever holds its lock, for LOCK_WAIT seconds at most.

    Args:
        locked: whether a result means that another process has the lock.
        said: what a failed one says, in a line.
        good: the return codes of success.

    Raises:
        NodeError: it failed, or another process had the lock all the time.
    """
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        result = commands.run(argv, timeout=TIMEOUT, check=False, env=env)
        if result.rc in good:
            return result
        if not locked(result):
            raise NodeError("`%s` failed: %s" % (commands.quote(argv), said(result)), {"rc": result.rc})
        if time.monotonic() >= deadline:
            raise NodeError(
                "Another process has held the lock of the package manager for %d s (%s), as an unattended upgrade does; "
                "`%s` was not run. Wait until it has ended and run again."
                % (LOCK_WAIT, said(result), commands.quote(argv)),
                {"rc": result.rc},
            )
        time.sleep(2)


def matching(pattern: Pattern) -> Callable[[commands.Result], bool]:
    """Return a test for a pattern in what a program printed."""
    return lambda result: bool(pattern.search(result.err) or pattern.search(result.out))
