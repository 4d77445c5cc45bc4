"""Sysctls of a pod's own network that Docker sets unasked, so that no process in it needs root for what they allow.

containerd's CRI plugin sets the same if it is told to, and by default from 2.0 on. Both leave pods on the node's network
alone, and a pod that sets the sysctl itself; neither sets the one for ping in a user namespace.

Sources: moby daemon/oci_linux.go, WithCommonOptions, v20.10.0 to v28.5.2 (moby#41030; moby#42736 for ping: before it, only
where userns-remap was on and a container opted out of it); containerd pkg/cri/server/sandbox_run_linux.go since 1.6
(containerd#6170), internal/cri/config/config_unix.go (containerd#9348) and config_kernel_linux.go (containerd#9172) since 2.0;
the kernel's Documentation/networking/ip-sysctl.
"""

from __future__ import annotations

from dataclasses import dataclass

from .compat import Version, parse_version


@dataclass(frozen=True)
class Option:
    """One sysctl, and the option of containerd's CRI plugin that sets it."""

    key: str
    sysctl: str
    value: str
    docker: Version  # sets it from here on
    kernel: Version  # has it from here on: Docker looks if it is there, containerd 1.x does not
    allows: str  # whom it lets do what


OPTIONS = (
    Option(
        "enable_unprivileged_ports", "net.ipv4.ip_unprivileged_port_start", "0", (20, 10, 0), (4, 11, 0),
        "listen on ports below 1024",
    ),
    Option("enable_unprivileged_icmp", "net.ipv4.ping_group_range", "0 2147483647", (20, 10, 13), (3, 0, 0), "ping"),
)  # fmt: skip
BY_KEY = {option.key: option for option in OPTIONS}
KNOWN_SINCE: Version = (1, 6, 0)
DEFAULT_SINCE: Version = (2, 0, 0)
# With an older one and either option on, as they are by default, containerd 2.x does not load CRI.
KERNEL_FOR_THE_DEFAULT: Version = (4, 11, 0)


def set_by_docker(docker: str, kernel: str, userns_remap: bool = False) -> tuple[Option, ...]:
    """Return what a Docker of this version sets for its containers on this kernel; nothing if either is not known."""
    ours, theirs = parse_version(docker), parse_version(kernel)
    if ours is None or theirs is None:
        return ()
    return tuple(
        option
        for option in OPTIONS
        if ours >= option.docker
        and theirs >= option.kernel
        and not (userns_remap and option.key == "enable_unprivileged_icmp")  # its groups are not mapped there
    )


def is_known(containerd: str) -> bool:
    """Return whether this containerd has the options at all; True if its version is not known."""
    version = parse_version(containerd)
    return version is None or version >= KNOWN_SINCE


def is_default(containerd: str) -> bool:
    """Return whether this containerd has the options on by default."""
    version = parse_version(containerd)
    return version is not None and version >= DEFAULT_SINCE


def must_be_off(containerd: str, kernel: str) -> bool:
    """Return whether this containerd loads CRI on this kernel only with both options off."""
    version = parse_version(kernel)
    return is_default(containerd) and version is not None and version < KERNEL_FOR_THE_DEFAULT
