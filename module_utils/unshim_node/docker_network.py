"""What Docker leaves in a node's network: firewall chains and rules, bridges. Removed by name, one by one, never flushed."""

import os
import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import commands

BRIDGES = ("docker0", "docker_gwbridge")
# libnetwork calls the bridge of a network by the first 12 digits of the network's ID (drivers/bridge/bridge_linux.go).
OWN_BRIDGE = re.compile(r"br-[0-9a-f]{12}$")
# Docker 29 with "firewall-backend": "nftables" (daemon/libnetwork/drivers/bridge/internal/nftabler).
NFT_TABLES = (("ip", "docker-bridges"), ("ip6", "docker-bridges"))

Rule = NamedTuple("Rule", [("table", str), ("arguments", Tuple[str, ...])])
Firewall = NamedTuple(
    "Firewall",
    [
        ("rules", List[Rule]),  # calls of the program that take Docker's rules and chains away, in order
        ("kept", List[str]),  # chains that stay because somebody uses them
    ],
)


# Pure


def is_docker_chain(name: str) -> bool:
    """Return whether a chain is dockerd's. DOCKER_OUTPUT and DOCKER_POSTROUTING are of a Docker this node is a container of."""
    return name == "DOCKER" or re.match(r"DOCKER-[A-Z0-9-]+$", name) is not None


def firewall_rules(text: str, bridges: Iterable[str] = BRIDGES) -> Firewall:
    """Return what takes Docker's chains away.

    Args:
        text: what `iptables-save` prints.
        bridges: Docker's bridges that nobody uses.

    Removed are jumps to Docker's chains, the rules dockerd itself puts beside them for its bridges (libnetwork
    drivers/bridge/setup_ip_tables.go), and the chains, emptied rule by rule. DOCKER-USER is where an administrator puts
    a firewall: with a rule of theirs in it, it stays, with the jump to it.
    """
    table = ""
    rules: List[Tuple[str, List[str]]] = []
    chains: List[Tuple[str, str]] = []
    kept: List[Tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":") and is_docker_chain(line[1:].partition(" ")[0]):
            chains.append((table, line[1:].partition(" ")[0]))
        elif line.startswith("-A ") and len(words_of(line)) > 1:
            rules.append((table, words_of(line)))
    for table, chain in chains:
        if chain == "DOCKER-USER" and any(
            where == table and words[1] == chain and words[2:] != ["-j", "RETURN"] for where, words in rules
        ):
            kept.append((table, chain))
    # A chain that a kept one jumps to stays too: iptables deletes none that is in use. The list grows as it is read.
    for where, chain in kept:
        for table, words in rules:
            target = (table, _target(words))
            if (table, words[1]) == (where, chain) and target in chains and target not in kept:
                kept.append(target)
    gone = [one for one in chains if one not in kept]
    bridges = list(bridges)
    calls = []
    for table, words in rules:
        in_gone = (table, words[1]) in gone
        jumps = (table, _target(words)) in gone
        if in_gone or jumps or any(_is_bridge_rule(table, words, bridge) for bridge in bridges):
            calls.append(Rule(table, ("-D",) + tuple(words[1:])))
    calls.extend(Rule(table, ("-X", chain)) for table, chain in gone)
    return Firewall(calls, [chain for _, chain in kept])


def words_of(line: str) -> List[str]:
    """Split a line of iptables-save: only comments are quoted, with backslashes inside."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for quoted, plain in found]


def _target(words):
    for option in ("-j", "-g"):
        if option in words[:-1]:
            return words[words.index(option) + 1]
    return ""


def _is_bridge_rule(table, words, bridge):
    rest = words[2:]
    if table == "filter" and words[1] == "FORWARD":
        return rest in (
            ["-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
            ["-i", bridge, "!", "-o", bridge, "-j", "ACCEPT"],
            ["-i", bridge, "-o", bridge, "-j", "ACCEPT"],
        )
    if table == "nat" and words[1] == "POSTROUTING":
        return rest[:1] == ["-s"] and rest[2:] == ["!", "-o", bridge, "-j", "MASQUERADE"]
    return False


# The node


def programs() -> List[str]:
    """Return the iptables programs of this node, one for each backend: dockerd may have used either, and both keep rules."""
    found = []
    for family in ("iptables", "ip6tables"):
        backends = [family + kind for kind in ("-nft", "-legacy") if commands.find(family + kind + "-save")]
        found += backends or ([family] if commands.find(family + "-save") else [])
    return found


def firewall(bridges: Iterable[str]) -> Tuple[Dict[str, Firewall], List[str]]:
    """Return (:func:`firewall_rules` by program, what could not be read, in words)."""
    bridges = list(bridges)
    found, unread = {}, []
    for program in programs():
        if program.endswith("-legacy") and not _has_legacy_tables(program):
            continue  # to list what is not there would load the kernel's modules for it
        result = commands.run([program + "-save"], timeout=60, check=False)
        if result.rc == 0:
            found[program] = firewall_rules(result.out, bridges)
        else:
            unread.append("`%s-save`: %s" % (program, commands.last_lines(result.err, 1) or "returned %d" % result.rc))
    return found, unread


def _has_legacy_tables(program):
    try:
        with open("/proc/net/%s_tables_names" % program[: -len("tables-legacy")], encoding="ascii") as stream:
            return bool(stream.read().strip())
    except OSError:
        return False


def remove_firewall(program: str, rules: List[Rule]) -> None:
    for rule in rules:
        commands.run([program, "--wait", "-t", rule.table] + list(rule.arguments), timeout=60)


def nft_tables() -> List[Tuple[str, str]]:
    """Return those of NFT_TABLES that are there."""
    if not commands.find("nft"):
        return []
    lines = commands.run(["nft", "list", "tables"], timeout=60, check=False).out.splitlines()
    return [table for table in NFT_TABLES if "table %s %s" % table in [line.strip() for line in lines]]


def remove_nft_table(family: str, name: str) -> None:
    commands.run(["nft", "delete", "table", family, name], timeout=60)


def bridges(directory: str = "/sys/class/net") -> Dict[str, bool]:
    """Return Docker's bridges on this node, each with whether something is attached to it."""
    found = {}
    for name in sorted(os.listdir(directory)):
        ports = os.path.join(directory, name, "brif")
        if (name in BRIDGES or OWN_BRIDGE.match(name)) and os.path.isdir(ports):
            found[name] = bool(os.listdir(ports))
    return found


def remove_bridge(name: str) -> None:
    commands.run(["ip", "link", "delete", name, "type", "bridge"], timeout=60)


def idle(found: Dict[str, bool], also: Optional[Iterable[str]] = BRIDGES) -> List[str]:
    """Return the bridges whose rules may go: idle ones, and ``also`` where it is not there at all."""
    return sorted(
        [name for name, used in found.items() if not used] + [name for name in also or () if name not in found]
    )
