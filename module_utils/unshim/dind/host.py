"""What a node has to have before a pod's dockerd can work, and cannot get from inside a pod.

A pod has no /lib/modules, so it loads no kernel module, and sysctls that are the whole machine's are not its own.

Sources: docker-library/docker#467 (legacy rules on a host with nf_tables), moby#49020 (RHEL 10 has no ip_tables),
docker/docker-ce-packaging#1340 (xt_addrtype in kernel-modules-extra there), concourse/docker-image-resource#388 (no legacy tables
in Ubuntu 26.04); kind.sigs.k8s.io/docs/user/known-issues (inotify limits); moby libnetwork/iptables (the matches and targets).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MODULES_FILE = "/etc/modules-load.d/unshim-dind.conf"
SYSCTL_FILE = "/etc/sysctl.d/99-unshim-dind.conf"
_HEADER = "# Written by unshim: what dockerd in a pod needs and cannot load or set itself.\n"
#: dockerd's own, whichever iptables it has.
_BOTH = ("overlay", "bridge", "br_netfilter", "veth", "xt_addrtype", "xt_conntrack", "xt_MASQUERADE")
MODULES = {
    "nft": (*_BOTH, "nf_tables", "nft_compat", "nft_chain_nat"),
    "legacy": (*_BOTH, "ip_tables", "iptable_filter", "iptable_nat"),
}
#: The least each has to be; a larger value stays.
SYSCTLS = {"fs.inotify.max_user_instances": 512, "fs.inotify.max_user_watches": 524288}

PROBE = (Path(__file__).parent / "host_probe.sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Host:
    """One node, as PROBE saw it."""

    routes: str = ""  # /proc/net/route
    kernel: str = ""
    sysctls: dict[str, int] = field(default_factory=dict)
    iptables: dict[str, str] = field(default_factory=dict)  # by flavour: "works", "missing", "fails: ..."
    modules: dict[str, str] = field(default_factory=dict)  # "loaded", "builtin", "loadable", "absent", "unknown"


@dataclass(frozen=True)
class Preparation:
    """What is done to one node."""

    iptables: str  # "nft", "legacy", or "auto" where nothing could be tried
    load: tuple[str, ...] = ()  # modules to load now
    sysctls: dict[str, int] = field(default_factory=dict)  # to set now
    files: dict[str, str] = field(default_factory=dict)  # text by path: the same at every start
    problems: tuple[str, ...] = ()  # what keeps dockerd from working there


def parse(text: str) -> Host:
    """Return what PROBE printed as a Host."""
    sections: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:].strip()
            sections[name] = []
        elif name:
            sections[name].append(line)
    sysctls = {}
    for line in sections.get("sysctl", ()):
        words = line.split()
        if len(words) == 2 and re.fullmatch(r"[0-9]{1,18}", words[1]):
            sysctls[words[0]] = int(words[1])
    return Host(
        routes="\n".join(sections.get("route", ())),
        kernel=" ".join(sections.get("kernel", ())).strip(),
        sysctls=sysctls,
        iptables={
            kind: " ".join(sections[f"iptables {kind}"]).strip()
            for kind in ("nft", "legacy")
            if f"iptables {kind}" in sections
        },
        modules=dict(line.split() for line in sections.get("modules", ()) if len(line.split()) == 2),
    )


def prepare(host: Host, iptables: str = "auto") -> Preparation:
    """Return what a node needs: the flavour of iptables that works there, its modules, sysctls and the files that keep both.

    Args:
        iptables: "auto", or the flavour that somebody has chosen.
    """
    flavour, problems = _flavour(host, iptables)
    wanted = MODULES[flavour] if flavour in MODULES else tuple(dict.fromkeys((*MODULES["nft"], *MODULES["legacy"])))
    absent = [name for name in (wanted if flavour in MODULES else _BOTH) if host.modules.get(name) == "absent"]
    # Where the rules were tried and hold, whatever they need is there, by whichever name this kernel has it.
    if absent and host.iptables.get(flavour) != "works":
        problems.append(
            f"the kernel {host.kernel} has no module {', '.join(absent)}; on the RHEL family install kernel-modules-extra"
        )
    persisted = tuple(name for name in wanted if host.modules.get(name) in ("loaded", "loadable"))
    files = {SYSCTL_FILE: _HEADER + "".join(f"{name} = {_wanted(host, name)}\n" for name in SYSCTLS)}
    if persisted:
        files[MODULES_FILE] = _HEADER + "".join(f"{name}\n" for name in persisted)
    return Preparation(
        iptables=flavour,
        load=tuple(name for name in persisted if host.modules[name] == "loadable"),
        sysctls={name: least for name, least in SYSCTLS.items() if host.sysctls.get(name, least) < least},
        files=files,
        problems=tuple(problems),
    )


def _wanted(host: Host, name: str) -> int:
    return max(SYSCTLS[name], host.sysctls.get(name, 0))


def _flavour(host: Host, given: str) -> tuple[str, list[str]]:
    said = host.iptables
    if given in MODULES:
        failed = said.get(given, "missing")
        problems = [f"iptables-{given} was asked for and {failed}"] if failed.startswith("fails") else []
        return given, problems
    for kind in ("nft", "legacy"):
        if said.get(kind) == "works":
            return kind, []
    tried = [f"iptables-{kind} {_in_short(text)}" for kind, text in said.items() if text.startswith("fails")]
    # Without the programs only the kernel can be asked: the image brings its own iptables, and finds out when it starts.
    possible = [
        kind for kind, names in MODULES.items() if not any(host.modules.get(name) == "absent" for name in names)
    ]
    problems = [f"neither flavour of iptables works: {'; '.join(tried)}"] if tried else []
    return (possible[0] if len(possible) == 1 else "auto"), problems


def _in_short(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:200]


def common_flavour(preparations: Mapping[str, Preparation]) -> str:
    """Return the flavour that all nodes share; "auto" if they differ, and dockerd's start finds out for itself."""
    flavours = {one.iptables for one in preparations.values()}
    return flavours.pop() if len(flavours) == 1 else "auto"
