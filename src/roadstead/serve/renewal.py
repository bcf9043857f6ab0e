"""Clusters that stand follow what changes outside of them: the machine's address, registries, the age of certificates,
and what this release gives API servers beside what an earlier one did.

Who is concerned has its desired state put anew: the same body under a new generation, so that the reconciler tells all
of its parts again, and the provider renders them as they are to be now. What is changed for it is in the same
transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from roadstead.clusters import events, nodegroups, spec
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.clusters.components import registries
from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes

log = logging.getLogger(__name__)

REGISTRIES = keys.Key("000000000000", keys.GLOBAL, "registries", "main")
"""The fingerprint of the settings of registries that all nodes were drawn with last; of no account and no region."""
_LOOK = 3600.0
"""Seconds between two looks at certificates."""
_TRIES = 5


@dataclass(frozen=True)
class RenewalTools:
    """`now`: the time that certificates are made at."""

    store: interface.Store
    allocations: allocator.Allocator
    secrets: cluster_secrets.ClusterSecrets
    registries: registries.Registries
    now: Callable[[], dt.datetime]


class Renewal:
    """`once` before anything else works; `run` until cancelled, for certificates."""

    def __init__(self, tools: RenewalTools) -> None:
        self._tools = tools

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            await self.once()

    async def once(self) -> None:
        """A cluster that cannot follow stays as it is, and is tried again: it is no reason to serve none."""
        for state in (await interface.everything(self._tools.store, kind=spec.KIND)).items:
            try:
                await _when_quick(functools.partial(self._cluster, state.key))
            except errors.Error as error:
                log.warning("%s does not follow what changed: %s", state.key, error.message)
        await self._registries()

    async def _cluster(self, key: keys.Key) -> None:
        """Raises Conflict when its owner was quicker."""
        state = await self._tools.store.get(key)
        if state is None:
            return
        tools, wanted = self._tools, spec.read(state.desired.body)
        standing = await tools.allocations.find(state.key)
        if standing is None or wanted.deleting:
            return
        now, after = tools.now(), await tools.allocations.moved(standing)
        at = allocator.topology(wanted, key, after)
        made = await tools.secrets.find(state.key)
        old = made is not None and await asyncio.to_thread(cluster_secrets.due, made, now)
        news: list[events.Event] = []
        if after != standing:
            news.append(_moved(standing, after))
        if old:
            news.append(events.Event("NORMAL", "CertificatesRenewed", "certificates are made anew before they end"))
        if made is not None and cluster_secrets.completed(made, at) is not made:
            news.append(events.Event("NORMAL", "FilesChanged", "API servers are given the files of this release"))
        if not news:
            return
        changes: list[writes.Write] = [
            writes.Put(allocator.of_cluster(key), allocator.written(after), writes.Present())
        ]
        changes += [_anew(state), *(events.append(key, event, now.timestamp()) for event in news)]
        if made is None:
            await tools.store.commit(*changes)
            return
        if old:
            # The kubeconfig of kube-proxies is of the cluster's.
            changes += [_anew(group) for group in await self._groups(key)]
            made = await asyncio.to_thread(cluster_secrets.renewed, made, at, now)
        elif after != standing:
            made = await asyncio.to_thread(cluster_secrets.readdressed, made, at, now)
        await tools.secrets.replace(key, cluster_secrets.completed(made, at), *changes)
        log.info("%s: %s", key, "; ".join(event.message for event in news))

    async def _groups(self, cluster: keys.Key) -> list[facts.State]:
        """Of a cluster, those that are to stay."""
        prefix = keys.Prefix(cluster.account, cluster.region, nodegroups.KIND, cluster.names[0])
        states = (await interface.everything(self._tools.store, prefix)).items
        return [each for each in states if not nodegroups.read(each.desired.body).deleting]

    async def _registries(self) -> None:
        """All nodegroups, when the settings are others than those that they were drawn with."""
        store, now = self._tools.store, _fingerprint(self._tools.registries)
        kept = await store.get(REGISTRIES)
        before = _fingerprint(registries.Registries()) if kept is None else kept.desired.body
        if now == before:
            return
        for group in (await interface.everything(store, kind=nodegroups.KIND)).items:
            await _when_quick(functools.partial(self._other_registries, group.key))
        await store.put(REGISTRIES, now)

    async def _other_registries(self, key: keys.Key) -> None:
        """Raises Conflict when the nodegroup's owner was quicker."""
        state = await self._tools.store.get(key)
        if state is None or nodegroups.read(state.desired.body).deleting:
            return
        message = "registries have other settings: containerd of each node is restarted, containers go on"
        event = events.Event("NORMAL", "RegistriesChanged", message)
        await self._tools.store.commit(_anew(state), events.append(key, event, self._tools.now().timestamp()))


async def _when_quick(change: Callable[[], Awaitable[None]]) -> None:
    """Tried again while somebody else changes the same: each of them does so once in a while. Raises Conflict."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(errors.Conflict, errors.NotFound):
            return await change()
    return await change()


def _anew(state: facts.State) -> writes.Put:
    """The same under a new generation."""
    return writes.Put(state.key, state.desired.body, writes.At(state.desired.generation))


def _moved(before: allocator.Allocation, now: allocator.Allocation) -> events.Event:
    facts = {"before": before.endpoint, "endpoint": now.endpoint}
    return events.Event(
        "NORMAL", "EndpointMoved", f"the endpoint is {now.endpoint} now, no more {before.endpoint}", facts
    )


def _fingerprint(of: registries.Registries) -> bytes:
    return hashlib.sha256(registries.written(of)).hexdigest().encode()
