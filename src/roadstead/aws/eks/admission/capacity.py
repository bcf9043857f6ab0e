"""What the machine and a VPC have room for: refused before anything is kept, with the sum."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from roadstead.aws import calls, store_access
from roadstead.clusters import events, nodegroups, spec
from roadstead.clusters.allocation import allocator, ipam
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.capacity import neighbours, promises, subnets, sums
from roadstead.core import errors
from roadstead.network import spec as network
from roadstead.store import keys, writes

Guard = tuple[writes.Write, ...]
_TRIES = 100
"""Others that may take room first: who looks and takes anew is not long about it."""
_TOO_MUCH: dict[type[errors.Error], str] = {errors.LimitExceeded: "InvalidRequestException"}
_TOO_SMALL: dict[type[errors.Error], str] = {errors.LimitExceeded: "InvalidParameterException"}


async def on_machine(call: calls.Call, asked: sums.Load, **about: object) -> Guard:
    """What a transaction has to write, too. Raises InvalidRequestException for more than the machine carries."""
    with store_access.coded(_TOO_MUCH, **about):
        return await promises.room(call.store, asked)


async def taken(call: calls.Call, asked: sums.Load, take: Callable[[Guard], Awaitable[None]], **about: object) -> None:
    """Take room on the machine: again and again while others take some of it at the same time."""
    for _ in range(_TRIES):
        guard = await on_machine(call, asked, **about)
        try:
            return await take(guard)
        except errors.Conflict:
            if not guard:
                raise
    raise errors.Busy("much is being asked for at the same time: try again")


async def for_control_plane(call: calls.Call, wanted: Sequence[network.Subnet], **about: object) -> None:
    """Raises InvalidParameterException when a subnet has no address left for an API server or the endpoint."""
    state = await call.store.get(ipam.key(call.account, call.region, wanted[0].vpc))
    now = ipam.read(state.desired.body) if state else ipam.VpcAddresses()
    with store_access.coded(_TOO_SMALL, **about):
        allocator.with_legs(now, wanted, call.region, "")


async def for_nodes(call: calls.Call, key: keys.Key, wanted: nodegroups.Nodegroup, **about: object) -> None:
    """Raises InvalidParameterException when a subnet has no room for all nodes and their pods."""
    with store_access.coded(_TOO_SMALL, **about):
        await subnets.check(call.store, key, wanted)


async def hidden(call: calls.Call, wanted: spec.Cluster) -> tuple[writes.Append, ...]:
    """What is told of networks of the machine that the cluster's own networks hide."""
    seen = await machine.find(call.store)
    told = neighbours.hidden(
        seen.routes if seen else (), VPC=wanted.place.vpc_cidr, service_network=wanted.service_cidr
    )
    key = spec.key(call.account, call.region, wanted.name)
    now = call.now.timestamp()
    return tuple(events.append(key, events.Event("WARNING", "NetworkHidden", sentence), now) for sentence in told)
