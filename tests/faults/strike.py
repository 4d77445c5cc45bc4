"""Runs on a node: stops Ansible's modules there at the very moment a condition holds, and kills them when it is told to.

The condition is a Python expression, looked at every millisecond. It may use text(path), exists(path), now (the journal
as text). Prints "hit" once the modules are stopped; a line on standard input then kills them. Exits 3 if the time is up.
"""

import contextlib
import os
import signal
import sys
import time

JOURNAL = "/var/lib/unshim/journal.json"


def text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


exists = os.path.exists


def modules():
    """Return the processes that came over the connection: with pipelining their whole command line is the interpreter."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as stream:
                words = stream.read().split(b"\0")[:-1]
                if len(words) == 1 and words[0].startswith(b"/usr/bin/python3"):
                    found.append(int(name))
    return found


def main(condition, seconds):
    holds = compile(condition, "condition", "eval")
    deadline = time.monotonic() + seconds
    while not eval(holds, {"text": text, "exists": exists, "now": text(JOURNAL)}):
        if time.monotonic() > deadline:
            return 3
        time.sleep(0.001)
    victims = modules()
    for pid in victims:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGSTOP)
    print(f"hit {len(victims)}", flush=True)
    sys.stdin.readline()
    for pid in victims:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
