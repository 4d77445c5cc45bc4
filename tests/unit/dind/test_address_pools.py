"""dockerd's own networks meet nobody else's."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unshim.dind import address_pools
from unshim.dind.model import DindError, Networks

PREFIXES = st.builds(
    lambda address, prefix: str(ipaddress.ip_network((address, prefix), strict=False)),
    st.one_of(
        st.integers(int(ipaddress.ip_address("10.0.0.0")), int(ipaddress.ip_address("10.255.255.255"))),
        st.integers(int(ipaddress.ip_address("172.16.0.0")), int(ipaddress.ip_address("172.31.255.255"))),
        st.integers(int(ipaddress.ip_address("192.168.0.0")), int(ipaddress.ip_address("192.168.255.255"))),
    ),
    st.integers(10, 32),
)


@given(st.lists(PREFIXES, max_size=12))
def test_they_are_private_apart_and_overlap_nothing(taken):
    networks = Networks(pods=tuple(taken[:4]), services=tuple(taken[4:8]), nodes=tuple(taken[8:]))
    pools = address_pools.choose(networks)
    bridge = ipaddress.ip_interface(pools.bip).network
    base = ipaddress.ip_network(pools.base)
    for own in (bridge, base):
        assert own.is_private
        assert not any(own.overlaps(ipaddress.ip_network(one)) for one in taken)
    assert not bridge.overlaps(base)
    assert 2 ** (pools.size - base.prefixlen) >= 100  # networks a user can make


@pytest.mark.parametrize(
    ("networks", "bip"),
    [
        (Networks(), "172.17.0.1/24"),
        (Networks(nodes=("172.17.5.5/32",)), "172.18.0.1/24"),
        (Networks(pods=("10.244.0.0/16",), services=("10.96.0.0/12",), given=("172.16.0.0/12",)), "192.168.0.1/24"),
        (Networks(given=("172.16.0.0/12", "192.168.0.0/16")), "10.255.0.1/24"),
        (Networks(pods=("fd00::/8",)), "172.17.0.1/24"),
    ],
)
def test_dockers_own_range_where_it_is_free_and_the_next_where_not(networks, bip):
    assert address_pools.choose(networks).bip == bip


def test_no_range_left_is_said_with_who_has_them():
    with pytest.raises(DindError, match=r"10\.0\.0\.0/8 \(pods\).*unshim_dind_reserved_ranges"):
        address_pools.choose(Networks(pods=("10.0.0.0/8",), given=("172.16.0.0/12", "192.168.0.0/16")))


def test_what_is_no_range_is_said():
    with pytest.raises(DindError, match="'ten' .*unshim_dind_reserved_ranges"):
        address_pools.choose(Networks(given=("ten",)))


def test_routes_of_a_node_without_its_default_and_dockers_own():
    """As a worker of kubeadm has them: eth0 10.213.0.0/16, cni0 10.244.1.0/24, another node's pods, and docker0."""
    table = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100D50A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
cni0\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t0002F40A\t0C00D50A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
broken line
"""
    assert address_pools.routed(table) == ["10.213.0.0/16", "10.244.1.0/24", "10.244.2.0/24"]
