"""VPCs and the resolvers of their subnets."""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.contract.messages.sections import names
from roadstead.core import addresses
from roadstead.network import spec as network
from roadstead.serve.sections import source
from roadstead.store import facts

WAKES = frozenset(((facts.ChangedPart.DESIRED, network.VPC), (facts.ChangedPart.DESIRED, network.SUBNET)))


def of_vpcs(vpcs: Iterable[facts.Desired], subnets: Iterable[facts.Desired]) -> dict[str, names.Vpc]:
    """By the VPC's id. Pure."""
    resolvers: dict[str, dict[str, str]] = {}
    for each in subnets:
        subnet = network.read_subnet(each.body)
        resolvers.setdefault(subnet.vpc, {})[subnet.id] = addresses.resolver(subnet.cidr)
    found = {}
    for each in vpcs:
        vpc = network.read_vpc(each.body)
        found[vpc.id] = names.Vpc(region=each.key.region, cidr=vpc.cidr, resolvers=resolvers.get(vpc.id, {}))
    return found


def source_of(given: source.Given) -> source.Source:
    """How the section is made: see source."""

    async def made(revision: int) -> names.Names:
        found = of_vpcs(await source.all_of(given.store, network.VPC), await source.all_of(given.store, network.SUBNET))
        return names.Names(format=names.SECTION.format, revision=revision, vpcs=found)

    return source.Source(names.SECTION, WAKES, made)
