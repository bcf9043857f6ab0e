"""The images that every node has from its start: made when the first cluster needs them, then lent to the agent."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from roadstead.clusters import versions
from roadstead.controllers.runtime import facts as system
from roadstead.core import errors
from roadstead.engine import images, install
from roadstead.engine import settings as engine_settings
from roadstead.provider import engine_supply

_ENGINES = ("pause", "coredns", "volumes")
"""What they are made of."""

log = logging.getLogger(__name__)


class ImageSupply(Protocol):
    """See provider.engine_supply.EngineSupply."""

    async def here(self, spec: str) -> None: ...

    async def blob(self, path: Path) -> str: ...


class SystemImages:
    """`given`: where engines are looked for. `folder`: where the archives are kept.

    Nobody waits for an engine that is fetched or built: all that is asked here raises
    `engine_supply.Coming` until it is there, and `engine_supply.Unobtainable` when it cannot be had.
    """

    def __init__(self, supply: ImageSupply, given: engine_settings.EngineSettings, folder: Path) -> None:
        self._supply = supply
        self._given = given
        self._folder = folder
        self._lock = asyncio.Lock()
        self._made: tuple[images.SystemImage, ...] = ()

    async def run(self) -> None:
        """Make and lend them before the first nodegroup asks, if their engines are here."""
        try:
            for engine in _ENGINES:
                if await asyncio.to_thread(install.find, engine, given=self._given) is None:
                    return
            async with self._lock:
                await self._make()
            await self.archives()
        except (errors.Error, OSError) as error:
            log.info("the nodes' images are not made before they are needed: %s", error)

    async def names(self) -> system.Images:
        """As nodes have them."""
        named = {image.engine: image.name for image in await self._all()}
        return system.Images(coredns=named["coredns"], provisioner=named["volumes"])

    async def pause(self) -> str:
        """The name of the image that holds a pod's namespaces."""
        return next(image.name for image in await self._all() if image.engine == "pause")

    async def archives(self) -> tuple[str, ...]:
        """The digests of the archives that have them; the agent has those now."""
        path = await asyncio.to_thread(images.write_system, await self._all(), self._folder)
        return (await self._supply.blob(path),)

    async def _all(self) -> tuple[images.SystemImage, ...]:
        async with self._lock:
            if not self._made:
                await self._engines()
                await self._make()
            return self._made

    async def _make(self) -> None:
        """Of engines that are here."""
        release = versions.find(versions.DEFAULT).patch
        self._made = await asyncio.to_thread(images.system_images, release, self._found)

    def _found(self, engine: str) -> install.Installed:
        found = install.find(engine, given=self._given)
        if found is None:
            raise errors.Failed(f"the engine {engine} has gone from {self._given.cache}")
        return found

    async def _engines(self) -> None:
        """All are asked for, so that they come side by side."""
        late: engine_supply.Coming | None = None
        for engine in _ENGINES:
            try:
                await self._supply.here(engine)
            except engine_supply.Coming as coming:
                late = late or coming
        if late is not None:
            raise late
