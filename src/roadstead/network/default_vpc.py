"""The default VPC that each region of an account has from the first time that somebody looks at it.

It is made once: whoever deletes it has none, until they ask for another. It costs nothing until a cluster is in it
(provider.networks). A region that an earlier release used has one, too, from the next look on.

Source: VPC User Guide, "Default VPC components": 172.31.0.0/16, and a subnet of /20 in each zone.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterable

from roadstead.core import addresses, errors
from roadstead.network import regions, spec
from roadstead.store import interface, keys, writes

CIDR = "172.31.0.0/16"
PREFIX = 20
_BEGUN = "region"
"""Of what is kept once a region has been looked at."""


async def ensure(store: interface.Store, account: str, region: str, ids: Callable[[str, str], str], at: float) -> None:
    """Make it, if this is the first look. `ids`: as of `drawn`; at: seconds since 1970."""
    mark = keys.Key(account, region, _BEGUN, "begun")
    if await store.get(mark) is not None:
        return
    first = writes.Put(mark, b"{}", writes.Absent())
    # Somebody else has looked in the same moment, and has made it.
    with contextlib.suppress(errors.AlreadyExists):
        await store.commit(first, *puts(account, region, drawn(region, ids, at)))


def drawn(region: str, ids: Callable[[str, str], str], at: float) -> tuple[spec.Vpc, tuple[spec.Subnet, ...]]:
    """A default VPC with its subnets. `ids`: by a prefix (`vpc`, `subnet`) and what it is of, `` or a zone."""
    vpc = spec.Vpc(id=ids("vpc", ""), cidr=CIDR, default=True, created_at=at)
    subnets: tuple[spec.Subnet, ...] = ()
    for zone in regions.zones(region):
        subnets = (*subnets, subnet(vpc, zone, subnets, ids("subnet", zone.name), at))
    return vpc, subnets


def subnet(vpc: spec.Vpc, zone: regions.Zone, others: Iterable[spec.Subnet], id: str, at: float) -> spec.Subnet:
    """The default subnet of a zone, in the first part of the VPC that is free. Raises Conflict when none is."""
    taken = [other.cidr for other in others]
    for part in map(str, ipaddress.IPv4Network(vpc.cidr).subnets(new_prefix=PREFIX)):
        if not any(addresses.overlap(part, cidr) for cidr in taken):
            return spec.Subnet(
                id=id,
                vpc=vpc.id,
                cidr=part,
                zone=zone.name,
                zone_id=zone.id,
                default=True,
                public_addresses=True,
                created_at=at,
            )
    raise errors.Conflict(f"{vpc.id} has no /{PREFIX} left that no subnet has addresses of", vpc=vpc.id)


def puts(account: str, region: str, made: tuple[spec.Vpc, tuple[spec.Subnet, ...]]) -> tuple[writes.Put, ...]:
    """What keeps a new one."""
    vpc, subnets = made
    return (
        spec.VPCS.put(spec.vpc_key(account, region, vpc.id), vpc, writes.Absent()),
        *(spec.SUBNETS.put(spec.subnet_key(account, region, each.id), each, writes.Absent()) for each in subnets),
    )
