"""The webhooks of clusters, for porter's snapshot: who may ask there, and with which certificate it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from roadstead.clusters import spec
from roadstead.clusters.access import publish, publisher
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.store import interface, keys


@dataclass(frozen=True)
class WebhookEndpoints:
    """`run` keeps the snapshot at `path` until cancelled."""

    store: interface.Store
    allocations: allocator.Allocator
    secrets: cluster_secrets.ClusterSecrets
    path: Path

    async def run(self) -> None:
        await publisher.run(self.store, self.path, self._endpoints)

    async def _endpoints(self) -> dict[keys.Key, publish.WebhookEndpoint]:
        found = {}
        for state in (await interface.everything(self.store, kind=spec.KIND)).items:
            standing = await self.allocations.find(state.key)
            made = await self.secrets.find(state.key)
            if standing is not None and made is not None:
                found[state.key] = publish.WebhookEndpoint(
                    standing.id,
                    made.doors.certificate.decode(),
                    made.doors.key.decode(),
                    made.doors.bearer,
                    cluster_secrets.credentials(made),
                )
        return found
