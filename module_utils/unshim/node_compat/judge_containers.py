"""Judgements on what a container may do and has: limits, rights, and what it finds of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .. import node_gate
from . import pods
from .model import NotShown, Observed, Verdict, broken, differs, ok
from .observation import table

#: What Docker and containerd both give; moby oci/caps/defaults.go, containerd pkg/oci/spec.go.
DEFAULT_CAPABILITIES = frozenset(
    ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP")
    + ("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")
)
#: By number; include/uapi/linux/capability.h.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
#: Docker hides it and the kubelet does not ask containerd to; moby oci/defaults.go, kubernetes pkg/securitycontext/util.go.
ONLY_DOCKER_HIDES = frozenset(("/proc/asound",))
SERVICE_VARIABLE = re.compile(r"KUBERNETES_|.*_(SERVICE_(HOST|PORT.*)|PORT(_\d+_(TCP|UDP|SCTP).*)?)$")


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what differs of two tables, "name before -> now" each."""
    return [
        f"{name} {before.get(name, 'not set')} -> {now.get(name, 'not set')}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def only_compared(seen: str) -> NotShown:
    """What a check raises that needs an earlier run and has none."""
    return NotShown(f"no earlier run to compare with; now {seen}")


def limits(now: Observed, before: Observed | None) -> Verdict:
    seen = parse_limits(now.text("plain.limits"))
    if before is None:
        raise only_compared(
            f"open files {seen.get('open files', 'not seen')}, processes {seen.get('processes', 'not seen')}"
        )
    changed = changes(parse_limits(before.text("plain.limits")), seen)
    if changed:
        return broken("limits (soft hard) changed: " + "; ".join(changed))
    return ok(f"all {len(seen)} limits as before; open files {seen.get('open files')}")


def parse_limits(text: str) -> dict[str, str]:
    """Return {"open files": "1024 524288"} of the text of /proc/PID/limits."""
    found = {}
    for line in text.splitlines():
        columns = re.split(r"\s{2,}", line.strip())
        if line.startswith("Max ") and len(columns) >= 3:
            found[columns[0].removeprefix("Max ")] = " ".join(columns[1:3])
    return found


def capabilities(now: Observed, before: Observed | None) -> Verdict:
    seen = _capability_set(now.text("plain.status"))
    expected = DEFAULT_CAPABILITIES if before is None else _capability_set(before.text("plain.status"))
    lost, gained = expected - seen, seen - expected
    if lost or gained:
        told = [f"lost {_names(lost)}"] * bool(lost) + [f"more than before: {_names(gained)}"] * bool(gained)
        return broken("; ".join(told))
    return ok(f"{len(seen)}: {_names(seen)}")


def _capability_set(status: str) -> frozenset[str]:
    mask = int(status_field(status, "CapBnd"), 16)
    return frozenset(name for number, name in enumerate(CAPABILITIES) if mask >> number & 1)


def status_field(status: str, name: str) -> str:
    """Return a field of /proc/PID/status."""
    match = re.search(rf"(?m)^{name}:\s*(.*)$", status)
    if match is None:
        raise NotShown(f"the kernel does not tell {name}")
    return match[1].strip()


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def seccomp(now: Observed, before: Observed | None) -> Verdict:
    default = status_field(now.text("plain.status"), "Seccomp")
    asked = status_field(now.text("user.status"), "Seccomp")
    told = f"mode {default} by default, {asked} with RuntimeDefault"
    if asked != "2":
        return broken(f"RuntimeDefault filters nothing ({told})")
    if before is not None and default != (was := status_field(before.text("plain.status"), "Seccomp")):
        return (broken if was == "2" else differs)(f"by default mode {was} -> {default}")
    return ok(told)


def apparmor(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("plain.apparmor").replace("\0", "").strip()
    was = before.get("plain.apparmor").replace("\0", "").strip() if before else ""
    loose = ("", "unconfined")
    if seen in loose and was in loose:
        raise NotShown("this node confines no container with AppArmor")
    if seen in loose:
        return broken(f"{was} -> {seen or 'unconfined'}")
    if before is not None and seen != was:
        return differs(
            f"{was or 'unconfined'} -> {seen}: another name for the same rules; a policy that names Docker's must change"
        )
    return ok(seen)


def unprivileged(now: Observed, before: Observed | None) -> Verdict:
    names = ("net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range")
    seen = _chosen(now.text("plain.sysctls"), names)
    told = ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in seen.items())
    if not seen:
        raise NotShown("this kernel has no such sysctls")
    if before is None:
        raise only_compared(told)
    changed = changes(_chosen(before.text("plain.sysctls"), names), seen)
    if changed:
        return differs(
            f"{'; '.join(changed)}: a process that is not root and listens on a port below 1024, or pings, may need "
            "NET_BIND_SERVICE, NET_RAW or enable_unprivileged_ports and enable_unprivileged_icmp in containerd's settings"
        )
    return ok(told)


def _chosen(text: str, names: Iterable[str]) -> dict[str, str]:
    found = table(text)
    return {name: " ".join(found[name].split()) for name in names if name in found}


def cgroup(now: Observed, before: Observed | None) -> Verdict:
    gate = node_gate.cgroup_gate(now.text("plain.cgroup"))
    if gate.passed is None:
        raise NotShown(gate.evidence)
    return (ok if gate.passed else broken)(gate.evidence)


def hidden_paths(now: Observed, before: Observed | None) -> Verdict:
    hidden, fixed = _covered(now.text("plain.mounts"))
    if before is None:
        missing = set(now.text("plain.to-hide").split()) - hidden | {"/proc/sys"} - fixed
        return (
            broken(f"not covered: {_names(missing)}")
            if missing
            else ok(f"{len(hidden)} hidden, {len(fixed)} read-only")
        )
    was_hidden, was_fixed = _covered(before.text("plain.mounts"))
    lost = (was_hidden - hidden) | (was_fixed - fixed)
    if lost - ONLY_DOCKER_HIDES:
        return broken(f"no longer covered: {_names(lost - ONLY_DOCKER_HIDES)}")
    if lost:
        return differs(f"no longer hidden: {_names(lost)}, which only Docker hides")
    return ok(f"{len(hidden)} hidden, {len(fixed)} read-only, as before")


def mount_points(text: str) -> dict[str, tuple[str, str, str]]:
    """Return {mount point: (options, optional fields, super options)} of a mountinfo; proc(5)."""
    found = {}
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        words = left.split()
        if len(words) >= 6 and right:
            found[words[4]] = (words[5], " ".join(words[6:]), right.split(" ", 2)[-1])
    return found


def _covered(text: str) -> tuple[set[str], set[str]]:
    """Return the paths below /proc and /sys that are hidden, and those that are mounted over themselves, read-only."""
    hidden, fixed = set(), set()
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        words, kind = left.split(), right.split(" ", 1)[0]
        if len(words) < 6 or not re.match(r"/(proc|sys)/", words[4]):
            continue
        if words[3].endswith("/null") or kind == "tmpfs" and words[4] != "/sys/fs/cgroup":
            hidden.add(words[4])
        elif kind == "proc" and "ro" in words[5].split(","):
            fixed.add(words[4])
    return hidden, fixed


def restricted_user(now: Observed, before: Observed | None) -> Verdict:
    status = now.text("user.status")
    wrong = []
    user, group = (now.text("user.identity").split() + ["", ""])[:2]
    if (user, group) != (str(pods.USER), str(pods.USER)):
        wrong.append(f"runs as {user}:{group}, asked for {pods.USER}")
    if status_field(status, "NoNewPrivs") != "1":
        wrong.append("may gain rights although allowPrivilegeEscalation is false")
    if int(status_field(status, "CapEff"), 16) or int(status_field(status, "CapBnd"), 16):
        wrong.append("holds capabilities although all were dropped")
    return broken("; ".join(wrong)) if wrong else ok(f"user {user}, no capabilities, no_new_privs")


def shared_memory(now: Observed, before: Observed | None) -> Verdict:
    seen = _shm_size(now)
    expected = "64 MiB" if before is None else _shm_size(before)
    return ok(seen) if seen == expected else broken(f"{expected} -> {seen}")


def _shm_size(observed: Observed) -> str:
    mounts = mount_points(observed.text("plain.mounts"))
    if "/dev/shm" not in mounts:
        return "none"
    match = re.search(r"size=(\d+)([kmg]?)", mounts["/dev/shm"][2])
    if match is None:
        return "no limit"
    return f"{int(match[1]) * {'': 1, 'k': 1024, 'm': 1024**2, 'g': 1024**3}[match[2]] // 1024**2} MiB"


def environment(now: Observed, before: Observed | None) -> Verdict:
    wanted = f"made of {now.text('pod.token')}"
    if now.text("plain.value") != wanted:
        return broken(f"a variable made of another is {now.text('plain.value')!r}, not {wanted!r}")
    seen = _variables(now)
    expected = {"PATH", "HOSTNAME"} if before is None else _variables(before)
    if expected - seen:
        return broken(f"no longer set: {_names(expected - seen)}")
    return ok(_names(seen))


def _variables(observed: Observed) -> set[str]:
    return {name for name in observed.text("plain.variables").split() if not SERVICE_VARIABLE.match(name)}


def names(now: Observed, before: Observed | None) -> Verdict:
    wrong = []
    pod, address = now.text("pod.name"), now.text("pod.address")
    entries = [line.split("#")[0].split() for line in now.text("plain.hosts").splitlines()]
    if now.text("plain.hostname").strip() != pod:
        wrong.append(f"its hostname is {now.text('plain.hostname').strip()}, not {pod}")
    for ip, name in ((address, pod), pods.HOST_ALIAS):
        if not any(entry[:1] == [ip] and name in entry for entry in entries):
            wrong.append(f"/etc/hosts does not have {name} at {ip}")
    return broken("; ".join(wrong)) if wrong else ok(f"hostname {pod}; /etc/hosts has it, and the alias asked for")


def first_process(now: Observed, before: Observed | None) -> Verdict:
    seen = " ".join(now.text("plain.first-process").split()[:3])
    if seen.startswith("/bin/sh -c"):
        was = " ".join(before.get("plain.first-process").split()[:3]) if before else seen
        if was and not was.startswith("/bin/sh -c"):
            return differs(f"{was} -> {seen}: no init process reaps what the container's own leaves behind")
        return ok(seen)
    if "init" in seen.split("/")[-1] or "docker-init" in seen:
        return differs(f"{seen}: Docker puts an init process before it, containerd does not")
    return broken(f"process 1 is {seen or 'not seen'}, not the container's command")


def pod_sysctls(now: Observed, before: Observed | None) -> Verdict:
    seen = _chosen(now.text("plain.sysctls"), ["net.ipv4.ip_local_port_range"]).get(
        "net.ipv4.ip_local_port_range", "none"
    )
    return (ok if seen == pods.PORT_RANGE else broken)(f"ip_local_port_range {seen}, asked for {pods.PORT_RANGE}")


def memory_limit(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pod.greedy")
    return (ok if seen.startswith("137 ") else broken)(
        f"a container that takes more than {pods.MEMORY_LIMIT}: exit code and reason {seen}"
    )
