"""From what the store has to porter's snapshot. Pure.

Signing keys are those of yesterday (a token made just before midnight) to eight days from now: so long can porter
check new tokens while serve is down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field

from roadstead.clusters.access import entries
from roadstead.contract.messages import porter
from roadstead.core import addresses
from roadstead.identity import names, users
from roadstead.network import regions
from roadstead.network import spec as network
from roadstead.store import facts, keys
from roadstead.wire import sigv4

DAYS = range(-1, 9)
"""From today, UTC."""
REGIONS = (*sorted(regions.CODES), names.GLOBAL)
"""That tokens may be signed for, wherever the cluster is."""

Derived = MutableMapping[tuple[str, str, str], Mapping[str, bytes]]
"""Signing keys by region, of an access key, its secret and a date: kept from one snapshot to the next."""


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where porter answers a cluster: the cluster's id at the agent, and what serve knows of the endpoint there."""

    id: str
    """`c-1a2b3c4d`."""
    certificate: str
    """PEM."""
    key: str = field(repr=False)
    """PEM."""
    bearer: str = field(repr=False)
    """What its API servers prove themselves with."""
    credentials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the house's own users, the certificates that count."""


@dataclass(frozen=True)
class StoreContents:
    """What was read of the store, at `revision` or later."""

    revision: int
    entries: tuple[facts.Desired, ...]
    known: tuple[users.Known, ...]
    """Whose all active access keys are."""
    vpcs: tuple[facts.Desired, ...]
    subnets: tuple[facts.Desired, ...]


def snapshot(
    read: StoreContents, endpoints: Mapping[keys.Key, WebhookEndpoint], today: dt.date, derived: Derived | None = None
) -> porter.Snapshot:
    """The whole. `endpoints`: by the keys of clusters; a cluster without one is not answered yet.

    `derived` is used and brought up to date; without it all keys are derived anew (some 3 ms for each access key).
    """
    fresh: dict[tuple[str, str, str], Mapping[str, bytes]] = {}
    dates = [f"{today + dt.timedelta(days=day):%Y%m%d}" for day in DAYS]
    before = {} if derived is None else derived
    made = porter.Snapshot(
        format=porter.FORMAT,
        revision=read.revision,
        clusters={endpoint.id: _cluster(key, endpoint, read.entries) for key, endpoint in sorted(endpoints.items())},
        principals={one.access_key: _principal(one, dates, before, fresh) for one in read.known},
        vpcs={each.key.names[0]: _vpc(each, read.subnets) for each in read.vpcs},
    )
    if derived is not None:
        derived.clear()
        derived.update(fresh)
    return made


def _cluster(key: keys.Key, endpoint: WebhookEndpoint, entered: Iterable[facts.Desired]) -> porter.Cluster:
    below = entries.below(key.account, key.region, key.names[0])
    allowed = [entries.read(each.body) for each in entered if below.covers(each.key)]
    return porter.Cluster(
        name=key.names[0],
        account=key.account,
        region=key.region,
        certificate=endpoint.certificate,
        key=endpoint.key,
        bearer=endpoint.bearer,
        entries={entry.principal: _entry(entry) for entry in allowed},
        credentials=dict(endpoint.credentials),
    )


def _entry(entry: entries.Entry) -> porter.Entry:
    return porter.Entry(
        principal_id=entry.principal_id,
        username=entry.username,
        groups=entry.groups,
        policies=tuple(porter.Policy(name=one.policy) for one in entry.policies),
    )


def _principal(
    known: users.Known,
    dates: Iterable[str],
    before: Mapping[tuple[str, str, str], Mapping[str, bytes]],
    fresh: MutableMapping[tuple[str, str, str], Mapping[str, bytes]],
) -> porter.Principal:
    for date in dates:
        name = (known.access_key, known.secret, date)
        fresh[name] = before.get(name) or {
            region: sigv4.signing_key(known.secret, sigv4.Scope(date, region, "sts")) for region in REGIONS
        }
    return porter.Principal(
        arn=known.arn,
        id=known.user_id,
        account=known.account,
        keys={date: dict(fresh[known.access_key, known.secret, date]) for date in dates},
    )


def _vpc(each: facts.Desired, subnets: Iterable[facts.Desired]) -> porter.Vpc:
    wanted = network.read_vpc(each.body)
    owned = [one for one in map(_subnet, subnets) if one.vpc == wanted.id]
    resolvers = {one.id: addresses.resolver(one.cidr) for one in owned}
    return porter.Vpc(region=each.key.region, cidr=wanted.cidr, resolvers=resolvers)


def _subnet(each: facts.Desired) -> network.Subnet:
    return network.read_subnet(each.body)
