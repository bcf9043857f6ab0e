"""The images that every node has from its start: made when the first cluster needs them, then lent to the agent."""

from __future__ import annotations

import asyncio
import logging

from roadstead.clusters import versions
from roadstead.clusters.hands import shelf as shelves
from roadstead.controllers import facts
from roadstead.core import errors
from roadstead.engine import images, install
from roadstead.engine import settings as engine_settings

_FOLDER = "images"

log = logging.getLogger(__name__)


class SystemImages:
    """`given`: where engines are looked for, and below whose cache the archives are kept."""

    def __init__(self, shelf: shelves.Shelf, given: engine_settings.Settings) -> None:
        self._shelf = shelf
        self._given = given
        self._lock = asyncio.Lock()
        self._made: tuple[images.SystemImage, ...] = ()

    async def run(self) -> None:
        """Make and lend them before the first nodegroup asks, if their engines are here."""
        try:
            for engine in ("pause", "coredns", "volumes"):
                if await asyncio.to_thread(install.find, engine, given=self._given) is None:
                    return
            await self.archives()
        except (errors.Error, OSError) as error:
            log.info("the nodes' images are not made before they are needed: %s", error)

    async def names(self) -> facts.Images:
        """As nodes have them. Raises Failed or NotFound for an engine that cannot be had."""
        named = {image.engine: image.name for image in await self._all()}
        return facts.Images(coredns=named["coredns"], provisioner=named["volumes"])

    async def pause(self) -> str:
        """The name of the image that holds a pod's namespaces."""
        return next(image.name for image in await self._all() if image.engine == "pause")

    async def archives(self) -> tuple[str, ...]:
        """The digests of the archives that have them; the agent has those now."""
        path = await asyncio.to_thread(images.write_system, await self._all(), self._given.cache / _FOLDER)
        return (await self._shelf.blob(path),)

    async def _all(self) -> tuple[images.SystemImage, ...]:
        async with self._lock:
            if not self._made:
                release = versions.find(versions.DEFAULT).patch
                self._made = await asyncio.to_thread(images.system_images, release, given=self._given)
            return self._made
