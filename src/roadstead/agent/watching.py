"""What wakes the work besides requests: the kernel's news, s6's events, and time."""

from __future__ import annotations

import asyncio
import time

from roadstead.agent.fabric import fabric
from roadstead.agent.work import scene
from roadstead.messages import desired

_SETTLE = 0.2
"""Seconds of quiet before changes of links and rules are looked at, so that a burst is one look."""
_LOOK_ANYWAY = 30.0
"""Seconds until everything is compared even when the kernel said nothing."""
_BLOBS_EVERY = 600.0
_BLOBS_KEPT = 3600.0
"""Seconds that a blob which nothing names is kept: its desired state may be on its way."""


async def drift(now: scene.Scene) -> None:
    """Wake what differs from what was made: deleted links, flushed rules, lost routes."""
    changed = now.fabric.changed()
    while True:
        try:
            async with asyncio.timeout(_LOOK_ANYWAY):
                await changed.wait()
        except TimeoutError:
            pass
        else:
            await asyncio.sleep(_SETTLE)
        changed.clear()
        topology = now.wanted().topology()
        differs = await now.fabric.drift(topology)
        if fabric.MACHINE in differs:
            # There is no network whose work would mend it.
            await now.fabric.apply_publishes(topology)
        for (kind, id), difference in differs.items():
            record = now.records.get((kind, id))
            seen = now.journal.get((kind, id))
            if record is not None and seen is not None and seen.phase == "ready":
                now.log_drift(record, difference)
                now.wake(kind, id)


async def units(now: scene.Scene) -> None:
    """Wake each unit whose process started, became ready, or ended."""
    async for host, unit in now.units.events():
        now.wake("units", f"{host}/{unit}")


async def sweep_blobs(now: scene.Scene) -> None:
    """Forget bytes that nothing names any more."""
    while True:
        await asyncio.sleep(_BLOBS_EVERY)
        wanted = now.wanted()
        used = {digest for engine in wanted.engines.values() for digest in engine.components.values()}
        used |= {digest for unit in wanted.units.values() for digest in _blobs_of(unit)}
        now.blobs.sweep(used, time.time() - _BLOBS_KEPT)


def _blobs_of(unit: desired.Unit) -> list[str]:
    return [*unit.images, *(file.blob for file in unit.files.values() if file.blob is not None)]
