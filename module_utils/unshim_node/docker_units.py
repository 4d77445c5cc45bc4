"""Docker's systemd units: stopped so that nothing starts them again, and put back as they were."""

import contextlib
import os

from . import files, systemd
from .errors import NodeError

# Sockets before services: a client that connects meanwhile would start the service again.
UNITS = (
    "cri-docker.socket",
    "cri-docker.service",
    "cri-dockerd.socket",  # kubespray's names
    "cri-dockerd.service",
    "docker.socket",
    "docker.service",
)
ETC = "/etc/systemd/system"
DROP_IN = "90-unshim-retired.conf"
DROP_IN_TEXT = """\
# Written by unshim: this node's pods run on containerd and Docker is retired. To go back, roll the node back with
# unshim; by hand: remove this file, `systemctl daemon-reload`, and start the unit.
[Unit]
AssertPathExists=!/
"""


def present() -> dict:
    """Return what systemd says of each of UNITS that this node has, by name, in the order to stop them."""
    states = [(unit, systemd.show(unit)) for unit in UNITS]
    return {unit: state for unit, state in states if state["LoadState"] not in ("not-found", "")}


def drop_in_path(unit):
    return os.path.join(ETC, unit + ".d", DROP_IN)


def is_barred(unit, state):
    """Return whether nothing can start the unit, now and after a reboot."""
    if state["UnitFileState"] == "masked" or state["LoadState"] == "masked":
        return True
    return os.path.exists(drop_in_path(unit)) and state["UnitFileState"] not in ("enabled", "enabled-runtime")


def is_retired(unit, state):
    return is_barred(unit, state) and state["ActiveState"] in ("inactive", "failed")


def bar(unit: str) -> bool:
    """Make sure that nothing starts the unit, also after a reboot; return whether that was needed.

    That is a mask, but systemd masks no unit whose file is in /etc/systemd/system, as one installed by hand is: the
    mask is a symlink of that very name. Such a unit is disabled and gets a drop-in with an assertion that never holds,
    so that starting it fails and says why; a failed condition would pass for success.
    """
    state = systemd.show(unit)
    if is_barred(unit, state):
        return False
    path = os.path.join(ETC, unit)
    if os.path.lexists(path) and os.path.realpath(path) != "/dev/null":
        if os.path.islink(path):
            raise NodeError(
                "%s is a link to %s, so systemd can neither mask nor disable %s without removing it. Replace the link "
                "by the file itself, `systemctl daemon-reload`, and run again." % (path, os.readlink(path), unit)
            )
        files.write_atomically(drop_in_path(unit), DROP_IN_TEXT.encode("ascii"), 0o644, 0, 0)
        systemd.daemon_reload()
        systemd.disable(unit)
        return True
    return systemd.mask(unit)


def unbar(unit: str) -> bool:
    """Undo :func:`bar` and return whether that was needed. Whether the unit is enabled is another matter."""
    changed = False
    path = drop_in_path(unit)
    if os.path.exists(path):
        files.remove(path)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))  # ours, unless somebody else has a drop-in there
        systemd.daemon_reload()
        changed = True
    if os.path.realpath(os.path.join(ETC, unit)) == "/dev/null":
        changed = systemd.unmask(unit) or changed
    return changed
