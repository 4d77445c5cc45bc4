"""Docker's systemd units: stopped so that nothing starts them again, and put back as they were."""

import contextlib
import os
from typing import Iterable, List

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
    states = systemd.show_all(UNITS)
    return {unit: states[unit] for unit in UNITS if states[unit]["LoadState"] not in ("not-found", "")}


def drop_in_path(unit):
    return os.path.join(ETC, unit + ".d", DROP_IN)


def is_barred(unit, state):
    """Return whether nothing can start the unit, now and after a reboot."""
    if state["UnitFileState"] == "masked" or state["LoadState"] == "masked":
        return True
    return os.path.exists(drop_in_path(unit)) and state["UnitFileState"] not in ("enabled", "enabled-runtime")


def is_retired(unit, state):
    return is_barred(unit, state) and state["ActiveState"] in ("inactive", "failed")


def bar(units: Iterable[str]) -> List[str]:
    """Make sure that nothing starts the units, also after a reboot; return those of which that was needed.

    That is a mask, but systemd masks no unit whose file is in /etc/systemd/system, as one installed by hand is: the
    mask is a symlink of that very name. Such a unit is disabled and gets a drop-in with an assertion that never holds,
    so that starting it fails and says why; a failed condition would pass for success.
    """
    units = list(units)
    states = systemd.show_all(units) if units else {}
    needed = [unit for unit in units if not is_barred(unit, states[unit])]
    by_hand = [unit for unit in needed if _is_installed_by_hand(unit)]
    for unit in by_hand:
        path = os.path.join(ETC, unit)
        if os.path.islink(path):
            raise NodeError(
                "%s is a link to %s, so systemd can neither mask nor disable %s without removing it. Replace the link "
                "by the file itself, `systemctl daemon-reload`, and run again." % (path, os.readlink(path), unit)
            )
    for unit in by_hand:
        files.write_atomically(drop_in_path(unit), DROP_IN_TEXT.encode("ascii"), 0o644, 0, 0)
    if by_hand:
        systemd.daemon_reload()
    for unit in by_hand:
        systemd.disable(unit)
    # All at once: systemd reads every unit file of the node again after each mask.
    systemd.mask([unit for unit in needed if unit not in by_hand])
    return needed


def _is_installed_by_hand(unit: str) -> bool:
    path = os.path.join(ETC, unit)
    return os.path.lexists(path) and os.path.realpath(path) != "/dev/null"


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
