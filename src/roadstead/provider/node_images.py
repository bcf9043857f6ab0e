"""The images that every node has, on nodes that came before them: imported by jobs of the agent, once per node.

A new node has them before its kubelet is started (`images` of that unit). What a newer Roadstead brings is imported
here, before anything in the cluster may ask for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from roadstead.agent_client import asynchronous
from roadstead.contract import layout
from roadstead.contract.messages import desired, jobs
from roadstead.core import clock as clocks
from roadstead.core import concurrency, errors
from roadstead.core.loops import complaints
from roadstead.core.loops import loop as loops
from roadstead.provider import engine_supply
from roadstead.provider import mirror as mirrors

log = logging.getLogger(__name__)

_LOOK = 0.1
"""Seconds between two looks at a job that runs."""
_COMING = 2.0
"""Seconds between two looks at images whose engines are fetched or built."""
_UNIT, _JOINS = layout.CONTAINERD, "kubelet"


class NodeImages:
    """`run` until cancelled. `archives`: digests of the images' archives, which the agent has from then on; raises
    supply.Coming until there are any."""

    def __init__(
        self,
        client: asynchronous.AsyncClient,
        mirror: mirrors.AgentMirror,
        clock: clocks.Clock,
        archives: Callable[[], Awaitable[tuple[str, ...]]],
    ) -> None:
        self._client = client
        self._mirror = mirror
        self._archives = archives
        self._complaints: complaints.Complaints[str] = complaints.Complaints(log, "the images of {}".format)
        self._loop = loops.Loop(self._work, failed=self._complaints.failed, clock=clock)
        self._stocked: set[str] = set()
        self._queues: list[asyncio.Queue[str]] = []

    def has(self, host: str) -> bool:
        return host in self._stocked

    async def run(self) -> None:
        await concurrency.together(self._loop.run(), self._follow())

    async def changes(self) -> AsyncIterator[str]:
        """Hosts that have come to have all images, for ever."""
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.remove(queue)

    async def _work(self, host: str) -> float | None:
        unit = self._mirror.wanted.get(("units", f"{host}/{_UNIT}"))
        kept = self._mirror.wanted.get(("hosts", host))
        if unit is None or kept is None or kept.deleting or not isinstance(unit.spec, desired.Unit):
            self._stocked.discard(host)
            self._complaints.forget(host)
            return None
        seen = self._mirror.seen.get(("units", f"{host}/{_UNIT}"))
        if host in self._stocked or seen is None or seen.phase != "ready":
            return None
        engine, life = unit.spec.engine, kept.since
        try:
            archives = await self._archives()
        except engine_supply.Coming as coming:
            log.debug("the images of %s: %s", host, coming.message)
            return _COMING
        results = []
        for archive in self._lacking(host, archives):
            job = jobs.ImageImport(host=host, engine=engine, archive=archive)
            # A node that comes again under its name has an empty disk; what was done for the earlier one is kept.
            results.append(await self._client.start_job(f"{host}.{life}.{archive[7:19]}", job))
        failed = [result for result in results if result.state == "failed"]
        if failed:
            raise errors.Failed(f"an image could not be imported: {failed[0].reason}")
        if any(result.state == "running" for result in results):
            return _LOOK
        self._stocked.add(host)
        for queue in self._queues:
            queue.put_nowait(host)
        return None

    def _lacking(self, host: str, archives: tuple[str, ...]) -> list[str]:
        """What the node did not get before its kubelet was started: those of a newer release."""
        kubelet = self._mirror.wanted.get(("units", f"{host}/{_JOINS}"))
        had = kubelet.spec.images if kubelet is not None and isinstance(kubelet.spec, desired.Unit) else ()
        return [archive for archive in archives if archive not in had]

    async def _follow(self) -> None:
        # What was seen before this listened.
        self._wake("")
        async for id in self._mirror.changes():
            self._wake(id)

    def _wake(self, id: str) -> None:
        """A host, or all of them."""
        hosts = [id] if id else [host for kind, host in self._mirror.wanted if kind == "hosts"]
        for host in {*hosts, *(() if id else self._stocked)}:
            if host in self._stocked or ("units", f"{host}/{_UNIT}") in self._mirror.wanted:
                self._loop.wake(host)
