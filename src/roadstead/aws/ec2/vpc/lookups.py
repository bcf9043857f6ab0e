"""The VPCs of the call's region, and whose security groups are in them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import ids
from roadstead.clusters import spec as clusters
from roadstead.clusters import views
from roadstead.clusters.allocation import names
from roadstead.network import default_vpc, defaults, spec
from roadstead.store import facts, keys


@dataclass(frozen=True)
class Region:
    """What there is."""

    vpcs: Mapping[str, spec.Vpc]
    """By id, and below."""
    subnets: Mapping[str, spec.Subnet]
    clusters: tuple[facts.State, ...]

    @functools.cached_property
    def groups(self) -> tuple[defaults.Group, ...]:
        """The security groups: one of each VPC, one of each cluster."""
        own = (defaults.default_group(vpc) for vpc in self.vpcs.values())
        return (*own, *(group for state in self.clusters if (group := self.group_of(state)) is not None))

    def group_of(self, state: facts.State) -> defaults.Group | None:
        """The group of a cluster; None when its VPC is gone meanwhile."""
        wanted = clusters.read(state.desired.body)
        vpc = self.vpcs.get(wanted.place.vpc)
        return defaults.cluster_group(views.own_name(state.desired), wanted.name, vpc) if vpc else None

    def cluster(self, id: str) -> facts.State | None:
        """By its id at the agent, `c-1a2b3c4d`."""
        return next(
            (state for state in self.clusters if names.cluster(state.key, state.desired.created) == id),
            None,
        )


async def begin(call: calls.Call) -> None:
    """The default VPC is made when a region is looked at for the first time."""
    await default_vpc.ensure(call.store, call.account, call.region, ids_of(call), call.now.timestamp())


def ids_of(call: calls.Call) -> Callable[[str, str], str]:
    """Ids of what a default VPC has, by a prefix and what they are of: of this request alone."""
    return lambda prefix, of: defaults.derived(prefix, call.request_id, "default", of)


async def vpcs(call: calls.Call) -> tuple[spec.Vpc, ...]:
    """All of the call's region; the default one is made at the first call that asks."""
    await begin(call)
    states = await store_access.everything(call.store, keys.Prefix(call.account, call.region, spec.VPC))
    return tuple(spec.read_vpc(state.desired.body) for state in states)


async def subnets(call: calls.Call) -> tuple[spec.Subnet, ...]:
    """All of the call's region; those of the default VPC are made at the first call that asks."""
    await begin(call)
    states = await store_access.everything(call.store, keys.Prefix(call.account, call.region, spec.SUBNET))
    return tuple(spec.read_subnet(state.desired.body) for state in states)


async def region(call: calls.Call) -> Region:
    """All that EC2 says of a region's VPCs follows from this; each part is read once."""
    return Region(
        {vpc.id: vpc for vpc in await vpcs(call)},
        {subnet.id: subnet for subnet in await subnets(call)},
        await store_access.everything(call.store, keys.Prefix(call.account, call.region, clusters.KIND)),
    )


async def vpc(call: calls.Call, id: str) -> spec.Vpc:
    """Raises InvalidVpcID.NotFound."""
    state = await call.store.get(spec.vpc_key(call.account, call.region, id)) if id else None
    if state is None:
        ids.absent(id, "InvalidVpcID.NotFound", f"The vpc ID '{id}' does not exist")
    return spec.read_vpc(state.desired.body)
