"""A file with the ids of all clusters at the agent, for commands of this machine that ask the agent straight."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from roadstead.clusters import spec
from roadstead.clusters.allocation import names
from roadstead.contract import programs
from roadstead.core.files import atomic
from roadstead.core.loops import reconciler
from roadstead.store import following, interface

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamesFile:
    """`run` keeps `{"REGION/NAME": "c-1a2b3c4d"}` in `folder` until cancelled."""

    store: interface.Store
    folder: Path

    async def run(self) -> None:
        source = following.anything(self.store, programs.CLUSTERS, {spec.KIND})
        await reconciler.Reconciler(self._write, (source,), log=log).run()

    async def _write(self, name: str) -> None:
        found = {
            f"{state.key.region}/{state.key.names[0]}": names.cluster(state.key, state.desired.created)
            for state in (await interface.everything(self.store, kind=spec.KIND)).items
        }
        text = json.dumps(found, sort_keys=True, indent=1) + "\n"
        await asyncio.to_thread(atomic.write, self.folder / name, text.encode(), 0o600)
