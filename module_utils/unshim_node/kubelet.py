"""The kubelet as a process: which runtime it was started for, and whether it stays up."""

import contextlib
import glob
import json
import os
import re
import time

from . import cri, files, systemd
from .errors import NodeError

UNIT = "kubelet.service"
FLAG = "--container-runtime-endpoint"


def command_line(pid: int) -> list:
    """Return the arguments of process ``pid``, [] if there is none."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as stream:
            words = stream.read().split(b"\0")
    except OSError:
        return []
    return [word.decode("utf-8", "replace") for word in words[:-1]]


def flag(words: list, name: str) -> str:
    """Return the value of a flag on a command line (the last one counts), "" if it is not there."""
    value = ""
    for position, word in enumerate(words):
        if word.startswith(name + "="):
            value = word[len(name) + 1 :]
        elif word == name and position + 1 < len(words):
            value = words[position + 1]
    return value


def endpoint_in_config(data: bytes) -> str:
    """Return containerRuntimeEndpoint of a KubeletConfiguration in YAML or JSON, "" if it has none.

    Nodes have no YAML parser; a top-level scalar is one line that starts with its name.
    """
    text = data.decode("utf-8-sig", "replace")
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):  # YAML may begin so, too
            return str(json.loads(text).get("containerRuntimeEndpoint", ""))
    match = re.search(
        r"""(?:^|[{,][ \t]*)["']?containerRuntimeEndpoint["']?\s*:\s*(?:"([^"]*)"|'([^']*)'|([^\s#]+))""",
        text,
        re.MULTILINE,
    )
    return next((value for value in match.groups() if value), "") if match else ""


def endpoint(pid: int) -> str:
    """Return the socket the kubelet ``pid`` was started with, as a path; "" if it names none (dockershim's default)."""
    words = command_line(pid)
    value = flag(words, FLAG)
    if not value:
        root = "/proc/%d/root" % pid
        config, directory = flag(words, "--config"), flag(words, "--config-dir")
        paths = [os.path.join(root, config.lstrip("/"))] if config else []
        if directory:  # drop-ins of 1.28 and later: the last that names one counts
            paths += sorted(glob.glob(os.path.join(root, directory.lstrip("/"), "*.conf")))
        for path in paths:
            value = endpoint_in_config(files.read_bytes(path) or b"") or value
    return cri.socket_file(value)


def uses(unit: str, wanted: str) -> bool:
    """Return whether the unit is active and its process was started with endpoint ``wanted``."""
    state = systemd.show(unit)
    return state["ActiveState"] == "active" and endpoint(int(state["MainPID"] or 0)) == cri.socket_file(wanted)


def stays_up(unit, timeout, watch):
    """Wait until the unit is active, then watch that the same process goes on for ``watch`` seconds; returns its pid.

    Raises:
        NodeError: it did not come up or ended, with the telling lines of its log.
    """
    began = time.time()
    deadline = time.monotonic() + timeout
    pid = up_since = None
    while True:
        state = systemd.show(unit)
        now = int(state["MainPID"] or 0) if state["ActiveState"] == "active" else 0
        if pid and now != pid:
            raise NodeError(
                "The kubelet ended %.1f s after its start (%s). Its log says:\n%s"
                % (time.monotonic() - up_since, describe(state), systemd.telling_log(unit, pid=pid)),
                {"unit": unit, "unit_state": state["ActiveState"]},
            )
        if now and not pid:
            pid, up_since = now, time.monotonic()
        if pid and time.monotonic() - up_since >= watch:
            return pid
        if not pid and (state["ActiveState"] == "failed" or time.monotonic() >= deadline):
            raise NodeError(
                "The kubelet did not start (%s). Its log says:\n%s"
                % (describe(state), systemd.telling_log(unit, since=began)),
                {"unit": unit, "unit_state": state["ActiveState"]},
            )
        time.sleep(0.25)


def describe(state):
    return "unit %s/%s, result %s, exit status %s" % (
        state["ActiveState"],
        state["SubState"],
        state["Result"] or "unknown",
        state["ExecMainStatus"] or "unknown",
    )
