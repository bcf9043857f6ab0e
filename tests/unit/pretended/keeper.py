"""The reconciler: what is asked for is seen."""

from __future__ import annotations

import logging

from tests.unit.pretended import spec

from roadstead.aws import registry
from roadstead.core.loops import reconciler
from roadstead.store import following, keys, writes


def made(given: registry.ReconcilerFacts) -> registry.Reconciler:
    async def work(key: keys.Key) -> None:
        state = await given.store.get(key)
        if state is not None:
            tags = spec.NAMESPACES.read(state.desired.body).tags
            await given.store.commit(writes.Observe(key, f"seen with {dict(tags)}".encode(), state.desired.generation))

    source = following.resources(given.store, {spec.NAMESPACES.name})
    return reconciler.Reconciler(work, (source,), log=logging.getLogger(__name__), clock=given.clock)
