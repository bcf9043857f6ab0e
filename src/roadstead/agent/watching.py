"""What wakes the work besides requests: the kernel's news, s6's events, and time."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable

from roadstead.agent.ceilings import near
from roadstead.agent.fabric import fabric
from roadstead.agent.kinds import context, kind, networks

log = logging.getLogger("roadstead.agent")

_MACHINE = ""
"""In the place of a host's id."""
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
        topology = networks.topology(now.wanted())
        differs = await now.fabric.drift(topology)
        if fabric.MACHINE in differs:
            # There is no network whose work would mend it.
            await now.fabric.apply_publishes(topology)
        for key, difference in differs.items():
            record, seen = now.records.get(key), now.observations.get(key)
            if record is not None and seen is not None and seen.phase == "ready":
                now.log_drift(record, difference)
                now.wake(*key)


async def units(now: context.StepContext) -> None:
    """Wake each unit whose process started, became ready, or ended."""
    async for host, unit in now.units.events():
        now.wake("units", f"{host}/{unit}")


class Ceilings:
    """What is near its end. The kernel tells of what is at its end, which is too late.

    `kept`: bytes of the disk that are to stay free.
    """

    def __init__(self, kept: int) -> None:
        self.machine: tuple[str, ...] = ()
        """Of all hosts together and of the disk, in sentences; those of a host are in its observation."""
        self._kept = kept
        self._near: dict[str, tuple[near.What, ...]] = {}
        self._short = False

    async def watch(self, now: context.StepContext) -> None:
        """Until it is cancelled: looks in turns, since the kernel announces nothing before the end."""
        while True:
            up = [id for id in now.records.of_kind("hosts") if now.phase("hosts", id) == "ready"]
            uses, free = await asyncio.to_thread(_uses, now, up)
            self._near = {id: near.near(of, self._near.get(id, ())) for id, of in uses.items()}
            self._short = near.short(free, self._kept, before=self._short)
            for id in up:
                now.warn(("hosts", id), tuple(near.of_host(what, uses[id][what].limit) for what in self._near[id]))
            for id in now.records.of_kind("hosts"):
                # Of one that does not run any more nothing is near its end.
                if id not in uses:
                    now.warn(("hosts", id), ())
            all_ = [near.of_all(what, uses[_MACHINE][what].limit) for what in self._near[_MACHINE]]
            self._tell((*all_, *([near.of_disk(self._kept)] if self._short else [])))
            await asyncio.sleep(_LOOK_AT_CEILINGS)

    def _tell(self, machine: tuple[str, ...]) -> None:
        for sentence in set(machine) - set(self.machine):
            log.warning("%s", sentence)
        self.machine = machine


def _uses(now: context.StepContext, hosts: Iterable[str]) -> tuple[dict[str, dict[near.What, near.Use]], int]:
    """By host, and of all together; and how many bytes of the disk are free."""
    disk = os.statvfs(now.instance.state)
    for id in hosts:
        now.hosts.bound_pods(id)
    uses = {id: now.hosts.usage(id) for id in hosts} | {_MACHINE: now.hosts.usage()}
    return uses, disk.f_bavail * disk.f_frsize


async def sweep_blobs(now: context.StepContext) -> None:
    """Forget bytes that nothing names any more."""
    while True:
        await asyncio.sleep(_BLOBS_EVERY)
        now.blobs.sweep(kind.blobs(now.kinds, now.wanted()), time.time() - _BLOBS_KEPT)
