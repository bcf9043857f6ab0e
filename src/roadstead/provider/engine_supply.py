"""The engines at the agent: asked of the supplier or found when a cluster first needs them, then lent to all.

Nobody waits for one that is fetched or built, which may take many minutes: a cluster that is deleted meanwhile goes.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from roadstead import engine
from roadstead.agent_client import asynchronous
from roadstead.clusters import versions
from roadstead.clusters.components import facts
from roadstead.contract.messages import desired
from roadstead.core import clock as clocks
from roadstead.core import concurrency, errors
from roadstead.core.loops import reconciler
from roadstead.engine import settings as engine_settings
from roadstead.provider import mirror as mirrors
from roadstead.provider import supplier_client

log = logging.getLogger(__name__)

_RUNC = "runc"
_AT_ONCE = 64
"""Engines that are waited for at once: all that there are. Who gets them has an order of its own."""
_TOLD_FOR = 60.0
"""Seconds for which who asks is told that an engine could not be had; then it is tried again."""


class Coming(errors.Busy):
    """An engine is being fetched or built; ask again."""


class Unobtainable(errors.Failed):
    """An engine could not be fetched or built."""


class EngineSupply:
    """`run` until cancelled. `given`: where engines are looked for. `supplier`: the socket of who gets and builds
    them; None: that is done here, in the same cache."""

    def __init__(
        self,
        client: asynchronous.AsyncClient,
        mirror: mirrors.AgentMirror,
        given: engine_settings.EngineSettings,
        supplier: Path | None = None,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._client = client
        self._mirror = mirror
        self._given = given
        self._supplier = supplier
        self._clock = clock or clocks.SystemClock()
        self._locks: dict[str, asyncio.Lock] = {}
        self._found: dict[str, engine.Installed] = {}
        """What was compared with its manifest once: to read a release takes as long as to make a host."""
        self._digests: dict[Path, str] = {}
        self._getting: reconciler.Reconciler[str] = reconciler.Reconciler(
            self._get, (), log=log, named="the engine {}".format, clock=self._clock, at_once=_AT_ONCE
        )
        self._coming: set[str] = set()
        self._without_runc = False
        """Whether it was not to be had when it was asked for last."""
        self._troubles: dict[str, tuple[float, Unobtainable]] = {}

    async def run(self) -> None:
        # What was asked of a run that failed is asked for again.
        self._coming.clear()
        await concurrency.together(self._getting.run(), self._lend())

    async def _lend(self) -> None:
        """Lend what a cluster of the default version needs, if it is here, before the first asks for it."""
        await self._mirror.ready.wait()
        release = versions.find(versions.DEFAULT).patch
        for spec in (release, "etcd", "containerd", "cni", _RUNC):
            try:
                found = await asyncio.to_thread(engine.find, spec, given=self._given)
                if found is not None:
                    self._found[spec] = found
                    await self.id(spec)
            except (errors.Error, OSError) as error:
                log.info("the engine %s is not lent before it is needed: %s", spec, error)
        if {release, "etcd"} <= self._found.keys() and not await self.seed(release):
            self._getting.wake(seed_of(release))

    async def engines(self, release: str) -> facts.Engines:
        """Those of a cluster of that release of Kubernetes. Raises what `id` raises."""
        async with concurrency.tasks() as tasks:
            ids = [tasks.create_task(self.id(spec)) for spec in (release, "etcd", "containerd")]
            runc = tasks.create_task(self._runc())
        kubernetes, etcd, containerd = (id.result() for id in ids)
        return facts.Engines(kubernetes=kubernetes, etcd=etcd, containerd=containerd, runc=runc.result())

    async def _runc(self) -> str:
        """The id of our runc; empty while it is not to be had: the machine's does then.

        Who asks for it waits the first time alone. It is tried again, as any engine, and nobody waits for that.
        """
        try:
            id = await self.id(_RUNC)
        except Coming:
            if self._without_runc:
                return ""
            raise
        except Unobtainable as error:
            if not self._without_runc:
                log.warning("hosts are made by the machine's own runc until ours is to be had: %s", error)
            self._without_runc = True
            return ""
        if self._without_runc:
            log.info("hosts are made by the engine %s from now on", id)
        self._without_runc = False
        return id

    async def id(self, spec: str) -> str:
        """The id at the agent of an engine (`1.37.2`, `etcd`), which is there from then on.

        Raises Coming while it is fetched or built, Unobtainable when it cannot be.
        """
        async with self._locks.setdefault(spec, asyncio.Lock()):
            installed = self._found.get(spec) or await self._find(spec)
            components = installed.digests
            wanted = desired.Engine(components=dict(components))
            generation = self._mirror.next_generation(("engines", installed.id), wanted)
            if generation is not None:
                for name, path in installed.components.items():
                    await self._client.keep_blob(path, components[name])
                await self._mirror.put({"engines": {installed.id: (generation, wanted)}})
            return installed.id

    async def seed(self, release: str) -> bytes:
        """What etcd begins with, for a release of Kubernetes; empty where there is none yet, which is no reason to
        wait.
        """
        spec = seed_of(release)
        try:
            installed = self._found.get(spec) or await asyncio.to_thread(engine.find, spec, given=self._given)
            if installed is None:
                return b""
            self._found[spec] = installed
            (path,) = installed.components.values()
            return await asyncio.to_thread(path.read_bytes)
        except (errors.Error, OSError) as error:
            log.warning("%s is not used: %s", spec, error)
            return b""

    async def blob(self, path: Path) -> str:
        """The digest of a file that the agent has now. The file does not change."""
        self._digests[path] = await self._client.keep_blob(path, self._digests.get(path))
        return self._digests[path]

    async def here(self, spec: str) -> None:
        """An engine is on this machine, of which the agent is lent nothing. Raises what `id` raises."""
        async with self._locks.setdefault(spec, asyncio.Lock()):
            if spec not in self._found:
                await self._find(spec)

    async def _find(self, spec: str) -> engine.Installed:
        at, trouble = self._troubles.get(spec, (0.0, None))
        if trouble is not None and self._clock.now() < at + _TOLD_FOR:
            raise Unobtainable(trouble.message, **trouble.facts)
        found = None if spec in self._coming else await asyncio.to_thread(engine.find, spec, given=self._given)
        if found is None:
            if spec not in self._coming:
                log.info("engine %s is not here yet: it is fetched or built", spec)
                self._coming.add(spec)
                self._getting.wake(spec)
            raise Coming(f"the engine {spec} is being fetched or built")
        self._found[spec] = found
        return found

    async def _get(self, spec: str) -> None:
        self._troubles.pop(spec, None)
        try:
            self._found[spec] = await self._had(spec)
            log.info("engine %s is here", spec)
            if self._found[spec].name == "kubernetes":
                # Seconds beside minutes, and the cluster that waits is the first to gain from it.
                await self._get(seed_of(self._found[spec].version))
        except (errors.Error, OSError) as error:
            facts = error.facts if isinstance(error, errors.Error) else {}
            trouble = Unobtainable(
                f"the engine {spec} is not to be had: {error}; `roadstead engine get {spec}` shows what it tries",
                **facts,
            )
            log.warning("%s", trouble.message)
            self._troubles[spec] = (self._clock.now(), trouble)
        finally:
            self._coming.discard(spec)

    async def _had(self, spec: str) -> engine.Installed:
        if self._supplier is None:
            return await asyncio.to_thread(engine.get, spec, given=self._given)
        await supplier_client.ask(self._supplier, spec)
        found = await asyncio.to_thread(engine.find, spec, given=self._given)
        if found is None:
            raise errors.Failed(f"the supplier has it, and it is not whole in {self._given.cache}")
        return found


def seed_of(release: str) -> str:
    """The engine that is the seed of a release of Kubernetes."""
    return f"seed-{release}"
