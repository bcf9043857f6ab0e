"""Access entries, by the clusters that they are of."""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.clusters import spec
from roadstead.clusters.access import entries
from roadstead.clusters.allocation import names
from roadstead.contract.messages.sections import access
from roadstead.serve.sections import source
from roadstead.store import facts

WAKES = frozenset(((facts.ChangedPart.DESIRED, spec.KIND), (facts.ChangedPart.DESIRED, entries.KIND)))


def of_clusters(
    clusters: Iterable[facts.Desired], entered: Iterable[facts.Desired]
) -> dict[str, dict[str, access.Entry]]:
    """By the cluster's id at the agent, and the ARN of the principal. Pure."""
    by_cluster: dict[tuple[str, str, str], list[entries.Entry]] = {}
    for each in entered:
        place = (each.key.account, each.key.region, each.key.names[0])
        by_cluster.setdefault(place, []).append(entries.read(each.body))
    return {
        names.cluster(one.key, one.created): {entry.principal: _entry(entry) for entry in found}
        for one in clusters
        if (found := by_cluster.get((one.key.account, one.key.region, one.key.names[0])))
    }


def _entry(entry: entries.Entry) -> access.Entry:
    return access.Entry(
        principal_id=entry.principal_id,
        username=entry.username,
        groups=entry.groups,
        policies=tuple(access.Policy(name=one.policy) for one in entry.policies),
    )


def source_of(given: source.Given) -> source.Source:
    """How the section is made: see source."""

    async def made(revision: int) -> access.Access:
        found = of_clusters(await source.all_of(given.store, spec.KIND), await source.all_of(given.store, entries.KIND))
        return access.Access(format=access.SECTION.format, revision=revision, entries=found)

    return source.Source(access.SECTION, WAKES, made)
