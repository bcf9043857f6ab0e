"""Control planes at the agent: their network, members and edge, and what leads to them."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from roadstead.clusters import provider, spec
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


@dataclass(frozen=True)
class _Standing:
    """What a control plane is whatever release it runs. `cores`: of the machine; None: not known."""

    wanted: spec.Cluster
    allocation: allocator.Allocation
    at: components.Topology
    vpc: keys.Key
    cores: int | None

    def running(self, release: str, engines: components.Engines) -> components.ControlPlane:
        return components.running(
            self.at,
            release=release,
            engines=engines,
            logs=self.wanted.logs,
            cores=self.cores,
            patience=self.allocation.patience,
        )


class ControlPlaneRenderer:
    """Draws control planes, and takes them away."""

    def __init__(self, tools: ControlPlaneTools) -> None:
        self._tools = tools

    async def prepare(self, release: str) -> None:
        """The engines of a release are at the agent from then on. Raises Coming, Unobtainable."""
        await self._tools.supply.engines(release)

    async def drawn(self, state: facts.State, parts: Mapping[str, provider.PartSpec]) -> Batch:
        """All that the agent is asked for to have these parts; what runs keeps the release that it runs.

        What the cluster is allotted, its secrets and its engines are had from then on.
        """
        standing = await self._standing(state)
        runs = {part: self._running(standing, part) or wanted.release for part, wanted in parts.items()}
        asked = sorted({wanted.release for wanted in parts.values()})
        async with concurrency.tasks() as tasks:
            engines = {
                release: tasks.create_task(self._tools.supply.engines(release)) for release in {*runs.values(), *asked}
            }
            lent = tasks.create_task(self._tools.secrets.digests(state.key, standing.at, asked[0]))
            tasks.create_task(self._tools.networks.ensure(standing.vpc))
        generation = names.agents_generation(state.desired.generation, 0)
        batch = self._shared(standing, generation)
        for part, wanted in parts.items():
            if part != spec.ACCESS:
                plane = standing.running(runs[part], engines[runs[part]].result())
                _add(batch, plane, _Drawn(part, wanted.zone, standing.vpc.names[0], generation), lent.result())
        return batch

    async def replaced(self, state: facts.State, part: str, incarnation: int, wanted: provider.PartSpec) -> Batch:
        """The part as it is wanted now."""
        standing = await self._standing(state)
        plane = standing.running(wanted.release, await self._tools.supply.engines(wanted.release))
        batch: Batch = {}
        generation = names.agents_generation(state.desired.generation, incarnation + 1)
        drawn = _Drawn(part, wanted.zone, standing.vpc.names[0], generation)
        _add(batch, plane, drawn, await self._tools.secrets.digests(state.key, standing.at, wanted.release))
        return batch

    def _running(self, standing: _Standing, part: str) -> str | None:
        """The release that a part runs already."""
        return projection.release(naming.host(standing.at.id, part), apiserver.UNIT, self._tools.mirror.wanted)

    async def _standing(self, state: facts.State) -> _Standing:
        """Where it is, allotted now if it was not."""
        wanted = spec.read(state.desired.body)
        allocation = await self._tools.allocations.give(state)
        vpc = network.vpc_key(state.key.account, state.key.region, wanted.place.vpc)
        subnets = [subnet.cidr for subnet in await self._tools.networks.subnets(vpc)]
        at = with_resolvers(allocator.topology(wanted, state.key, allocation), subnets)
        seen = await machine.find(self._tools.store)
        return _Standing(wanted, allocation, at, vpc, None if seen is None else seen.cores)

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

    def _shared(self, standing: _Standing, generation: int) -> Batch:
        """The network, and who listens in it."""
        at, allotted = standing.at, standing.allocation
        listener = desired.Listener(
            namespace="network",
            of=allotted.network,
            address=at.webhook,
            port=at.webhook_port,
            process=listeners.PORTER,
            user=self._tools.porter,
        )
        drawn: dict[mirror.Place, desired.Message] = {
            ("networks", allotted.network): hosts.network(at, allotted.cidr, self._tools.user),
            _webhook(at.id): listener,
        }
        batch: Batch = {}
        for (kind, name), message in drawn.items():
            # Told again in one generation, it may be drawn otherwise by a newer serve.
            known = self._tools.mirror
            fitting = known.next_generation((kind, name), message) or known.wanted[kind, name].generation
            batch.setdefault(kind, {})[name] = (max(generation, fitting), message)
        return batch


def with_resolvers(at: components.Topology, subnets: Collection[str]) -> components.Topology:
    """The topology whose API servers ask the resolvers of the subnets that they are in. Pure."""

    def resolver(address: str) -> str:
        return next((addresses.resolver(cidr) for cidr in subnets if addresses.contains(cidr, address)), "")

    members = tuple(dataclasses.replace(each, resolver=resolver(each.api_vpc)) for each in at.members)
    return dataclasses.replace(at, members=members)


@dataclass(frozen=True)
class _Drawn:
    """One part as it is drawn. `vpc`: its network at the agent; `generation`: the agent's."""

    part: str
    zone: str
    vpc: str
    generation: int


def _add(batch: Batch, plane: components.ControlPlane, drawn: _Drawn, digests: cluster_secrets.Digests) -> None:
    """One part's objects. Pure but for the batch that it fills."""
    part, generation = drawn.part, drawn.generation
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
    batch.setdefault("hosts", {})[host] = (generation, hosts.host(plane, drawn.vpc, part, drawn.zone))
    for name, unit in units.items():
        batch.setdefault("units", {})[f"{host}/{name}"] = (generation, unit)


def _publish(id: str) -> mirror.Place:
    return "publishes", f"{id}.endpoint"


def _webhook(id: str) -> mirror.Place:
    return "listeners", listeners.webhook(id)
