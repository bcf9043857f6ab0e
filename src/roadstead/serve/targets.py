"""Where the controllers go: clusters with their servers, serve's credentials and the nodes that they are to have."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from roadstead.clusters import nodegroups, spec, trust, versions
from roadstead.clusters.allocation import allocator, cluster_secrets, ipam, names
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.components import facts as components
from roadstead.clusters.insights import kept as insights
from roadstead.contract import naming
from roadstead.controllers.runtime import facts as system
from roadstead.controllers.runtime import targets
from roadstead.controllers.system import coredns
from roadstead.core import addresses, errors
from roadstead.core.loops import feed, reconciler
from roadstead.kube import connection
from roadstead.network import spec as network
from roadstead.provider import engine_supply, node_metadata
from roadstead.provider import mirror as mirrors
from roadstead.store import facts, following, interface, keys

log = logging.getLogger(__name__)

_KINDS = frozenset(
    {spec.KIND, nodegroups.KIND, allocator.KIND, cluster_secrets.KIND, ipam.KIND, insights.KIND},
)
ALL = "the targets of all clusters"
"""The one key of them."""
_MACHINE = ""
"""In the place of a host's id."""
_AGAIN = 2.0
"""Seconds until a cluster that could not be told of is tried again."""
_DNS = 10
"""The number of the address of cluster DNS among those of services."""


@dataclass(frozen=True)
class TargetTools:
    """What targets are made of."""

    store: interface.Store
    allocations: allocator.Allocator
    secrets: cluster_secrets.ClusterSecrets
    images: Callable[[], Awaitable[system.Images]]
    mirror: mirrors.AgentMirror


