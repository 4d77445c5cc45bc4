"""The journal's lock on a node that is not this machine: the same lock, flock(2), held there by a shell.

It is held for as long as what we started there goes on, and a little longer: every program that is run keeps a file young, and the
holder ends when that file has grown old. So a controller that is killed leaves the node locked until the program it had
begun is done, and no longer.
"""

import shlex
import time

from . import commands, place
from .errors import NodeError

OLD = 90  # s
TICK = 10  # s
HELD = 45  # return codes of ours
NO_FLOCK = 46
LOST = 47

TAKE = """
command -v flock >/dev/null || exit %(no_flock)d
umask 077
exec 9<>"$1"
flock -n 9 || { cat "$1"; exit %(held)d; }
: >"$1"
echo "$2" >&9
alive=$(mktemp "$1.alive-XXXXXXXX")
setsid sh -c 'while [ -e "$1" ] && [ $(($(date +%%s) - $(stat -c %%Y "$1"))) -lt "$2" ]; do sleep 1 9>&-; done; rm -f "$1"' \\
  sh "$alive" "$3" </dev/null >/dev/null 2>&1 &
echo "$! $alive"
""" % {"no_flock": NO_FLOCK, "held": HELD}

KEEPING = """
[ -e %(alive)s ] || { echo "this run was silent for too long and has lost the lock of this node" >&2; exit %(lost)d; }
{ while kill -0 $$ && [ -e %(alive)s ]; do touch -c %(alive)s; sleep %(tick)d; done; } </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- &
unshim_tick=$!
%(command)s
unshim_rc=$?
kill $unshim_tick 2>/dev/null
exit $unshim_rc
"""


class Lock(object):
    """A lock that is held; until its release everything that is run on the node keeps it."""

    def __init__(self, holder, alive):
        self.holder, self.alive = holder, alive
        place.away().keeps = self.alive

    def release(self):
        place.away().keeps = ""
        # Without its file the holder has ended already, and its number may be another's.
        script = 'if [ -e "$1" ]; then rm -f "$1"; kill "$2"; fi'
        commands.run(["/bin/sh", "-c", script, "sh", self.alive, self.holder], timeout=30, check=False)


def take(path, wait, controller):
    """Return the :class:`Lock`, or who holds it if that does not end within ``wait`` seconds."""
    deadline = time.monotonic() + wait
    while True:
        argv = ["/bin/sh", "-c", TAKE.strip(), "sh", path, "a shell of " + controller, str(OLD)]
        result = commands.run(argv, timeout=60, check=False)
        if result.rc == 0:
            holder, alive = result.out.split()
            return Lock(holder, alive)
        if result.rc == NO_FLOCK:
            raise NodeError(
                "This node has no flock (package util-linux), so two runs could change it at once; install it."
            )
        if result.rc != HELD:
            raise NodeError("%s: %s." % (path, commands.last_lines(result.err, 1).rpartition(": ")[2]))
        if time.monotonic() >= deadline:
            return result.out.strip()
        time.sleep(1)


def keeping(command, alive):
    """Return a shell command that runs ``command`` and keeps the file ``alive`` young until it has ended."""
    return KEEPING % {"alive": shlex.quote(alive), "tick": TICK, "command": command, "lost": LOST}
