"""The stores of one instance: `STATE/stores/KEY`, each whole or not there.

Disks lead to them, so each host has a record of the store that its disk was filled from, before it is filled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.agent.hosts import folders
from roadstead.agent.stores import copying, making, sharing
from roadstead.core import errors, instance
from roadstead.core.files import atomic

log = logging.getLogger(__name__)

Make = Callable[[making.Ingredients, Path, Path], Awaitable[None]]

PROGRAMS = ("containerd", "ctr")
"""Components that an engine has of which a store can be made."""
_FORM = 2
"""Counts up when stores are made in another way, so that no old one is taken for a new one."""
_SPARE = 2
"""Stores that are kept though nothing that is wanted would use them: clusters come and go."""
_PAUSE = 600.0
"""Seconds until what could not be made is tried again."""
_NEW = ".new"


@dataclass(frozen=True)
class Asked:
    """What decides what is in a store: components of an engine, and archives of images, by their digests."""

    components: Mapping[str, str]
    images: frozenset[str]

    @property
    def key(self) -> str:
        """The name of its folder: 16 digits in hexadecimal, and others when stores are made in another way."""
        facts = [_FORM, sorted(self.components.items()), sorted(self.images)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass
class Stores:
    """`blob` is where the bytes of a digest are. What an agent before this one left half made is removed first."""

    places: instance.Instance
    blob: Callable[[str], Path]
    make: Make = making.make
    clock: Callable[[], float] = time.monotonic
    _making: dict[str, asyncio.Task[bool]] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    """By key of what could not be made."""

    def __post_init__(self) -> None:
        folders.make_at(self._folder, mode=0o700)
        for left in self._folder.glob(f"*{_NEW}"):
            folders.remove(left)
        folders.remove(self._scratch)

    @property
    def _folder(self) -> Path:
        return self.places.stores

    @property
    def _scratch(self) -> Path:
        return self.places.run / "stores"

    async def get(self, asked: Asked, used: Callable[[], Collection[str]]) -> Path | None:
        """The store, made when it is not there; None when it could not be made, which is in the log.

        One making serves all who ask meanwhile. After one, stores go that are not `used` (their keys) and that no disk
        leads to, but for the newest.
        """
        key = asked.key
        place = self._folder / key
        if place.is_dir():
            return place
        if self.clock() < self._not_before.get(key, 0.0):
            return None
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(self._made(asked, used))
            task.add_done_callback(lambda _: self._making.pop(key))
        return place if await asyncio.shield(task) else None

    async def fill(self, store: Path, host: instance.HostPlaces) -> bool:
        """Fills the host's disk, see copying.fill; the store stays for as long as there is a record of it."""
        if not copying.is_empty(host.disk):
            # What is on it may lead to another store, of which the record must stay.
            return False
        await asyncio.to_thread(atomic.write, host.store, store.name.encode(), 0o600)
        return await copying.fill(store / sharing.DISK, host.disk)

    def led_to(self) -> frozenset[str]:
        """The keys of the stores that disks of hosts lead to."""
        keys = set()
        for file in (self.places.state / "hosts").glob("*/store"):
            # Its host may be removed meanwhile.
            with suppress(FileNotFoundError):
                keys.add(file.read_text())
        return frozenset(keys)

    async def _made(self, asked: Asked, used: Callable[[], Collection[str]]) -> bool:
        began = self.clock()
        key = asked.key
        try:
            await self._make(asked)
        except (errors.Error, OSError) as error:
            self._not_before[key] = self.clock() + _PAUSE
            log.warning("store %s cannot be made, nodes import for themselves: %s", key, error)
            return False
        except Exception:
            self._not_before[key] = self.clock() + _PAUSE
            log.exception("store %s cannot be made, nodes import for themselves", key)
            return False
        log.info("store %s made in %.1f s", key, self.clock() - began)
        await asyncio.to_thread(self._sweep, {key, *used()})
        return True

    async def _make(self, asked: Asked) -> None:
        containerd, ctr = (self.blob(asked.components[name]) for name in PROGRAMS)
        archives = tuple(self.blob(digest) for digest in sorted(asked.images))
        new, scratch = self._folder / f"{asked.key}{_NEW}", self._scratch / asked.key
        try:
            for folder in (new, new / sharing.ALL, scratch):
                folders.make_at(folder, mode=0o700)
            await self.make(making.Ingredients(containerd, ctr, archives), new / sharing.ALL, scratch)
            await sharing.lay_out(new, asked.key)
        except BaseException:
            folders.remove(new)
            raise
        finally:
            folders.remove(scratch)
        # Beyond the block: where this is cancelled the thread goes on, and must not name what is being removed.
        await asyncio.to_thread(_settle, new, self._folder / asked.key)

    def _sweep(self, used: Collection[str]) -> None:
        """Removes what nothing uses but the newest few."""
        used = {*used, *self.led_to()}
        kept = [place for place in self._folder.iterdir() if place.suffix != _NEW and place.name not in used]
        kept.sort(key=lambda place: place.stat().st_mtime, reverse=True)
        for place in kept[_SPARE:]:
            # First out of sight: half a store must never have its name.
            going = place.with_suffix(_NEW)
            place.rename(going)
            folders.remove(going)


def _settle(new: Path, place: Path) -> None:
    """Gives what was made its name, when all of it is on the disk: a power cut must leave no half store."""
    try:
        atomic.settle(new)
        new.rename(place)
    except OSError:
        folders.remove(new)
        raise
    atomic.sync(place.parent)
