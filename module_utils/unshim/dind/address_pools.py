"""Address ranges for dockerd's own networks that meet nobody else's.

dockerd's defaults are 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16 in parts (moby libnetwork/ipamutils). In a pod dockerd
cannot see which of them the cluster or the site uses, and what overlaps is reached by nobody inside: devtron#1130 (a VPC in
172.17), actions-runner-controller#1652 and #1971 (default-address-pools as the remedy), acs-engine#750.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .model import DindError, Networks

#: Where dockerd itself would look first; then the private ranges that sites use least.
_CANDIDATES = (
    *(f"172.{second}.0.0/16" for second in range(17, 32)),
    "192.168.0.0/16",
    *(f"10.{second}.0.0/16" for second in range(255, -1, -1)),
)
NETWORK_SIZE = 24  # prefix of each network a user makes


@dataclass(frozen=True)
class AddressPools:
    bip: str  # of docker0, with its prefix
    base: str  # what user networks are cut from
    size: int = NETWORK_SIZE


def choose(networks: Networks) -> AddressPools:
    """Return ranges for docker0 and for user networks; raises DindError if all private ones are taken."""
    taken = [parsed(text, whose) for text, whose in networks.all]
    for candidate in map(ipaddress.IPv4Network, _CANDIDATES):
        if not any(overlaps(candidate, one) for one in taken):
            lower, upper = candidate.subnets(prefixlen_diff=1)
            return AddressPools(f"{lower.network_address + 1}/{NETWORK_SIZE}", str(upper))
    said = ", ".join(f"{text} ({whose})" for text, whose in networks.all)
    raise DindError(
        f"No private /16 is left for dockerd's networks beside {said}. Take what is too wide out of unshim_dind_reserved_ranges."
    )


def parsed(text: str, whose: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise DindError(f"{text!r} ({whose}) is not an address range. Write it as 10.0.0.0/8, or fd00::/8.") from None


def overlaps(one: ipaddress.IPv4Network, other: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)


#: dockerd's own bridges: a Docker that is still there, or was, is not in its successor's way.
_DOCKERS_OWN = ("docker0", "br-", "docker_gwbridge")


def routed(proc_net_route: str) -> list[str]:
    """Return the networks that a node has routes to, from its /proc/net/route; its default route is none."""
    return list(dict.fromkeys(_routes(proc_net_route.splitlines())))


def _routes(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        words = line.split()
        if len(words) < 8 or words[0] == "Iface" or words[0].startswith(_DOCKERS_OWN):
            continue
        try:
            # Hexadecimal, in the byte order of the machine; every one that runs Kubernetes is little-endian but s390x.
            address, mask = (int.from_bytes(bytes.fromhex(words[index]), "little") for index in (1, 7))
        except ValueError:
            continue
        if mask and max(address, mask) < 1 << 32:
            yield str(ipaddress.ip_network((address, mask.bit_count()), strict=False))
