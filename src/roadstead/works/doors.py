"""The doors of clusters, for porter's snapshot: who may ask there, and with which certificate it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roadstead.clusters import spec
from roadstead.clusters.access import publish, publisher
from roadstead.clusters.ground import land as lands
from roadstead.clusters.ground import materials
from roadstead.store import interface, keys


@dataclass(frozen=True)
class Snapshots:
    """`run` keeps the snapshot at `path` until cancelled."""

    store: interface.Store
    land: lands.Land
    materials: materials.Materials
    path: Path

    async def run(self) -> None:
        await publisher.run(self.store, self.path, self._doors)

    async def _doors(self) -> dict[keys.Key, publish.Door]:
        found = {}
        for state in (await interface.everything(self.store, kind=spec.KIND)).items:
            standing = await self.land.find(state.key)
            made = await self.materials.find(state.key)
            if standing is not None and made is not None:
                found[state.key] = publish.Door(
                    standing.id,
                    made.doors.certificate.decode(),
                    made.doors.key.decode(),
                    made.doors.bearer,
                    materials.credentials(made),
                )
        return found
