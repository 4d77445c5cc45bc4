"""Judgements on a pod's network."""

from __future__ import annotations

import re

from .judge_containers import changes, only_compared
from .model import NotShown, Observed, Verdict, broken, differs, ok
from .observation import table

UP = 0x1  # IFF_UP, include/uapi/linux/if.h


def started(now: Observed, before: Observed | None) -> Verdict:
    seen = now.text("pod.start")
    if not seen.startswith("running"):
        return broken(seen)
    gate = now.text("pod.address-gate")
    return ok(f"{seen}; {gate.removeprefix('passed ')}") if gate.startswith("passed ") else broken(gate)


def resolver(now: Observed, before: Observed | None) -> Verdict:
    seen = parse_resolver(now.text("plain.resolver"))
    if "ndots:3" not in seen["options"]:
        return broken(f"the option ndots:3 that the pod asked for is not there (options {seen['options'] or 'none'})")
    if before is not None and (changed := changes(parse_resolver(before.text("plain.resolver")), seen)):
        return broken("; ".join(changed))
    answer = now.get("pod.resolved")
    if answer.startswith("failed"):
        return broken(answer)
    told = f"nameserver {seen['nameserver']}, search {seen['search'] or 'none'}"
    return ok(f"{told}; {answer}" if answer else told)


def parse_resolver(text: str) -> dict[str, str]:
    """Return nameserver, search and options of a resolv.conf, each as one text; the last search counts."""
    found = {"nameserver": "", "search": "", "options": ""}
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if keyword in ("nameserver", "options"):
            found[keyword] = " ".join([*found[keyword].split(), *words])
        elif keyword == "search":
            found["search"] = " ".join(words)
    found["options"] = " ".join(sorted(found["options"].split()))
    return found


def host_port(now: Observed, before: Observed | None) -> Verdict:
    loopback = interfaces(now.text("plain.interfaces")).get("lo")
    if loopback is None or not loopback[1] & UP:
        return broken("the pod has no loopback interface that is up")
    seen = now.text("host.host-port")
    if seen == "none":
        raise NotShown("the image has no nc to ask with")
    if seen.startswith("answered"):
        return ok(f"{seen}; loopback is up")
    beside = now.get("host.pod-port")
    told = (
        "the pod's own address answers, so nothing forwards the node's port"
        if beside.startswith("answered")
        else beside
    )
    return broken(f"{seen}: {told}; containerd needs the plugin portmap in the network's configuration")


def interfaces(text: str) -> dict[str, tuple[int, int]]:
    """Return {name: (MTU, flags)}."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and re.fullmatch(r"[0-9]{1,18}", words[1]):
            found[words[0]] = (int(words[1]), int(words[2], 16))
    return found


def mtu(now: Observed, before: Observed | None) -> Verdict:
    seen = _mtu(now)
    if before is not None:
        was = _mtu(before)
        return (
            ok(f"{seen}, as before") if seen == was else broken(f"{was} -> {seen}: large packets of pods may be lost")
        )
    largest = max(
        (size for name, (size, _) in interfaces(now.text("host.interfaces")).items() if name != "lo"), default=0
    )
    return (
        ok(f"{seen}; the node's largest is {largest}")
        if seen <= largest
        else broken(f"{seen}, more than any of the node's ({largest})")
    )


def _mtu(observed: Observed) -> int:
    found = {name: size for name, (size, _) in interfaces(observed.text("plain.interfaces")).items() if name != "lo"}
    if not found:
        raise NotShown("the pod shows no interface besides loopback")
    return found.get("eth0") or next(iter(found.values()))


def host_network(now: Observed, before: Observed | None) -> Verdict:
    seen, wanted = now.text("host.hostname").strip(), now.text("node.hostname")
    own = interfaces(now.text("plain.interfaces"))
    shown = interfaces(now.text("host.interfaces"))
    if seen != wanted:
        return broken(f"its hostname is {seen}, the node's {wanted}")
    if not set(shown) - set(own):
        return broken(f"it shows the interfaces {', '.join(shown)}, as a pod with a network of its own")
    return ok(f"hostname {seen}, {len(shown)} interfaces of the node's")


def ipv6(now: Observed, before: Observed | None) -> Verdict:
    seen = _ipv6(now)
    if not seen:
        raise NotShown("this kernel has no IPv6")
    told = ", ".join(f"{name.removeprefix('net.ipv6.conf.')} {value}" for name, value in seen.items())
    if before is None:
        raise only_compared(told)
    was = _ipv6(before)
    changed = changes(was, seen)
    if not changed:
        return ok(told)
    if any(value == "1" and was.get(name) == "0" for name, value in seen.items()):
        return broken(f"IPv6 is off now: {'; '.join(changed)}")
    return differs(f"{'; '.join(changed)}: pods have IPv6's loopback now, so localhost may be ::1 first")


def _ipv6(observed: Observed) -> dict[str, str]:
    found = table(observed.text("plain.sysctls"))
    return {name: value for name, value in found.items() if name.startswith("net.ipv6.")}
