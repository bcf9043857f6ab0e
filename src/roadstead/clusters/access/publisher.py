"""The task that keeps porter's snapshot as the store has it: written at once, whole, for porter alone.

What is written says nothing of observations, so only desired states and secrets wake it; some changes at a time are one
snapshot. What cannot be read or written is said and tried again: porter goes on with the last one meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from roadstead.clusters.access import entries, publish
from roadstead.contract.messages import porter
from roadstead.core import concurrency, errors
from roadstead.core.files import atomic
from roadstead.identity import users
from roadstead.network import spec as network
from roadstead.store import facts, interface, keys

log = logging.getLogger(__name__)

TOGETHER = 0.03
"""Seconds from a change to the reading: what comes together is written together."""
AGAIN = 1.0
"""Seconds until what failed is tried again."""
ANYWAY = 3600.0
"""Seconds after which the days are looked at again."""
_TELLING = frozenset({facts.ChangedPart.DESIRED, facts.ChangedPart.SECRET})

Endpoints = Callable[[], Awaitable[Mapping[keys.Key, publish.WebhookEndpoint]]]
"""The endpoints of all clusters that have one, by the clusters' keys."""


async def run(
    store: interface.Store,
    path: Path,
    more: Endpoints,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> None:
    """Write the snapshot to `path` now, after each change and each day, until cancelled."""
    changed = asyncio.Event()
    changed.set()
    await concurrency.together(_follow(store, changed), _write_all(store, path, more, now, changed))


async def _follow(store: interface.Store, changed: asyncio.Event) -> None:
    while True:
        with contextlib.suppress(errors.Gone):
            async for changes in store.watch(store.revision):
                if any(change.part in _TELLING for change in changes.changes):
                    changed.set()
        # Too slow to be told of every change: there were some.
        changed.set()


async def _write_all(
    store: interface.Store, path: Path, more: Endpoints, now: Callable[[], dt.datetime], changed: asyncio.Event
) -> None:
    derived: publish.Derived = {}
    written: porter.Snapshot | None = None
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANYWAY):
                await changed.wait()
        await asyncio.sleep(TOGETHER)
        changed.clear()
        try:
            read = await _read(store)
            made = publish.snapshot(read, await more(), now().astimezone(dt.UTC).date(), derived)
            if written is None or made != msgspec.structs.replace(written, revision=made.revision):
                # Beside the loop: it waits for the disk.
                await asyncio.to_thread(write, path, made)
                written = made
                log.info("the snapshot for porter was written")
        except (errors.Error, OSError):
            log.exception("the snapshot for porter could not be written; porter goes on with the last one")
            await asyncio.sleep(AGAIN)
            changed.set()


def write(path: Path, snapshot: porter.Snapshot) -> None:
    """In one step, for its owner and the group of the folder, which is porter's: 0640. Raises OSError."""
    atomic.write(path, porter.written(snapshot), 0o640)


async def _read(store: interface.Store) -> publish.StoreContents:
    """All of it, as it is now. What changes while it is read wakes the task once more."""
    revision = store.revision
    known = [await users.whose(store, each.key.names[0]) for each in await _all(store, users.ACCESS_KEY)]
    return publish.StoreContents(
        revision=revision,
        entries=await _all(store, entries.KIND),
        known=tuple(one for one in known if one is not None),
        vpcs=await _all(store, network.VPC),
        subnets=await _all(store, network.SUBNET),
    )


async def _all(store: interface.Store, kind: str) -> tuple[facts.Desired, ...]:
    """Of a kind, over all accounts and regions."""
    return tuple(state.desired for state in (await interface.everything(store, kind=kind)).items)
