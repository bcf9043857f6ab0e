"""Control planes at the agent: their network, members and edge, and what leads to them."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from roadstead.clusters import spec, versions
from roadstead.clusters.allocation import allocator, cluster_secrets, names
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.components import apiserver, controller_manager, edge, etcd, hosts, scheduler
from roadstead.clusters.components import facts as components
from roadstead.contract import listeners, naming
from roadstead.contract.messages import desired
from roadstead.core import addresses, concurrency, errors
from roadstead.network import spec as network
from roadstead.provider import engine_supply, mirror, networks, projection
from roadstead.store import facts, interface, keys

Batch: TypeAlias = dict[str, dict[str, tuple[int, desired.Message]]]
"""Desired states of the agent by kind and id, with their generations."""


@dataclass(frozen=True)
class ControlPlaneTools:
    """`user`: the id of serve on the machine; `porter`: that of porter."""

    store: interface.Store
    mirror: mirror.AgentMirror
    allocations: allocator.Allocator
    supply: engine_supply.EngineSupply
    networks: networks.Networks
    secrets: cluster_secrets.ClusterSecrets
    user: int
    porter: int


class ControlPlaneRenderer:
    """Draws control planes, and takes them away."""

    def __init__(self, tools: ControlPlaneTools) -> None:
        self._tools = tools

    async def plane(self, state: facts.State, release: str) -> components.ControlPlane:
        """All facts of a cluster's control plane. Its allocation and its engines are had from then on."""
        wanted = spec.read(state.desired.body)
        standing = await self._tools.allocations.give(state)
        engines = await self._tools.supply.engines(release)
        plane = allocator.plane(wanted, state.key, standing, release, engines)
        vpc = network.vpc_key(state.key.account, state.key.region, wanted.place.vpc)
        plane = with_resolvers(plane, [subnet.cidr for subnet in await self._tools.networks.subnets(vpc)])
        seen = await machine.find(self._tools.store)
        return plane if seen is None else dataclasses.replace(plane, cores=seen.cores)

    async def _lent(self, state: facts.State, release: str) -> cluster_secrets.Digests:
        """The digests of the units' files, of which no file depends on an engine."""
        standing = await self._tools.allocations.give(state)
        none = components.Engines(kubernetes="", etcd="", containerd="")
        plane = allocator.plane(spec.read(state.desired.body), state.key, standing, release, none)
        return await self._tools.secrets.digests(state.key, plane)

    async def drawn(self, state: facts.State, parts: Collection[str]) -> Batch:
        """All that the agent is asked for to have these parts; what runs keeps the release that it runs."""
        wanted = spec.read(state.desired.body)
        vpc, latest = wanted.place.vpc, versions.find(wanted.version).patch
        async with concurrency.tasks() as tasks:
            made = tasks.create_task(self.plane(state, latest))
            lent = tasks.create_task(self._lent(state, latest))
            tasks.create_task(self._tools.networks.ensure(network.vpc_key(state.key.account, state.key.region, vpc)))
        plane, digests = made.result(), lent.result()
        planes = {latest: plane}
        generation = names.agents_generation(state.desired.generation, 0)
        batch = self._shared(plane, await self._tools.allocations.give(state), generation)
        for part in parts:
            if part == spec.ACCESS:
                continue
            host = naming.host(plane.id, part)
            runs = projection.release(host, "kube-apiserver", self._tools.mirror.wanted) or latest
            if runs not in planes:
                planes[runs] = await self.plane(state, runs)
            _add(batch, planes[runs], vpc, part, digests, generation)
        return batch

    async def replaced(self, state: facts.State, part: str, incarnation: int) -> Batch:
        """The part with the release that is wanted now."""
        wanted = spec.read(state.desired.body)
        plane = await self.plane(state, versions.find(wanted.version).patch)
        digests = await self._tools.secrets.digests(state.key, plane)
        batch: Batch = {}
        _add(
            batch,
            plane,
            wanted.place.vpc,
            part,
            digests,
            names.agents_generation(state.desired.generation, incarnation + 1),
        )
        return batch

    async def remove(self, state: facts.State, generation: int, parts: Collection[str]) -> list[str]:
        """Take parts away; those of them that are wholly gone. The last is access, with everything allotted."""
        id = names.cluster(state.key, state.desired.created)
        wanted = self._tools.mirror.wanted
        at = names.agents_generation(generation, 0)
        ends: dict[mirror.Place, int] = {}
        gone = []
        for part in parts:
            host = naming.host(id, part)
            if part == spec.ACCESS:
                continue
            places = [("hosts", host), *([_publish(id), _webhook(id)] if part == spec.EDGE else [])]
            there = [place for place in places if place in wanted]
            if not there:
                gone.append(part)
            ends |= {p: max(at, wanted[p].generation) for p in there if not wanted[p].deleting}
        await self._tools.mirror.delete(ends)
        if spec.ACCESS in parts and await self._ground_is_clear(state.key, id, at):
            gone.append(spec.ACCESS)
        return gone

    async def authority(self, cluster: keys.Key) -> str | None:
        """The cluster's CA in PEM, base 64."""
        made = await self._tools.secrets.find(cluster)
        return None if made is None else base64.b64encode(made.roots.cluster.certificate).decode()

    async def _ground_is_clear(self, cluster: keys.Key, id: str, at: int) -> bool:
        """Whether nothing of a cluster is left; the network goes after what is in it, what was allotted after it."""
        left = {
            place: kept
            for place, kept in self._tools.mirror.wanted.items()
            if place[0] != "units" and place[1].startswith(f"{id}.")
        }
        network_of_it = ("networks", names.control_network(id))
        first = {place: kept for place, kept in left.items() if place != network_of_it} or left
        await self._tools.mirror.delete(
            {place: max(at, kept.generation) for place, kept in first.items() if not kept.deleting}
        )
        if left:
            return False
        await self._tools.allocations.take_back(cluster)
        await self._tools.secrets.forget(cluster)
        return True

    def _shared(self, plane: components.ControlPlane, standing: allocator.Allocation, generation: int) -> Batch:
        """The network, and who listens in it."""
        listener = desired.Listener(
            namespace="network",
            of=standing.network,
            address=plane.webhook,
            port=plane.webhook_port,
            process=listeners.PORTER,
            user=self._tools.porter,
        )
        drawn: dict[mirror.Place, desired.Message] = {
            ("networks", standing.network): hosts.network(plane, standing.cidr, self._tools.user),
            _webhook(plane.id): listener,
        }
        batch: Batch = {}
        for (kind, name), message in drawn.items():
            # Told again in one generation, it may be drawn otherwise by a newer serve.
            known = self._tools.mirror
            fitting = known.next_generation((kind, name), message) or known.wanted[kind, name].generation
            batch.setdefault(kind, {})[name] = (max(generation, fitting), message)
        return batch


