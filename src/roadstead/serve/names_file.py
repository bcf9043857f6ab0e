"""A file with the ids of all clusters at the agent, for commands of this machine that ask the agent straight."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from roadstead.clusters import spec
from roadstead.clusters.allocation import names
from roadstead.contract import programs
from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.store import facts, interface


@dataclass(frozen=True)
class NamesFile:
    """`run` keeps `{"REGION/NAME": "c-1a2b3c4d"}` in `folder` until cancelled."""

    store: interface.Store
    folder: Path

    async def run(self) -> None:
        while True:
            revision = self.store.revision
            await self._write()
            try:
                async for changes in self.store.watch(revision):
                    told = (each for each in changes.changes if each.key.kind == spec.KIND)
                    if any(each.part is facts.ChangedPart.DESIRED for each in told):
                        await self._write()
            except errors.Gone:
                continue

    async def _write(self) -> None:
        found = {
            f"{state.key.region}/{state.key.names[0]}": names.cluster(state.key, state.desired.created)
            for state in (await interface.everything(self.store, kind=spec.KIND)).items
        }
        text = json.dumps(found, sort_keys=True, indent=1) + "\n"
        await asyncio.to_thread(atomic.write, self.folder / programs.CLUSTERS, text.encode(), 0o600)
