"""Whether a containerd that only a shell reaches serves CRI, by ctr, which comes with it.

A plugin that is "ok" has been loaded and its service registered, and containerd reports RuntimeReady as true from then on:
https://github.com/containerd/containerd, pkg/cri/server/status.go (1.x) and internal/cri/server/status.go (2.x). Which version of
the API a kubelet finds there follows from containerd's, which the plan has chosen by it.
"""

import time

from . import commands

# 1.x: io.containerd.grpc.v1/cri. 2.x: that, and what it is made of.
TYPES = ("io.containerd.grpc.v1", "io.containerd.cri.v1")


def wait_ready(socket_path, timeout, error_kind, interval=0.5):
    """Ask until the CRI plugin is loaded.

    Args:
        error_kind: the exception to raise, :class:`cri.CriError`.

    Returns:
        as :func:`cri.wait_ready`, without the versions of the API.

    Raises:
        CriError: what was still wrong in the end.
    """
    began = time.monotonic()
    while True:
        problem, plugins = look(socket_path)
        if not problem:
            break
        waited = time.monotonic() - began
        # containerd answers once all its plugins are loaded: one that is not ok then stays so.
        if plugins or waited + interval >= timeout:
            raise error_kind("%s (Waited %.1f s.)" % (problem, waited), {"plugins": plugins})
        time.sleep(interval)
    version = commands.run(["ctr", "--address", socket_path, "version"], timeout=15).out
    server = version.partition("Server:")[2]
    number = next((line.split()[1] for line in server.splitlines() if line.split()[:1] == ["Version:"]), "")
    return {
        "api": "",
        "runtime_name": "containerd",
        "runtime_version": number.lstrip("v"),
        "runtime_api_version": "",
        "conditions": {"RuntimeReady": {"status": True, "reason": "", "message": ""}},
    }


def look(socket_path):
    """Return (what is wrong or "", the states of the CRI plugins by name)."""
    result = commands.run(["ctr", "--address", socket_path, "plugins", "ls"], timeout=15, check=False)
    if result.rc != 0:
        said = commands.last_lines(result.err, 1)
        return "containerd does not answer on %s (%s)." % (socket_path, said), {}
    plugins = cri_plugins(result.out)
    if not plugins:
        return "containerd serves no CRI: its CRI plugin is disabled.", {"cri": "disabled"}
    bad = ["%s is in state %s" % (name, state) for name, state in sorted(plugins.items()) if state != "ok"]
    return ("containerd serves no CRI: %s." % ", ".join(bad) if bad else ""), plugins


def cri_plugins(text):
    """Return the state of each CRI plugin in what ``ctr plugins ls`` prints: TYPE ID PLATFORMS STATUS."""
    lines = [line.split() for line in text.splitlines()]
    return {
        "%s.%s" % (words[0], words[1]): words[-1]
        for words in lines
        if len(words) > 3 and ((words[0], words[1]) == (TYPES[0], "cri") or words[0] == TYPES[1])
    }
