"""Nodegroups at the agent: each node is a host in its subnet with containerd, kubelet and kube-proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

from roadstead.clusters import nodegroups, spec, versions
from roadstead.clusters.allocation import allocator, cluster_secrets, ipam, names
from roadstead.clusters.components import facts as components
from roadstead.clusters.components import nodes, registries
from roadstead.contract import naming
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.network import sizes
from roadstead.network import spec as network
from roadstead.provider import control_planes, engine_supply, mirror, networks, projection, reports
from roadstead.store import facts, interface, keys


@dataclass(frozen=True)
class NodeTools:
    store: interface.Store
    mirror: mirror.AgentMirror
    allocations: allocator.Allocator
    supply: engine_supply.EngineSupply
    networks: networks.Networks
    secrets: cluster_secrets.ClusterSecrets
    pause_image: Callable[[], Awaitable[str]]
    images: Callable[[], Awaitable[tuple[str, ...]]]
    """The archives of what every node has; the agent has them then."""
    registries: registries.Registries


@dataclass(frozen=True)
class _Place:
    """One node: where it stands, and what it is."""

    part: str
    host: str
    zone: str
    cidr: str
    prefixes: tuple[str, ...]
    node: components.Node


class NodeRenderer:
    """Draws nodes, and takes them away."""

    def __init__(self, tools: NodeTools) -> None:
        self._tools = tools

    async def cluster_id(self, cluster: keys.Key) -> str:
        """Raises NotFound when the cluster is gone."""
        return (await self._cluster(cluster))[1]

    async def drawn(self, state: facts.State, parts: Collection[str]) -> control_planes.Batch:
        """All that the agent is asked for to have these nodes; what runs keeps the release that it runs."""
        return await self._batch(state, dict.fromkeys(parts, 0), keep=True)

    async def replaced(self, state: facts.State, part: str, incarnation: int) -> control_planes.Batch:
        """The node with the release that is wanted now."""
        return await self._batch(state, {part: incarnation + 1}, keep=False)

    async def remove(
        self,
        state: facts.State,
        generation: int,
        parts: Collection[str],
        leave: nodegroups.Leave,
        word: reports.ClusterReports,
    ) -> list[str]:
        """Take nodes away, each when nothing on it has to be moved first; those of them that are wholly gone."""
        owner, wanted = state.key, nodegroups.read(state.desired.body)
        cluster, id = await self._cluster(spec.key(owner.account, owner.region, wanted.cluster))
        gone: dict[str, str] = {}
        ends: dict[mirror.Place, int] = {}
        for part in parts:
            host = naming.host(id, names.instance(owner, state.desired.created, part))
            kept = self._tools.mirror.wanted.get(("hosts", host))
            if kept is None:
                gone[part] = host
            elif not kept.deleting and _may_go(leave, kept, cluster, word):
                ends["hosts", host] = max(kept.generation, names.agents_generation(generation, 0))
        await self._tools.mirror.delete(ends)
        if gone:
            await self._tools.allocations.take_back_node(owner, wanted.vpc, gone.values())
        return list(gone)

    async def _batch(self, state: facts.State, parts: Mapping[str, int], *, keep: bool) -> control_planes.Batch:
        owner, wanted = state.key, nodegroups.read(state.desired.body)
        cluster, id = await self._cluster(spec.key(owner.account, owner.region, wanted.cluster))
        standing = await self._tools.allocations.find(cluster)
        kept = await self._tools.store.get(cluster)
        if standing is None or kept is None:
            raise errors.Busy(f"the control plane of {wanted.cluster} is not there")
        await self._tools.networks.ensure(network.vpc_key(owner.account, owner.region, wanted.vpc))
        batch: control_planes.Batch = {"hosts": {}, "units": {}}
        latest = versions.find(wanted.version).patch
        engines = {latest: await self._tools.supply.engines(latest)}
        await self._tools.supply.id("cni")
        images = await self._tools.images()
        of_cluster = spec.read(kept.desired.body)
        for part, incarnation in parts.items():
            host = naming.host(id, names.instance(owner, state.desired.created, part))
            runs = projection.release(host, "kubelet", self._tools.mirror.wanted) if keep else None
            release = runs or latest
            if release not in engines:
                engines[release] = await self._tools.supply.engines(release)
            place = await self._place(state, wanted, part, id)
            node = replace(
                place.node,
                release=release,
                engines=engines[release],
                api=f"https://{standing.private}:{components.API_PORT}",
                service_cidr=of_cluster.service_cidr,
                vpc_cidr=standing.vpc_cidr,
                images=images,
            )
            generation = names.agents_generation(state.desired.generation, incarnation)
            size = sizes.find(wanted.types[0])
            drawn_host = nodes.host(node, wanted.vpc, place.prefixes, wanted.disk, size, place.cidr)
            batch["hosts"][place.host] = (generation, drawn_host)
            secret = registries.secrets(self._tools.registries)
            files = await self._tools.secrets.of_node(cluster, node, secret)
            for unit, drawn in nodes.units(node, files, size, place.cidr, self._tools.registries).items():
                batch["units"][f"{place.host}/{unit}"] = (generation, drawn)
        return batch

    async def _place(self, state: facts.State, wanted: nodegroups.Nodegroup, part: str, id: str) -> _Place:
        owner = state.key
        instance = names.instance(owner, state.desired.created, part)
        host = naming.host(id, instance)
        subnet, zone = nodegroups.subnet_of(wanted, part)
        size = sizes.find(wanted.types[0])
        count = ipam.prefixes_for(size.pods)
        address, prefixes = await self._tools.allocations.give_node(owner, wanted.vpc, subnet, host, count)
        kept = await self._tools.store.get(network.subnet_key(owner.account, owner.region, subnet))
        if kept is None:
            raise errors.NotFound(f"subnet {subnet} is not there any more", subnet=subnet)
        node = components.Node(
            id=instance,
            name=naming.node(address, owner.region),
            address=address,
            zone=zone,
            region=owner.region,
            release="",
            engines=components.Engines(kubernetes="", etcd="", containerd=""),
            instance_type=size.name,
            architecture=size.architecture,
            most_pods=size.pods,
            labels=dict(wanted.labels),
            taints=tuple((taint.key, taint.value, taint.effect) for taint in wanted.taints),
            nodegroup=wanted.name,
            image=wanted.image,
            capacity=wanted.capacity,
            api="",
            service_cidr="",
            vpc_cidr="",
            pause_image=await self._tools.pause_image(),
        )
        return _Place(part, host, zone, network.read_subnet(kept.desired.body).cidr, prefixes, node)

    async def _cluster(self, cluster: keys.Key) -> tuple[keys.Key, str]:
        kept = await self._tools.store.get(cluster)
        if kept is None:
            raise errors.NotFound(f"the cluster {cluster.names[0]} is not there any more")
        return cluster, names.cluster(cluster, kept.desired.created)


def _may_go(
    leave: nodegroups.Leave, kept: mirror.MirroredObject, cluster: keys.Key, word: reports.ClusterReports
) -> bool:
    """Who waits for no pods asks nobody about them: the cluster's API may be broken."""
    assert isinstance(kept.spec, desired.Host)
    if leave is nodegroups.Leave.DROPPED:
        return True
    return word.drained(cluster, naming.node(kept.spec.legs[0].address, cluster.region))