class StoreTargets:
    """See controllers' targets.Targets. `run` until cancelled."""

    def __init__(self, tools: TargetTools) -> None:
        self._tools = tools
        self._current: Mapping[str, targets.ClusterTarget] = {}
        self._troubles: Mapping[str, errors.Error] = {}
        self._feed: feed.Feed[str] = feed.Feed()
        self._reconciler = reconciler.Reconciler(
            self._look,
            (following.anything(tools.store, ALL, _KINDS, following.KEPT), *self._sources()),
            log=log,
        )
        self._coming: set[str] = set()
        """Networks of control planes that were not there at the last look."""
        self._near: dict[str, tuple[str, ...]] = {}
        """What is near its end, by host; _MACHINE: what all share."""

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return self._current

    def trouble(self, cluster: str) -> errors.Error | None:
        """Why nothing new can be told of a cluster."""
        return self._troubles.get(cluster)

    def changes(self) -> AsyncIterator[object]:
        return self._feed.changes(ALL)

    async def run(self) -> None:
        await self._reconciler.run()

    async def _look(self, _: str) -> float | None:
        """At all clusters at once: what one is told follows from several resources."""
        troubles: dict[str, errors.Error] = {}
        now = {key: target async for key, target in self._all(troubles)}
        for key, error in troubles.items():
            before = self._troubles.get(key)
            if before is None or before.message != error.message:
                level = logging.INFO if isinstance(error, engine_supply.Coming) else logging.WARNING
                log.log(level, "the controllers are told nothing new of %s: %s; tried again", key, error.message)
        self._troubles = troubles
        if now != self._current:
            self._current = now
            self._feed.tell(ALL)
        return _AGAIN if troubles else None

    async def _all(self, troubles: dict[str, errors.Error]) -> AsyncIterator[tuple[str, targets.ClusterTarget]]:
        """By the text of the clusters' keys. One that cannot be told of stays as it was; `troubles` says why.

        Nobody is told of one before its network is there: the machine has no route to it, and would send what is for
        its servers into the world.
        """
        self._coming.clear()
        for state in (await interface.everything(self._tools.store, kind=spec.KIND)).items:
            wanted, text = spec.read(state.desired.body), state.key.text
            if wanted.deleting:
                # From a cluster that goes as a whole nothing has to be moved, and its servers end at any moment.
                continue
            try:
                standing = await self._tools.allocations.find(state.key)
                made = await self._tools.secrets.find(state.key)
                if standing is None or made is None:
                    continue
                if text in self._current or self._is_there(standing.network):
                    yield text, await self._target(state, wanted, standing, made)
            except errors.Error as error:
                troubles[text] = error
                if text in self._current:
                    yield text, self._current[text]

    async def _target(
        self, state: facts.State, wanted: spec.Cluster, standing: allocator.Allocation, made: cluster_secrets.SecretSet
    ) -> targets.ClusterTarget:
        release = versions.find(wanted.version).patch
        groups = await self._groups(state.key)
        # Before there are nodes, and after: as if all zones had some, so that their coming rolls nothing out again.
        stand = {nodegroups.subnet_of(group, part)[1] for _, group in groups for part in nodegroups.expected(group)}
        zones = len(stand or set(wanted.place.zones))
        members = allocator.topology(wanted, state.key, standing).members
        return targets.ClusterTarget(
            key=state.key.text,
            servers=tuple(f"https://{member.api}:{components.API_PORT}" for member in members),
            credentials=connection.Credentials(
                ca=made.roots.cluster.certificate, certificate=made.admin.certificate, key=made.admin.key
            ),
            system=system.SystemFacts(
                id=standing.id,
                name=wanted.name,
                account=state.key.account,
                region=state.key.region,
                zones=tuple(sorted(set(wanted.place.zones))),
                release=release,
                service_cidr=wanted.service_cidr,
                dns=str(ipaddress.ip_network(wanted.service_cidr)[_DNS]),
                vpc_cidr=standing.vpc_cidr,
                resolvers=await self._resolvers(state.key, wanted),
                images=await self._tools.images(),
                settings=((coredns.NODE_ZONES, str(zones)),),
            ),
            nodes=await self._nodes(state.key, groups, standing, made),
            refresh=await self._refresh(state.key),
        )

    async def _refresh(self, cluster: keys.Key) -> str:
        kept = await self._tools.store.get(insights.key(cluster.account, cluster.region, *cluster.names))
        if kept is None:
            return ""
        report = insights.read(kept.observation.body) if kept.observation else None
        return insights.open_refresh(insights.REPORTS.read(kept.desired.body), report)

    async def _resolvers(self, cluster: keys.Key, wanted: spec.Cluster) -> tuple[str, ...]:
        found = []
        for subnet in wanted.place.subnets:
            kept = await self._tools.store.get(network.subnet_key(cluster.account, cluster.region, subnet))
            if kept is not None:
                found.append(addresses.resolver(network.read_subnet(kept.desired.body).cidr))
        return tuple(found)

    async def _groups(self, cluster: keys.Key) -> list[tuple[facts.State, nodegroups.Nodegroup]]:
        below = keys.Prefix(cluster.account, cluster.region, nodegroups.KIND, cluster.names[0])
        states = (await interface.everything(self._tools.store, below)).items
        return [(state, nodegroups.read(state.desired.body)) for state in states]

    async def _nodes(
        self,
        cluster: keys.Key,
        groups: list[tuple[facts.State, nodegroups.Nodegroup]],
        standing: allocator.Allocation,
        made: cluster_secrets.SecretSet,
    ) -> dict[str, targets.ExpectedNode]:
        holders = await self._tools.allocations.addresses(cluster, standing.vpc)
        every = [group for _, group in groups]
        found = {}
        for state, group in groups:
            asked, leave, marked = (
                nodegroups.expected(group),
                nodegroups.leave(group, every),
                marks(node_metadata.of(group)),
            )
            for part in nodegroups.nodes(group.most):
                instance = names.instance(state.key, state.desired.created, part)
                host = naming.host(standing.id, instance)
                if host not in holders:
                    continue
                id, secret = trust.node_bootstrap(made.roots, instance)
                found[naming.node(holders[host], cluster.region)] = targets.ExpectedNode(
                    instance=instance,
                    address=holders[host],
                    token_id=id,
                    token_secret=secret,
                    nodegroup=state.key.text,
                    leave=None if part in asked else leave,
                    marks=marked,
                    near=(*self._near.get(host, ()), *self._near.get(_MACHINE, ())),
                )
        return found

    def _sources(self) -> tuple[reconciler.Source[str], ...]:
        """Beside the store: networks, and what is near its end."""
        return (
            reconciler.told(self._tools.mirror.changes, self._concerns),
            self._follow_machine,
        )

    async def _follow_machine(self, wake: reconciler.Wake[str]) -> None:
        async def look() -> None:
            seen = await machine.find(self._tools.store)
            if self._is_nearer(_MACHINE, seen.near if seen else ()):
                wake(ALL)

        async def take(change: facts.Change) -> None:
            if change.key == machine.KEY:
                await look()

        await following.follow(self._tools.store, "the machine", look, take)

    def _is_there(self, network: str) -> bool:
        seen = self._tools.mirror.seen.get(("networks", network))
        if seen is None or seen.phase != "ready":
            self._coming.add(network)
            return False
        return True

    def _concerns(self, id: str) -> tuple[str, ...]:
        """Whether a host or a network (`` for all) of which something was seen makes a difference."""
        expected = bool(self._coming) and (not id or id in self._coming)
        known = [host for kind, host in self._tools.mirror.seen if kind == "hosts"]
        nearer = False
        for host in [id] if id else {*known, *self._near} - {_MACHINE}:
            there = self._tools.mirror.seen.get(("hosts", host))
            nearer |= self._is_nearer(host, there.warnings if there else ())
        return (ALL,) if expected or nearer else ()

    def _is_nearer(self, host: str, warnings: tuple[str, ...]) -> bool:
        """Keeps what is near its end on a host; whether it is something else than before."""
        if warnings == self._near.get(host, ()):
            return False
        self._near[host] = warnings
        return True


def marks(given: node_metadata.NodeMetadata) -> targets.NodeMarks:
    """A nodegroup's labels and taints as the controllers are told of them."""
    taints = (targets.NodeTaint(key=key, value=value, effect=effect) for key, value, effect in given.taints)
    return targets.NodeMarks(labels=given.labels, taints=tuple(taints))
