"""The task that keeps porter's sections as the store has them: each written at once, whole, for porter alone.

A change of the store wakes the sections that it concerns; some changes at a time are one file. What cannot be read or
written is said and tried again: porter goes on with the last one meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from roadstead.contract.messages.sections import former, section
from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.core.loops import loop, reconciler
from roadstead.serve.sections import source
from roadstead.store import facts, following, interface

log = logging.getLogger(__name__)

TOGETHER = 0.03
"""Seconds from a change to the reading: what comes together is written together."""


class Publisher:
    """`run` keeps the sections in `folder` until cancelled."""

    def __init__(self, store: interface.Store, folder: Path, sources: Sequence[source.Source]) -> None:
        self._store = store
        self._folder = folder
        self._sources = {each.of.name: each for each in sources}
        self._written: dict[str, section.Body] = {}
        self._reconciler = reconciler.Reconciler(
            self._one, (self._follow,), log=log, named=_named, backoff=loop.Backoff(first=0.5, most=10.0)
        )

    async def run(self) -> None:
        await self._reconciler.run()

    async def _follow(self, wake: reconciler.Wake[str]) -> None:
        async def look() -> None:
            for name in self._sources:
                wake(name)

        async def take(change: facts.Change) -> None:
            for name, each in self._sources.items():
                if each.concerns(change):
                    self._reconciler.wake(name, TOGETHER)

        await following.follow(self._store, "what porter is told", look, take)

    async def _one(self, name: str) -> float | None:
        """Write a section if it is another than the one that is there. Raises core.errors."""
        wanted = self._sources[name]
        made = await wanted.made(self._store.revision)
        before = self._written.get(name)
        if before is None or made != msgspec.structs.replace(before, revision=made.revision):
            # Beside the loop: it waits for the disk.
            await asyncio.to_thread(write, self._folder, wanted.of, made)
            self._written[name] = made
            log.info("the section %s for porter was written, of revision %d", name, made.revision)
            if before is None and self._written.keys() == self._sources.keys():
                await asyncio.to_thread(_clear, self._folder)
        return wanted.every


def _named(name: str) -> str:
    return f"the section {name} for porter, which has the last one"


def write(folder: Path, of: section.Section[section.Content], content: section.Content) -> None:
    """In one step, for its owner and the group of the folder, which is porter's: 0640. Raises Failed."""
    try:
        atomic.write(folder / of.file, section.written(content), 0o640)
    except OSError as error:
        raise errors.Failed(f"{folder / of.file} cannot be written: {error.strerror}") from error


def _clear(folder: Path) -> None:
    """What an earlier release has left counts no more, now that all sections are there. Raises Failed."""
    try:
        (folder / former.FILE).unlink(missing_ok=True)
    except OSError as error:
        raise errors.Failed(f"{folder / former.FILE} cannot be removed: {error.strerror}") from error
