"""What wakes the work besides requests: the kernel's news, s6's events, and time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable

from roadstead.agent.ceilings import near
from roadstead.agent.fabric import fabric
from roadstead.agent.kinds import context
from roadstead.contract.messages import desired

_SETTLE = 0.2
"""Seconds of quiet before changes of links and rules are looked at, so that a burst is one look."""
_LOOK_ANYWAY = 30.0
"""Seconds until everything is compared even when the kernel said nothing."""
_LOOK_AT_CEILINGS = 5.0
_BLOBS_EVERY = 600.0
_BLOBS_KEPT = 3600.0
"""Seconds that a blob which nothing names is kept: its desired state may be on its way."""


async def drift(now: context.StepContext) -> None:
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
            seen = now.observations.get((kind, id))
            if record is not None and seen is not None and seen.phase == "ready":
                now.log_drift(record, difference)
                now.wake(kind, id)


async def units(now: context.StepContext) -> None:
    """Wake each unit whose process started, became ready, or ended."""
    async for host, unit in now.units.events():
        now.wake("units", f"{host}/{unit}")


async def ceilings(now: context.StepContext, kept: int) -> None:
    """Tell what is near its end. The kernel tells of what is at its end, which is too late.

    `kept`: bytes of the disk that are to stay free.
    """
    was: dict[str, tuple[near.What, ...]] = {}
    short = False
    while True:
        up = [id for id in now.records.of_kind("hosts") if now.phase("hosts", id) == "ready"]
        uses, free = await asyncio.to_thread(_uses, now, up)
        was = {id: near.near(of, was.get(id, ())) for id, of in uses.items()}
        short = near.short(free, kept, before=short)
        for id in {*up, *now.near} - {context.MACHINE}:
            # Of one that does not run any more nothing is near its end.
            now.warn(id, tuple(near.of_host(what, uses[id][what].limit) for what in was.get(id, ())))
        all_ = tuple(near.of_all(what, uses[context.MACHINE][what].limit) for what in was[context.MACHINE])
        now.warn(context.MACHINE, (*all_, *([near.of_disk(kept)] if short else [])))
        await asyncio.sleep(_LOOK_AT_CEILINGS)


def _uses(now: context.StepContext, hosts: Iterable[str]) -> tuple[dict[str, dict[near.What, near.Use]], int]:
    """By host, and of all together; and how many bytes of the disk are free."""
    disk = os.statvfs(now.instance.state)
    for id in hosts:
        now.hosts.bound_pods(id)
    uses = {id: now.hosts.usage(id) for id in hosts} | {context.MACHINE: now.hosts.usage()}
    return uses, disk.f_bavail * disk.f_frsize


async def sweep_blobs(now: context.StepContext) -> None:
    """Forget bytes that nothing names any more."""
    while True:
        await asyncio.sleep(_BLOBS_EVERY)
        wanted = now.wanted()
        used = {digest for engine in wanted.engines.values() for digest in engine.components.values()}
        used |= {digest for unit in wanted.units.values() for digest in _blobs_of(unit)}
        now.blobs.sweep(used, time.time() - _BLOBS_KEPT)


def _blobs_of(unit: desired.Unit) -> list[str]:
    return [*unit.images, *(file.blob for file in unit.files.values() if file.blob is not None)]
