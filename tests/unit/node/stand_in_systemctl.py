"""A systemctl whose units are JSON files in $UNITS: enough of systemd to watch what a module asks of it.

A unit with "command" starts that command for real, so that its process id and command line are real ones. Every call
that changes something is a line in $UNITS/calls. $UNITS/shown holds the process that was shown last.
"""

import json
import os
import shlex
import signal
import subprocess
import sys

UNITS = os.environ["UNITS"]
NOT_THERE = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": "", "MainPID": "0"}


def load(unit):
    try:
        with open(os.path.join(UNITS, unit + ".json")) as stream:
            return json.load(stream)
    except FileNotFoundError:
        return dict(NOT_THERE)


def alive(pid):
    try:
        with open("/proc/%s/stat" % pid) as stream:
            return stream.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def save(unit, state):
    with open(os.path.join(UNITS, unit + ".json"), "w") as stream:
        json.dump(state, stream)


def stop(state):
    if alive(state["MainPID"]) and "command" in state:
        os.kill(int(state["MainPID"]), signal.SIGKILL)
    state.update(ActiveState="inactive", MainPID="0")


def start(state):
    if "command" in state:
        environment = {}
        if os.path.exists(state.get("environment_file", "")):
            with open(state["environment_file"]) as stream:
                environment = dict(line.strip().split("=", 1) for line in stream if "=" in line)
        flags = shlex.split(environment.get("KUBELET_KUBEADM_ARGS", "").strip('"'))
        silence = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(state["command"] + flags, start_new_session=True, **silence)
        state["MainPID"] = str(process.pid)
    else:
        state["MainPID"] = str(int(state.get("MainPID") or 0) + 1)
    state["ActiveState"] = "active"


def main(arguments):
    words = [word for word in arguments if not word.startswith("-")]
    verb = words[0]
    if verb == "show":
        for place, unit in enumerate(arguments[arguments.index("--") + 1 :]):
            state = load(unit)
            if "command" in state and state["ActiveState"] == "active" and not alive(state["MainPID"]):
                state.update(ActiveState="failed", MainPID="0", Result="exit-code")
            lines = ["%s=%s" % pair for pair in state.items() if isinstance(pair[1], str)]
            print("\n" * bool(place) + "\n".join(lines))
            with open(os.path.join(UNITS, "shown"), "w") as stream:
                stream.write(state["MainPID"])
        return 0
    with open(os.path.join(UNITS, "calls"), "a") as stream:
        stream.write(" ".join(words) + "\n")
    if verb == "daemon-reload":
        return 0
    if verb == "mask":
        for unit in words[1:]:
            save(unit, dict(load(unit), UnitFileState="masked"))
        return 0
    state = load(words[1])
    if verb in ("stop", "restart"):
        stop(state)
    if verb in ("start", "restart"):
        start(state)
    if verb in ("enable", "disable"):
        state["UnitFileState"] = verb + "d"
    save(words[1], state)
    return 0


sys.exit(main(sys.argv[1:]))