def with_resolvers(plane: components.ControlPlane, subnets: Collection[str]) -> components.ControlPlane:
    """The plane whose API servers ask the resolvers of the subnets that they are in. Pure."""

    def resolver(address: str) -> str:
        return next((addresses.resolver(cidr) for cidr in subnets if addresses.contains(cidr, address)), "")

    members = tuple(dataclasses.replace(each, resolver=resolver(each.api_vpc)) for each in plane.members)
    return dataclasses.replace(plane, members=members)


def _add(
    batch: Batch, plane: components.ControlPlane, vpc: str, part: str, digests: cluster_secrets.Digests, generation: int
) -> None:
    """One part's objects. Pure but for the batch that it fills."""
    host = naming.host(plane.id, part)
    letter = part[-1]
    if part in spec.ETCD:
        units = {"etcd": etcd.unit(plane, letter, digests[f"{part}/etcd"])}
    elif part in spec.API:
        units = {
            "kube-apiserver": apiserver.unit(plane, letter, digests[f"{part}/kube-apiserver"]),
            "kube-controller-manager": controller_manager.unit(
                plane, letter, digests[f"{part}/kube-controller-manager"]
            ),
            "kube-scheduler": scheduler.unit(plane, letter, digests[f"{part}/kube-scheduler"]),
        }
    elif part == spec.EDGE:
        units = {f"proxy-{n}": edge.unit(plane, n, digests[f"{part}/proxy-{n}"]) for n in (1, 2)}
        batch.setdefault("publishes", {})[_publish(plane.id)[1]] = (
            generation,
            hosts.publish(plane),
        )
    else:
        raise errors.Invalid(f"a control plane has no part {part}")
    batch.setdefault("hosts", {})[host] = (generation, hosts.host(plane, vpc, part))
    for name, unit in units.items():
        batch.setdefault("units", {})[f"{host}/{name}"] = (generation, unit)


def _publish(id: str) -> mirror.Place:
    return "publishes", f"{id}.endpoint"


def _webhook(id: str) -> mirror.Place:
    return "listeners", listeners.webhook(id)
