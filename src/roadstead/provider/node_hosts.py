"""Nodegroups at the agent: each node is a host in its subnet with containerd, kubelet and kube-proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from roadstead.clusters import nodegroups, provider, spec
from roadstead.clusters.allocation import allocator, cluster_secrets, ipam, names
from roadstead.clusters.components import facts as components
from roadstead.clusters.components import nodes, registries
from roadstead.contract import leaving, naming
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.network import sizes
from roadstead.network import spec as network
from roadstead.provider import control_planes, engine_supply, mirror, networks, projection, reports
from roadstead.store import facts, interface, keys


@dataclass(frozen=True)
class NodeTools:
    """What nodes are drawn with."""

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
class _Cluster:
    """Of the cluster that nodes join: what they all have in common."""

    key: keys.Key
    id: str
    api: str
    service_cidr: str
    vpc_cidr: str


@dataclass(frozen=True)
class _Spot:
    """What was allotted to one node."""

    subnet: str
    """Its CIDR."""
    address: str
    prefixes: tuple[str, ...]


class NodeRenderer:
    """Draws nodes, and takes them away."""

    def __init__(self, tools: NodeTools) -> None:
        self._tools = tools

    async def cluster_id(self, cluster: keys.Key) -> str:
        """Raises NotFound when the cluster is gone."""
        kept = await self._tools.store.get(cluster)
        if kept is None:
            raise errors.NotFound(f"the cluster {cluster.names[0]} is not there any more")
        return names.cluster(cluster, kept.desired.created)

    async def drawn(self, state: facts.State, parts: Mapping[str, provider.PartSpec]) -> control_planes.Batch:
        """All that the agent is asked for to have these nodes; what runs keeps the release that it runs."""
        return await self._batch(state, parts, 0, keep=True)

    async def replaced(
        self, state: facts.State, part: str, incarnation: int, wanted: provider.PartSpec
    ) -> control_planes.Batch:
        """The node as it is wanted now."""
        return await self._batch(state, {part: wanted}, incarnation + 1, keep=False)

    async def remove(
        self,
        state: facts.State,
        generation: int,
        parts: Collection[str],
        leave: leaving.Leave,
        word: reports.ClusterReports,
    ) -> list[str]:
        """Take nodes away, each when nothing on it has to be moved first; those of them that are wholly gone."""
        owner, wanted = state.key, nodegroups.read(state.desired.body)
        cluster = spec.key(owner.account, owner.region, wanted.cluster)
        id = await self.cluster_id(cluster)
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

    async def _batch(
        self, state: facts.State, parts: Mapping[str, provider.PartSpec], incarnation: int, *, keep: bool
    ) -> control_planes.Batch:
        owner, group, tools = state.key, nodegroups.read(state.desired.body), self._tools
        cluster = await self._joined(spec.key(owner.account, owner.region, group.cluster))
        await tools.networks.ensure(network.vpc_key(owner.account, owner.region, group.vpc))
        batch: control_planes.Batch = {"hosts": {}, "units": {}}
        engines = {release: await tools.supply.engines(release) for release in {one.release for one in parts.values()}}
        await tools.supply.id("cni")
        images, pause = await tools.images(), await tools.pause_image()
        generation = names.agents_generation(state.desired.generation, incarnation)
        for part, wanted in parts.items():
            size = sizes.find(wanted.instance_type)
            instance = names.instance(owner, state.desired.created, part)
            host = naming.host(cluster.id, instance)
            release = (projection.release(host, "kubelet", tools.mirror.wanted) if keep else None) or wanted.release
            if release not in engines:
                engines[release] = await tools.supply.engines(release)
            spot = await self._spot(owner, group.vpc, wanted, host)
            node = components.Node(
                id=instance,
                name=naming.node(spot.address, owner.region),
                address=spot.address,
                zone=wanted.zone,
                region=owner.region,
                release=release,
                engines=engines[release],
                instance_type=size.name,
                architecture=size.architecture,
                most_pods=size.pods,
                labels=dict(group.labels),
                taints=tuple((taint.key, taint.value, taint.effect) for taint in group.taints),
                nodegroup=group.name,
                image=group.image,
                capacity=group.capacity,
                api=cluster.api,
                service_cidr=cluster.service_cidr,
                vpc_cidr=cluster.vpc_cidr,
                pause_image=pause,
                images=images,
            )
            drawn = nodes.host(node, group.vpc, spot.prefixes, group.disk, size, spot.subnet)
            batch["hosts"][host] = (generation, drawn)
            files = await tools.secrets.of_node(cluster.key, node, registries.secrets(tools.registries))
            for name, unit in nodes.units(node, files, size, spot.subnet, tools.registries).items():
                batch["units"][f"{host}/{name}"] = (generation, unit)
        return batch

    async def _spot(self, owner: keys.Key, vpc: str, wanted: provider.PartSpec, host: str) -> _Spot:
        """Allotted from then on."""
        count = ipam.prefixes_for(sizes.find(wanted.instance_type).pods)
        address, prefixes = await self._tools.allocations.give_node(owner, vpc, wanted.subnet, host, count)
        kept = await self._tools.store.get(network.subnet_key(owner.account, owner.region, wanted.subnet))
        if kept is None:
            raise errors.NotFound(f"subnet {wanted.subnet} is not there any more", subnet=wanted.subnet)
        return _Spot(network.read_subnet(kept.desired.body).cidr, address, prefixes)

    async def _joined(self, key: keys.Key) -> _Cluster:
        """Raises NotFound when it is gone, Busy while nothing was allotted to it."""
        kept = await self._tools.store.get(key)
        if kept is None:
            raise errors.NotFound(f"the cluster {key.names[0]} is not there any more")
        standing = await self._tools.allocations.find(key)
        if standing is None:
            raise errors.Busy(f"the control plane of {key.names[0]} is not there")
        return _Cluster(
            key=key,
            id=names.cluster(key, kept.desired.created),
            api=f"https://{standing.private}:{components.API_PORT}",
            service_cidr=spec.read(kept.desired.body).service_cidr,
            vpc_cidr=standing.vpc_cidr,
        )


def _may_go(leave: leaving.Leave, kept: mirror.MirroredObject, cluster: keys.Key, word: reports.ClusterReports) -> bool:
    """Who waits for no pods asks nobody about them: the cluster's API may be broken."""
    assert isinstance(kept.spec, desired.Host)
    if leave is leaving.Leave.DROPPED:
        return True
    return word.drained(cluster, naming.node(kept.spec.legs[0].address, cluster.region))
