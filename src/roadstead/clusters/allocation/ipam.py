"""Which addresses of a VPC belong to whom: single ones from a subnet's start on, prefixes of pods from its end back.

One document per VPC in the store, written before anything is made with what it allots. Pure but for `read`, `written`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from roadstead.core import errors
from roadstead.store import kinds

KIND = "allotment"
PREFIX = 28
"""Pods of a node live in networks of sixteen addresses, as with prefix delegation of Amazon's VPC CNI."""
_BITS = 32 - PREFIX
PREFIX_SIZE = 1 << _BITS
_KEPT = 4
"""The network's own address, the router, the resolver, the webhook."""


@dataclass(frozen=True)
class VpcAddresses:
    """Owner (a host's id at the agent) by address or prefix in CIDR notation."""

    holders: Mapping[str, str] = field(default_factory=dict)

    def of(self, owner: str) -> tuple[str, ...]:
        """What an owner has, addresses before prefixes."""
        mine = [each for each, holder in self.holders.items() if holder == owner]
        return tuple(sorted(mine, key=lambda each: ("/" in each, ipaddress.ip_network(each))))

    def without(self, owner: str) -> VpcAddresses:
        return VpcAddresses({each: holder for each, holder in self.holders.items() if holder != owner})

    def having(self, owner: str, *each: str) -> VpcAddresses:
        return VpcAddresses({**self.holders, **dict.fromkeys(each, owner)})


def prefixes_for(pods: int) -> int:
    """How many prefixes a node of so many pods has."""
    return -(-pods // PREFIX_SIZE)


ADDRESSES = kinds.Kind(KIND, VpcAddresses)
"""By VPC."""
key, read, written = ADDRESSES.key, ADDRESSES.read, ADDRESSES.written


def with_address(now: VpcAddresses, subnet: str, owner: str) -> VpcAddresses:
    """One more address of a subnet for an owner. Raises LimitExceeded when none is free."""
    taken = _taken(now, subnet)
    for address in ipaddress.ip_network(subnet).hosts():
        if address not in taken.addresses and not any(address in prefix for prefix in taken.prefixes):
            return now.having(owner, str(address))
    raise errors.LimitExceeded(f"subnet {subnet} has no free address left", cidr=subnet)


def with_prefixes(now: VpcAddresses, subnet: str, owner: str, count: int) -> VpcAddresses:
    """`count` more prefixes of a subnet for an owner. Raises LimitExceeded when it has not so many."""
    taken = _taken(now, subnet)
    found: list[str] = []
    for prefix in _from_the_end(ipaddress.ip_network(subnet)):
        if len(found) == count:
            break
        if prefix not in taken.prefixes and not any(address in prefix for address in taken.addresses):
            found.append(str(prefix))
    if len(found) < count:
        raise errors.LimitExceeded(
            f"subnet {subnet} has {len(found)} free networks of 16 addresses for pods; a node of this type needs "
            f"{count}: use a larger subnet, a smaller instance type or fewer nodes",
            cidr=subnet,
        )
    return now.having(owner, *found)


def fitting(now: VpcAddresses, subnet: str, prefixes: Sequence[int]) -> int:
    """How many owners a subnet has room for who come in this order: an address for each, and so many prefixes."""
    whole, taken = ipaddress.IPv4Network(subnet), _taken(now, subnet)
    used = {int(address) for address in taken.addresses}
    blocks = {int(prefix.network_address) >> _BITS for prefix in taken.prefixes}
    holding = {address >> _BITS for address in used}
    start, end = int(whole.network_address) + _KEPT, int(whole.broadcast_address)
    free = [int(each.network_address) >> _BITS for each in reversed(list(_from_the_end(whole)))]
    free = [block for block in free if block not in blocks and block not in holding]
    for served, count in enumerate(prefixes):
        start = next((n for n in range(start, end) if n not in used and n >> _BITS not in blocks), end)
        if start == end:
            return served
        used.add(start)
        holding.add(start >> _BITS)
        given: list[int] = []
        while free and len(given) < count:
            block = free.pop()
            if block not in holding:
                given.append(block)
        if len(given) < count:
            return served
        blocks.update(given)
    return len(prefixes)


@dataclass(frozen=True)
class _Taken:
    addresses: frozenset[ipaddress.IPv4Address]
    prefixes: frozenset[ipaddress.IPv4Network]


def _taken(now: VpcAddresses, subnet: str) -> _Taken:
    """What of a subnet is given away, or the router's."""
    whole = ipaddress.IPv4Network(subnet)
    networks = [ipaddress.IPv4Network(each) for each in now.holders]
    singles = {each.network_address for each in networks if each.prefixlen == 32 and each.subnet_of(whole)}
    kept = {whole[number] for number in range(_KEPT)}
    return _Taken(frozenset(singles | kept), frozenset(each for each in networks if each.prefixlen == PREFIX))


def _from_the_end(whole: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterator[ipaddress.IPv4Network]:
    if whole.prefixlen > PREFIX or not isinstance(whole, ipaddress.IPv4Network):
        return
    size = 2 ** (32 - PREFIX)
    for start in range(int(whole.broadcast_address) + 1 - size, int(whole.network_address) - 1, -size):
        yield ipaddress.IPv4Network((start, PREFIX))
