"""Arithmetic of addresses: networks that overlap none of each other."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from roadstead.core import addresses


def test_what_is_taken_is_in_no_world() -> None:
    """Each range is private, reserved or for benchmarks: to refuse it takes nothing of the world from anybody."""
    for cidr in addresses.TAKEN:
        assert not addresses.has_host_bits(cidr)
        network = ipaddress.IPv4Network(cidr)
        for one in (network[0], network[1], network[-1]):
            assert one.is_private or one.is_multicast or one.is_reserved, one


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), max_size=8), st.integers(0, 2**32 - 1))
def test_joined_networks_have_the_same_addresses_and_overlap_nowhere(parts: list[tuple[int, int]], number: int) -> None:
    given = [str(ipaddress.IPv4Network((base, prefix), strict=False)) for base, prefix in parts]
    joined = addresses.joined(given)
    probes = {str(ipaddress.IPv4Address(number)), *(cidr.partition("/")[0] for cidr in given)}
    for probe in probes:
        before = any(addresses.contains(cidr, probe) for cidr in given)
        assert sum(addresses.contains(cidr, probe) for cidr in joined) == before
