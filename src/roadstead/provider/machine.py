"""The `Provider` as it is on a machine: tells, replaces, removes and sees parts by the real agent's objects."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace

from roadstead.clusters import nodegroups, observed, provider, spec, versions
from roadstead.clusters.allocation import allocator, names
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.capacity import pace
from roadstead.contract import leaving, naming
from roadstead.core import errors
from roadstead.core.loops import feed
from roadstead.provider import control_planes, engine_supply, mirror, node_hosts, node_metadata, projection, reports
from roadstead.store import facts, following, interface, keys

log = logging.getLogger(__name__)

Phase = observed.Phase

_REFUSALS = (errors.Invalid, errors.Denied, errors.NotFound, errors.LimitExceeded, engine_supply.Unobtainable)
"""What asking again does not help. All else is tried again: another call had the place, a disk was full."""
_REFUSED_FOR = 60.0
"""Seconds after which what was refused is asked for anew: there may be room by then, or the engine."""


@dataclass(frozen=True)
class _Refusal:
    """`at`: on the monotonic clock."""

    generation: int
    reason: str
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class ProviderTools:
    """What the provider works with."""

    store: interface.Store
    mirror: mirror.AgentMirror
    allocations: allocator.Allocator
    control: control_planes.ControlPlaneRenderer
    workers: node_hosts.NodeRenderer
    reports: reports.ClusterReports


class MachineProvider:
    """See clusters.provider.Provider. `run` until cancelled, for its `changes`."""

    def __init__(self, tools: ProviderTools) -> None:
        self._tools = tools
        self._removed: dict[tuple[keys.Key, str], int] = {}
        """The generation by which a part was seen to be gone."""
        self._refused: dict[tuple[keys.Key, str], _Refusal] = {}
        self._coming: dict[keys.Key, str] = {}
        """Which engine a cluster waits for."""
        self._owners: dict[str, keys.Key] = {}
        """By the id at the agent of a cluster, or of a node's host."""
        self._groups: dict[keys.Key, set[keys.Key]] = {}
        """The nodegroups of clusters."""
        self._feed: feed.Feed[keys.Key] = feed.Feed()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_agent())
            tasks.create_task(self._follow_reports())
            tasks.create_task(self._follow_store())
            # What an earlier run missed after it failed.
            self._tell_of_all()

    async def prepare(self, release: str) -> None:
        if not self._tools.mirror.ready.is_set():
            raise errors.Busy("the agent is not there yet")
        await self._tools.control.prepare(release)

    async def tell(self, owner: keys.Key, generation: int, parts: Mapping[str, provider.PartSpec]) -> None:
        state = await self._current(owner, generation)
        if state is None:
            return
        for part in parts:
            self._removed.pop((owner, part), None)
        try:
            await self._tell(state, parts)
            self._coming.pop(owner, None)
        except engine_supply.Coming as coming:
            # It is asked for again until it is here, or cannot be had.
            log.debug("%s: %s", owner, coming.message)
            self._coming[owner] = coming.message

    async def replace(
        self, owner: keys.Key, part: str, generation: int, incarnation: int, wanted: provider.PartSpec
    ) -> None:
        state = await self._current(owner, generation)
        if state is None:
            return
        renderer = self._tools.control if owner.kind == spec.KIND else self._tools.workers
        try:
            await self._tools.mirror.put(await renderer.replaced(state, part, incarnation, wanted))
        except engine_supply.Coming as coming:
            log.debug("%s: %s", owner, coming.message)
        except errors.Conflict as error:
            log.info("%s: a replacement came late: %s", owner, error.message)

    async def remove(self, owner: keys.Key, generation: int, parts: Collection[str], leave: leaving.Leave) -> None:
        await self._tools.mirror.ready.wait()
        state = await self._current(owner, generation)
        if state is None:
            return
        if owner.kind == spec.KIND:
            gone = await self._tools.control.remove(state, generation, parts)
        else:
            gone = await self._tools.workers.remove(state, generation, parts, leave, self._tools.reports)
        for part in gone:
            self._refused.pop((owner, part), None)
            self._removed[owner, part] = generation
        if gone:
            self._feed.tell(owner)

    async def see(self, owner: keys.Key) -> observed.Projection:
        await self._tools.mirror.ready.wait()
        state = await self._tools.store.get(owner)
        if state is None:
            return observed.Projection()
        return await (self._cluster(state) if owner.kind == spec.KIND else self._nodegroup(state))

    def changes(self) -> AsyncIterator[keys.Key]:
        return self._feed.changes()

    async def _tell(self, state: facts.State, parts: Mapping[str, provider.PartSpec]) -> None:
        try:
            await self._known(state)
            await self._tools.mirror.put(await self._drawn(state, parts))
        except _REFUSALS as error:
            if state.key.kind == nodegroups.KIND and len(parts) > 1:
                # Of nodes each is asked for by itself then: there may be room for some.
                for part, wanted in parts.items():
                    await self._tell(state, {part: wanted})
                return
            for part in parts:
                self._refuse(state.key, part, _Refusal(state.desired.generation, error.message))
            self._feed.tell(state.key)
        else:
            for part in parts:
                self._refused.pop((state.key, part), None)

    def _refuse(self, owner: keys.Key, part: str, refusal: _Refusal) -> None:
        before = self._refused.get((owner, part))
        if before is None or before.reason != refusal.reason:
            log.warning("%s: %s: %s", owner, part, refusal.reason)
        self._refused[owner, part] = refusal

    async def _drawn(self, state: facts.State, parts: Mapping[str, provider.PartSpec]) -> control_planes.Batch:
        if state.key.kind == spec.KIND:
            return await self._tools.control.drawn(state, parts)
        return await self._tools.workers.drawn(state, parts)

    async def _cluster(self, state: facts.State) -> observed.Projection:
        tools, owner = self._tools, state.key
        id = await self._known(state)
        # Also of what runs nothing of Kubernetes.
        release = versions.find(spec.read(state.desired.body).version).patch
        found = {}
        for name in (*spec.ETCD, *spec.API, spec.EDGE):
            host = naming.host(id, name)
            runs = projection.release(host, "kube-apiserver", tools.mirror.wanted) or release
            found[name] = self._settled(owner, projection.part(name, host, tools.mirror, runs))
        carrier = await machine.find(tools.store)
        found, near = projection.excused(found, pace.too_slow(carrier)), carrier.near if carrier else ()
        kept = await tools.allocations.find(owner)
        found[spec.ACCESS] = self._settled(owner, self._access(owner, id, release, kept is not None))
        if kept is None:
            return observed.Projection(found, warnings=near)
        return observed.Projection(found, kept.endpoint, await tools.control.authority(owner), near)

    def _access(self, owner: keys.Key, id: str, release: str, standing: bool) -> observed.Part:
        """There from the first drawing until the control plane's network, and all that was allotted, is gone."""
        kept = self._tools.mirror.wanted.get(("networks", names.control_network(id)))
        if kept is None:
            reason = self._coming.get(owner, "")
            return observed.Part(spec.ACCESS, Phase.MAKING if standing else Phase.ABSENT, reason=reason)
        generation, _ = names.generation(kept.generation)
        word = self._tools.reports.access(owner)
        phase = Phase.READY if word.ready else Phase.REFUSED if word.refused else Phase.MAKING
        if kept.deleting:
            phase = Phase.MAKING
        return observed.Part(spec.ACCESS, phase, generation, release, reason=word.reason)

    async def _nodegroup(self, state: facts.State) -> observed.Projection:
        tools, owner = self._tools, state.key
        wanted = nodegroups.read(state.desired.body)
        cluster, id = spec.key(owner.account, owner.region, wanted.cluster), await self._known(state)
        found = {}
        for name in nodegroups.nodes(wanted.most):
            host = naming.host(id, names.instance(owner, state.desired.created, name))
            runs = projection.release(host, "kubelet", tools.mirror.wanted) or ""
            part = projection.part(name, host, tools.mirror, runs)
            if part.phase is Phase.READY and part.address:
                word = tools.reports.node(cluster, naming.node(part.address, owner.region), node_metadata.of(wanted))
                part = projection.joined(part, word)
            found[name] = self._settled(owner, part)
        carrier = await machine.find(tools.store)
        near = carrier.near if carrier else ()
        return observed.Projection(projection.excused(found, pace.too_slow(carrier)), warnings=near)

    async def _known(self, state: facts.State) -> str:
        """The id of the cluster that it is, or is of. What is seen of its hosts is told of from then on."""
        owner = state.key
        if owner.kind == spec.KIND:
            id = names.cluster(owner, state.desired.created)
            self._owners[id] = owner
            return id
        group = nodegroups.read(state.desired.body)
        cluster = spec.key(owner.account, owner.region, group.cluster)
        id = await self._tools.workers.cluster_id(cluster)
        self._groups.setdefault(cluster, set()).add(owner)
        for name in nodegroups.nodes(group.most):
            self._owners[naming.host(id, names.instance(owner, state.desired.created, name))] = owner
        return id

    def _settled(self, owner: keys.Key, part: observed.Part) -> observed.Part:
        """What is absent may be known to be gone; what there is may have to stay as it was, being refused otherwise."""
        refused = self._refused.get((owner, part.name))
        if refused is not None and time.monotonic() > refused.at + _REFUSED_FOR:
            refused = None
        if refused is not None and refused.generation > part.generation:
            return replace(part, phase=Phase.REFUSED, generation=refused.generation, reason=refused.reason)
        if part.phase is not Phase.ABSENT:
            self._removed.pop((owner, part.name), None)
            return part
        return replace(part, generation=self._removed.get((owner, part.name), 0))

    async def _current(self, owner: keys.Key, generation: int) -> facts.State | None:
        """The desired state that a step was made for; None when there is a newer one, or none."""
        state = await self._tools.store.get(owner)
        return state if state is not None and state.desired.generation == generation else None

    async def _follow_agent(self) -> None:
        async for id in self._tools.mirror.changes():
            owner = self._owners.get(id) or self._owners.get(id.partition(".")[0])
            if not id:
                self._tell_of_all()
            elif owner is not None:
                self._feed.tell(owner)

    async def _follow_reports(self) -> None:
        async for cluster in self._tools.reports.changes():
            for owner in (cluster, *self._groups.get(cluster, ())):
                self._feed.tell(owner)

    async def _follow_store(self) -> None:
        """What is not there any more is forgotten. What is near its end of the machine concerns everybody."""
        near: tuple[str, ...] = ()

        async def look() -> None:
            nonlocal near
            carrier = await machine.find(self._tools.store)
            before, near = near, carrier.near if carrier else ()
            if near != before:
                self._tell_of_all()

        async def take(change: facts.Change) -> None:
            if change.deleted and change.part is facts.ChangedPart.DESIRED:
                self._forget(change.key)
            if change.key == machine.KEY:
                await look()

        # Of deletions that were missed, what is known is kept a while longer.
        await following.follow(self._tools.store, "what the provider made", look, take)

    def _forget(self, owner: keys.Key) -> None:
        if owner.kind not in (spec.KIND, nodegroups.KIND):
            return
        self._removed = {place: each for place, each in self._removed.items() if place[0] != owner}
        self._refused = {place: each for place, each in self._refused.items() if place[0] != owner}
        self._coming.pop(owner, None)
        self._owners = {id: each for id, each in self._owners.items() if each != owner}
        self._groups.pop(owner, None)
        for groups in self._groups.values():
            groups.discard(owner)

    def _tell_of_all(self) -> None:
        for owner in set(self._owners.values()):
            self._feed.tell(owner)
