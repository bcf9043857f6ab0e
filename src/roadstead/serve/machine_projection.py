"""Keeps in the store what the agent's machine has, so that requests know what it can carry without asking."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Protocol

from roadstead.clusters.capacity import facts
from roadstead.contract.messages import machine
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import reconciler
from roadstead.store import interface

log = logging.getLogger(__name__)

_WHAT = "the machine"
_LOOK = 3.0
"""Seconds between two looks: what was just started shows in the machine's memory within them."""
_OLDEST = 30.0
"""Seconds after which also a small change is kept."""
_NOTICEABLE = 1 / 50
"""Of all memory, and of the disk."""


class MachineClient(Protocol):
    """What of the agent's client is needed."""

    async def machine(self) -> machine.Machine: ...


class News(Protocol):
    """See provider.mirror.AgentMirror."""

    def changes(self) -> AsyncIterator[str]: ...


class MachineProjection:
    """`run` until cancelled."""

    def __init__(self, store: interface.Store, client: MachineClient, mirror: News, clock: clocks.Clock) -> None:
        self._store = store
        self._client = client
        self._mirror = mirror
        self._clock = clock
        self._kept: tuple[float, machine.Machine] | None = None

    async def run(self) -> None:
        """At the beginning, every few seconds, and when the agent is back."""
        back = reconciler.told(self._mirror.changes, lambda id: () if id else (_WHAT,))
        sources = (reconciler.once(_WHAT), back)
        await reconciler.Reconciler(self._look, sources, log=log, clock=self._clock).run()

    async def _look(self, _: str) -> float:
        now = self._clock.now()
        try:
            seen = await self._client.machine()
            if self._kept is None or is_news(self._kept[1], seen, now - self._kept[0]):
                await facts.keep(self._store, seen)
                self._kept = (now, seen)
        except errors.Error as error:
            # That the agent is away is told of by the mirror; what was known last stays until it is back.
            log.debug("the machine was not looked at: %s", error.message)
            self._kept = None
        return _LOOK


def is_news(before: machine.Machine, now: machine.Machine, age: float) -> bool:
    """Whether what was kept `age` seconds ago is to be replaced. Pure."""
    if age >= _OLDEST:
        return now != before
    return (
        _fixed(now) != _fixed(before)
        or abs(now.available - before.available) > now.memory * _NOTICEABLE
        or abs(now.free - before.free) > now.disk * _NOTICEABLE
    )


def _fixed(of: machine.Machine) -> tuple[object, ...]:
    """What is kept at once when it changes."""
    return of.memory, of.cores, of.disk, of.routes, of.kernel, of.kept_memory, of.kept_disk, of.near
