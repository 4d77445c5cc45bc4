"""Kernel modules and sysctls that pods need and that dockerd used to see to, kept over a reboot.

Sources: kubernetes.io container-runtimes, "Network configuration"; kubernetes/website#36336 (networking that worked only
because Docker had set it, until the next reboot); modules-load.d(5), sysctl.d(5).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from .facts import File, Kernel

MODULES = ("overlay", "br_netfilter")
SYSCTLS = {
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.ipv4.ip_forward": "1",
}
MODULES_FILE = "/etc/modules-load.d/unshim.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-unshim.conf"
_HEADER = "# Written by unshim: what Kubernetes' pods need, which Docker set by itself.\n"


def _directory_files(files: Mapping[str, File], name: str) -> list[tuple[str, str]]:
    """Return (path, content) of a systemd-style directory's files in the order they are read."""
    best: dict[str, tuple[int, str, str]] = {}
    for rank, root in enumerate(("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")):
        for path, file in files.items():
            directory, base = posixpath.split(path)
            if (
                directory == f"{root}/{name}"
                and posixpath.splitext(base)[1] == ".conf"
                and (base not in best or best[base][0] > rank)
            ):
                best[base] = (rank, path, file.content or "")
    return [(best[base][1], best[base][2]) for base in sorted(best)]


def modules_to_load(kernel: Kernel) -> tuple[str, ...]:
    return tuple(name for name in MODULES if name not in kernel.modules_loaded and name not in kernel.modules_absent)


def modules_file(files: Mapping[str, File]) -> str | None:
    """Return the text of our modules-load.d file, None if the node's other files name every module already."""
    named = set()
    for path, content in _directory_files(files, "modules-load.d"):
        if path != MODULES_FILE:
            named |= {line.strip().replace("-", "_") for line in content.splitlines()}
    missing = [name for name in MODULES if name not in named]
    return _HEADER + "".join(f"{name}\n" for name in MODULES) if missing else None


def sysctls_to_set(kernel: Kernel) -> dict[str, str]:
    """Return the sysctls whose value now is not the one wanted; one that the kernel lacks comes with its module."""
    return {name: value for name, value in SYSCTLS.items() if kernel.sysctls.get(name) != value}


def _settings(content: str) -> dict[str, str]:
    found = {}
    for line in content.splitlines():
        match = re.match(r"\s*-?\s*([A-Za-z0-9_./-]+?)\s*=\s*(.*?)\s*$", line)
        if match and not line.lstrip().startswith(("#", ";")):
            name = match[1]
            # Slashes may separate instead of dots: whichever comes first decides (sysctl.d(5)).
            if "/" in name and ("." not in name or name.index("/") < name.index(".")):
                name = name.replace("/", ".")
            found[name] = match[2]
    return found


def modules_at_boot(files: Mapping[str, File]) -> set[str]:
    """Return the modules that a start of the node loads, by its files."""
    named: set[str] = set()
    for _, content in _directory_files(files, "modules-load.d"):
        named |= {line.strip().replace("-", "_") for line in content.splitlines() if not line.startswith(("#", ";"))}
    return named


def sysctls_at_boot(files: Mapping[str, File]) -> dict[str, tuple[str, str]]:
    """Return for each of SYSCTLS (the value a start of the node gives it, the file that decides), "" and "" if none does."""
    found = dict.fromkeys(SYSCTLS, ("", ""))
    for path, content in _directory_files(files, "sysctl.d"):
        for name, value in _settings(content).items():
            if name in found:
                found[name] = (value, path)
    return found


def sysctl_file(files: Mapping[str, File]) -> tuple[str | None, list[tuple[str, str, str]]]:
    """Return the text of our sysctl.d file, None if the node's other files set everything already, and what overrides it.

    The second is a list of (path, sysctl, value) of files read after ours.
    """
    effective: dict[str, str] = {}
    overriding: list[tuple[str, str, str]] = []
    for path, content in _directory_files(files, "sysctl.d"):
        if path == SYSCTL_FILE:
            continue
        settings = _settings(content)
        effective.update(settings)
        if posixpath.basename(path) > posixpath.basename(SYSCTL_FILE):
            overriding += [
                (path, name, settings[name]) for name, value in SYSCTLS.items() if settings.get(name, value) != value
            ]
    if all(effective.get(name) == value for name, value in SYSCTLS.items()):
        return None, overriding
    return _HEADER + "".join(f"{name} = {value}\n" for name, value in sorted(SYSCTLS.items())), overriding
