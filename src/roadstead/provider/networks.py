"""VPCs at the agent: one loop that keeps each one's network, and the sockets of its resolver, as the store has it.

Who makes a VPC is about to use it, so its network is made at once; a default VPC, which nobody asked for, has one as
long as there is a cluster in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from roadstead.clusters import spec as clusters
from roadstead.clusters.allocation import ipam
from roadstead.contract import listeners
from roadstead.contract.messages import desired
from roadstead.core import addresses, errors
from roadstead.core import clock as clocks
from roadstead.core.loops import reconciler
from roadstead.network import spec
from roadstead.provider import mirror as mirrors
from roadstead.store import facts, following, interface, keys, writes

log = logging.getLogger(__name__)

_DNS = 53


class Networks:
    """`run` until cancelled; `ensure` for who cannot wait for it. `porter`: the user id of porter."""

    def __init__(self, store: interface.Store, mirror: mirrors.AgentMirror, porter: int, clock: clocks.Clock) -> None:
        self._store = store
        self._mirror = mirror
        self._porter = porter
        self._reconciler: reconciler.Reconciler[keys.Key] = reconciler.Reconciler(
            self._work, (self._follow_store, self._follow_agent), log=log, named=_named, clock=clock
        )
        self._locks: dict[keys.Key, asyncio.Lock] = {}

    async def run(self) -> None:
        await self._reconciler.run()

    async def ensure(self, vpc: keys.Key) -> None:
        """The agent is asked for the network of a VPC that there is, if it is to have one. Raises NotFound, Busy."""
        async with self._locks.setdefault(vpc, asyncio.Lock()):
            kept = await self._store.get(vpc)
            if kept is None:
                raise errors.NotFound(f"the VPC {vpc.names[0]} is not there any more", vpc=vpc.names[0])
            services, read = await self._services(vpc), spec.read_vpc(kept.desired.body)
            if read.default and not services:
                await self._drop(vpc.names[0])
                return
            wanted = drawn(read, await self.subnets(vpc), services, self._porter)
            await self._put(wanted)
            stray = {place for place in self._listeners(vpc.names[0]) if place not in wanted}
            await self._mirror.delete({place: self._mirror.wanted[place].generation for place in stray})

    async def subnets(self, vpc: keys.Key) -> list[spec.Subnet]:
        """Of a VPC, in the order of their keys."""
        below = keys.Prefix(vpc.account, vpc.region, spec.SUBNET)
        found = [
            spec.read_subnet(state.desired.body) for state in (await interface.everything(self._store, below)).items
        ]
        return [subnet for subnet in found if subnet.vpc == vpc.names[0]]

    async def _work(self, vpc: keys.Key) -> float | None:
        if not self._mirror.ready.is_set():
            await self._mirror.ready.wait()
        if await self._store.get(vpc) is not None:
            await self.ensure(vpc)
            return None
        id = vpc.names[0]
        await self._drop(id)
        await self._store.commit(writes.Delete(ipam.key(vpc.account, vpc.region, id)))
        self._locks.pop(vpc, None)
        self._reconciler.forget(vpc)
        return None

    async def _drop(self, id: str) -> None:
        places = {*self._listeners(id), ("networks", id)}
        known = self._mirror.wanted
        going = {place: known[place] for place in places if place in known}
        await self._mirror.delete({place: kept.generation for place, kept in going.items() if not kept.deleting})

    async def _put(self, wanted: dict[mirrors.Place, desired.Message]) -> None:
        batch: dict[str, dict[str, tuple[int, desired.Message]]] = {}
        for (kind, id), message in wanted.items():
            generation = self._mirror.next_generation((kind, id), message)
            if generation is not None:
                batch.setdefault(kind, {})[id] = (generation, message)
        if batch:
            await self._mirror.put(batch)

    async def _services(self, vpc: keys.Key) -> set[str]:
        """Where the services are of each cluster in a VPC."""
        below = keys.Prefix(vpc.account, vpc.region, clusters.KIND)
        found = [clusters.read(state.desired.body) for state in (await interface.everything(self._store, below)).items]
        return {each.service_cidr for each in found if each.place.vpc == vpc.names[0]}

    def _listeners(self, vpc: str) -> list[mirrors.Place]:
        return [
            (kind, id)
            for (kind, id), kept in self._mirror.wanted.items()
            if isinstance(kept.spec, desired.Listener) and kept.spec.of == vpc and kept.spec.process == listeners.PORTER
        ]

    async def _follow_store(self, wake: reconciler.Wake[keys.Key]) -> None:
        async def take(change: facts.Change) -> None:
            if change.part is facts.ChangedPart.DESIRED:
                await self._wake(wake, change.key)

        await following.follow(self._store, "VPCs", lambda: self._wake_all(wake), take)

    async def _wake_all(self, wake: reconciler.Wake[keys.Key]) -> None:
        """Every VPC, and every one that was deleted while nobody looked and has left something."""
        left = [id for kind, id in self._mirror.wanted if kind == "networks" and id.startswith("vpc-")]
        there = {key.names[0]: key for key in await self._all(spec.VPC)}
        for vpc in set(left) - there.keys():
            # Where it was is not known; which account's it was does not matter for taking it away.
            wake(keys.Key("000000000000", "aws-global", spec.VPC, vpc))
        for key in there.values():
            wake(key)
        for key in await self._all(ipam.KIND):
            if key.names[0] not in there:
                wake(spec.vpc_key(key.account, key.region, key.names[0]))

    async def _all(self, kind: str) -> list[keys.Key]:
        return [state.key for state in (await interface.everything(self._store, kind=kind)).items]

    async def _wake(self, wake: reconciler.Wake[keys.Key], key: keys.Key) -> None:
        if key.kind == spec.VPC:
            wake(key)
        if key.kind in (spec.SUBNET, clusters.KIND):
            kept = await self._store.get(key)
            if kept is not None:
                # For a cluster that is there, who makes it asks before anything else.
                if key.kind == spec.SUBNET:
                    subnet = spec.read_subnet(kept.desired.body)
                    wake(spec.vpc_key(key.account, key.region, subnet.vpc))
                return
            # Whose a deleted one was is not known any more.
            beside = keys.Prefix(key.account, key.region, spec.VPC)
            for state in (await interface.everything(self._store, beside)).items:
                wake(state.key)

    async def _follow_agent(self, wake: reconciler.Wake[keys.Key]) -> None:
        """After a gap everything is looked at."""
        async for id in self._mirror.changes():
            if not id:
                await self._wake_all(wake)


def drawn(
    vpc: spec.Vpc, subnets: list[spec.Subnet], services: Collection[str], porter: int
) -> dict[mirrors.Place, desired.Message]:
    """The network of a VPC at the agent, with the sockets of its resolver. `services`: CIDRs. Pure."""
    ordered = sorted(subnets, key=lambda subnet: subnet.id)
    found: dict[mirrors.Place, desired.Message] = {
        ("networks", vpc.id): desired.Network(
            cidrs=(vpc.cidr,),
            subnets=tuple(desired.Subnet(id=each.id, cidr=each.cidr, zone=each.zone) for each in ordered),
            services=tuple(sorted(services)),
        )
    }
    for each in ordered:
        for protocol in listeners.PROTOCOLS:
            found["listeners", listeners.resolver(each.id, protocol)] = desired.Listener(
                namespace="network",
                of=vpc.id,
                address=addresses.resolver(each.cidr),
                port=_DNS,
                protocol=protocol,
                process=listeners.PORTER,
                user=porter,
            )
    return found


def _named(vpc: keys.Key) -> str:
    return f"the network of {vpc.names[0]}"
