"""Whether a moved node comes back on containerd from a reboot: units, modules, sysctls and mounts as they are on disk.

What runs now says nothing of that: a Docker that is only stopped, a sysctl that only dockerd had set, or a disk that was
mounted by hand is noticed weeks later, at the next reboot (kubernetes/website#36336).
"""

from __future__ import annotations

from dataclasses import dataclass

from . import host_kernel, timeline
from .facts import Facts, Unit
from .plan_docker import DOCKER_UNITS

DROP_IN = "90-unshim-retired.conf"  # written by docker_retire where a unit cannot be masked (docker_units.py)
STARTED = ("enabled", "static", "alias", "generated", "indirect")
# Mounted by their own services, not by units that systemd knows.
SELF_MOUNTED = ("zfs",)


@dataclass(frozen=True)
class Reboot:
    """``problems``: the node would not come back on containerd. ``doubts``: it may not, and unshim has not made it so."""

    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def judge(facts: Facts) -> Reboot:
    """Judge a node that runs on containerd."""
    problems: list[str] = []
    doubts: list[str] = []
    journal = timeline.read(facts.files[timeline.JOURNAL].content if timeline.JOURNAL in facts.files else None)
    _units(facts, journal, problems, doubts)
    # On a node that others set up, what is missing may be seen to in a way that is not known here.
    ours = problems if journal.get("state") in ("switched", "verified", "committed") else doubts
    named = host_kernel.modules_at_boot(facts.files)
    for module in host_kernel.MODULES:
        if module not in named:
            ours.append(f"no file in /etc/modules-load.d names the kernel module {module}")
    for name, (value, path) in sorted(host_kernel.sysctls_at_boot(facts.files).items()):
        if not path:
            ours.append(f"no file in /etc/sysctl.d sets {name}, which is to be {host_kernel.SYSCTLS[name]}")
        elif value != host_kernel.SYSCTLS[name]:
            doubts.append(f"{path} sets {name} = {value}, and is to be {host_kernel.SYSCTLS[name]}: take that line out")
    _mounts(facts, doubts)
    return Reboot(tuple(problems), tuple(doubts))


def _units(facts: Facts, journal: dict[str, object], problems: list[str], doubts: list[str]) -> None:
    containerd = facts.units.get("containerd.service", Unit("containerd.service"))
    if containerd.unit_file_state not in STARTED:
        state = containerd.unit_file_state or containerd.load_state
        problems.append(f"containerd.service is {state}: run systemctl enable containerd")
    kubelet = facts.units.get("kubelet.service", Unit("kubelet.service"))
    if kubelet.unit_file_state not in STARTED:
        was = journal.get("units")
        before = was.get("kubelet.service", {}).get("unit_file_state", "") if isinstance(was, dict) else ""
        said = f"kubelet.service is {kubelet.unit_file_state or kubelet.load_state}: run systemctl enable kubelet"
        (problems if before in STARTED else doubts).append(said)
    if journal.get("state") not in ("switched", "verified"):
        return  # Docker was never ours to stop, or is gone
    for name in DOCKER_UNITS:
        unit = facts.units.get(name)
        if unit is None or unit.load_state == "not-found":
            continue
        masked = "masked" in (unit.load_state, unit.unit_file_state)
        barred = any(path.endswith("/" + DROP_IN) for path in unit.drop_in_paths)
        if not masked and not (barred and unit.unit_file_state not in ("enabled", "enabled-runtime")):
            problems.append(
                f"{name} is {unit.unit_file_state or 'not masked'}, so Docker could start: run systemctl mask {name}"
            )


def _mounts(facts: Facts, doubts: list[str]) -> None:
    """Doubt a disk that only somebody's hand has mounted; in a container, whoever starts it makes the mounts."""
    if facts.os.container:
        return
    for directory in dict.fromkeys((facts.containerd.root or "/var/lib/containerd", "/var/lib/kubelet")):
        mount = facts.mounts.get(directory)
        if mount is None or mount.path in ("", "/") or mount.filesystem in SELF_MOUNTED or mount.unit is None:
            continue
        if not mount.unit:
            doubts.append(
                f"{directory} is on the disk mounted at {mount.path}, which neither /etc/fstab nor a mount unit mounts at a"
                f" start: add it to /etc/fstab"
            )
