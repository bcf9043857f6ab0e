"""Clusters and their webhooks: who may ask there, and with which certificate it answers."""

from __future__ import annotations

from roadstead.clusters import spec
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.contract.messages.sections import webhooks
from roadstead.serve.sections import source
from roadstead.store import facts, keys

WAKES = frozenset(
    (
        (facts.ChangedPart.DESIRED, spec.KIND),
        (facts.ChangedPart.DESIRED, allocator.KIND),
        (facts.ChangedPart.SECRET, cluster_secrets.KIND),
    )
)


def cluster(key: keys.Key, made: cluster_secrets.SecretSet) -> webhooks.Cluster:
    """A cluster in the section, of its key and its secrets."""
    return webhooks.Cluster(
        name=key.names[0],
        account=key.account,
        region=key.region,
        certificate=made.doors.certificate.decode(),
        key=made.doors.key.decode(),
        bearer=made.doors.bearer,
        credentials=dict(cluster_secrets.credentials(made)),
    )


def source_of(given: source.Given) -> source.Source:
    """How the section is made: see source."""

    async def made(revision: int) -> webhooks.Webhooks:
        found = {}
        for wanted in await source.all_of(given.store, spec.KIND):
            standing = await given.store.get(allocator.of_cluster(wanted.key))
            secrets = await given.secrets.find(wanted.key)
            # One without is not answered yet.
            if standing is not None and secrets is not None:
                found[allocator.read(standing.desired.body).id] = cluster(wanted.key, secrets)
        return webhooks.Webhooks(format=webhooks.SECTION.format, revision=revision, clusters=found)

    return source.Source(webhooks.SECTION, WAKES, made)
