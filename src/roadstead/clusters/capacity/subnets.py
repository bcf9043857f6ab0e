"""Whether subnets have addresses for nodes and networks for their pods, before a nodegroup is kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from roadstead.clusters import nodegroups, spec
from roadstead.clusters.allocation import ipam, names
from roadstead.contract import naming
from roadstead.core import errors
from roadstead.network import sizes
from roadstead.network import spec as network
from roadstead.store import interface, keys


@dataclass(frozen=True)
class _Wish:
    """A node that has no address yet. `prefixes`: the networks of pods that it needs."""

    subnet: str
    prefixes: int


async def check(store: interface.Store, key: keys.Key, wanted: nodegroups.Nodegroup) -> None:
    """Whether the nodegroup's subnets have room for all its nodes. Raises LimitExceeded, naming the first without."""
    kept = await store.get(ipam.key(key.account, key.region, wanted.vpc))
    now = ipam.read(kept.desired.body) if kept else ipam.VpcAddresses()
    holders = frozenset(now.holders.values())
    before = await _others(store, key, wanted.vpc, holders)
    mine = await _wishes(store, key, wanted, holders)
    for subnet in dict.fromkeys(wish.subnet for wish in mine):
        state = await store.get(network.subnet_key(key.account, key.region, subnet))
        if state is None:
            raise errors.NotFound(f"subnet {subnet} is not there any more", subnet=subnet)
        cidr = network.read_subnet(state.desired.body).cidr
        needs = [wish.prefixes for wish in (*before, *mine) if wish.subnet == subnet]
        asked = Counter(wish.subnet for wish in mine)[subnet]
        room = max(0, ipam.fitting(now, cidr, needs) - (len(needs) - asked))
        if room < asked:
            each = needs[-1]
            raise errors.LimitExceeded(
                f"Subnet {subnet} ({cidr}) has room for {room} more of the {asked} nodes that are asked for in it: "
                f"a node of type {wanted.types[0]} needs an address and {each} networks of {ipam.PREFIX_SIZE} "
                "addresses for its pods. Use a larger subnet, a smaller instance type or fewer nodes.",
                subnet=subnet,
            )


async def _others(store: interface.Store, key: keys.Key, vpc: str, holders: frozenset[str]) -> list[_Wish]:
    """What nodes of other nodegroups, which are on their way, will take of the VPC."""
    found: list[_Wish] = []
    below = keys.Prefix(key.account, key.region, nodegroups.KIND)
    for state in (await interface.everything(store, below)).items:
        other = nodegroups.read(state.desired.body)
        if state.key != key and other.vpc == vpc and not other.deleting:
            found += await _wishes(store, state.key, other, holders)
    return found


async def _wishes(
    store: interface.Store, key: keys.Key, wanted: nodegroups.Nodegroup, holders: frozenset[str]
) -> list[_Wish]:
    cluster = await store.get(spec.key(key.account, key.region, wanted.cluster))
    group = await store.get(key)
    id = names.cluster(cluster.key, cluster.desired.created) if cluster else ""
    count = ipam.prefixes_for(sizes.find(wanted.types[0]).pods)
    return [
        _Wish(nodegroups.subnet_of(wanted, part)[0], count)
        for part in nodegroups.nodes(wanted.scaling.desired)
        if group is None or naming.host(id, names.instance(key, group.desired.created, part)) not in holders
    ]
