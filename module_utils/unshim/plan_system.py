"""The part of a plan that concerns what a node is made of: the age of its system, its kernel, its cgroups.

Sources: docs.docker.com/engine/storage/drivers/overlayfs-driver, "Prerequisites" (Linux 4.0, or 3.10.0-514 of RHEL and CentOS;
containerd's snapshotter asks for the same, several lower layers: containerd plugins/snapshots/overlay/overlayutils);
kubernetes/system-validators types_unix.go (Cgroups, CgroupsV2); kubernetes.io container-runtimes (br_netfilter).
"""

from __future__ import annotations

import re

from . import compat, os_releases
from .plan_draft import Draft

OLDEST_KERNEL: compat.Version = (4, 0, 0)
OLDEST_RED_HAT_BUILD = 514  # of 3.10.0, which RHEL 7.3 came with
CONTROLLERS = {
    "v1": ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"),
    "v2": ("cpu", "cpuset", "memory", "pids"),  # devices and freezer are no controllers there
}


def check_release(draft: Draft) -> None:
    """Warn of a system that gets no updates any more, by the node's own clock."""
    facts = draft.facts
    row, today = os_releases.release(facts.os), os_releases.day(facts.time)
    if row is None or today is None or today <= row.ended:
        return
    paid = ""
    if row.extended is not None:
        paid = f"; those of {row.by} {'go on until' if today <= row.extended else 'ended on'} {row.extended}"
    draft.warn(
        "os-end-of-life",
        f"{facts.os.pretty_name or facts.os.id} has got no security updates since {row.ended}{paid}",
        "It can be moved as others can, but a fault in its containerd or kernel is not mended any more: plan its upgrade or replacement.",
    )


def check_kernel(draft: Draft) -> None:
    """Block where containerd could not put layers over each other; to be called when the snapshotter is known."""
    facts = draft.facts
    overlay_works = facts.containerd.snapshotters.get("overlayfs") == "ok" or facts.docker.storage_driver == "overlay2"
    if draft.snapshotter in ("", "overlayfs") and not overlay_works:
        if "overlay" in facts.kernel.modules_absent:
            draft.block(
                "kernel-module-absent",
                f"the kernel {facts.os.kernel} has no overlay file system, on which containerd puts its layers",
                "Boot a kernel that has it (CONFIG_OVERLAY_FS; package linux-modules-extra or kernel-modules on some systems).",
            )
        elif is_too_old(facts.os.kernel):
            draft.block(
                "kernel-too-old",
                f"the kernel {facts.os.kernel} is too old for overlayfs with several layers: Linux 4.0, or 3.10.0-514 of RHEL 7",
                "Update the kernel and reboot, and plan again.",
            )
    if "br_netfilter" in facts.kernel.modules_absent:
        draft.warn(
            "kernel-module-absent",
            f"the kernel {facts.os.kernel} has no br_netfilter: iptables does not see what pods on a bridge send to each other's Services",
            "Boot a kernel that has it (CONFIG_BRIDGE_NETFILTER), unless the network add-on uses no bridge.",
        )


def is_too_old(kernel: str) -> bool:
    """Return whether overlayfs takes only one lower layer in this kernel (uname -r); False if its version is not known."""
    version = compat.parse_version(kernel)
    if version is None or version >= OLDEST_KERNEL:
        return False
    build = re.match(r"3\.10\.0-(\d{1,9})\..*el7", kernel)
    return not (build and int(build[1]) >= OLDEST_RED_HAT_BUILD)


def check_cgroups(draft: Draft) -> None:
    """Warn of controllers that the kubelet needs and the kernel does not offer."""
    kernel = draft.facts.kernel
    if kernel.controllers is None or not kernel.cgroup:
        return
    wanted = CONTROLLERS["v2" if kernel.cgroup == "v2" else "v1"]
    missing = [name for name in wanted if name not in kernel.controllers]
    if missing:
        draft.warn(
            "cgroup-controller-missing",
            f"the kernel offers no cgroup controller {', '.join(missing)} (cgroup {kernel.cgroup}): a kubelet does not start without"
            if draft.settings.goal == "provision"
            else f"the kernel offers no cgroup controller {', '.join(missing)} (cgroup {kernel.cgroup}): limits of pods do not hold",
            "Switch it on at the kernel's command line (cgroup_enable=memory cgroup_memory=1, on a Raspberry Pi) and reboot.",
        )
