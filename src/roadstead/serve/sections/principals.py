"""Principals: whose access keys are, with the keys that their signatures of the next days are checked with.

Signing keys are those of yesterday (a token made just before midnight) to eight days from now: so long can porter
check new tokens while serve is down.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, MutableMapping

from roadstead.contract.messages.sections import principals
from roadstead.identity import names, users
from roadstead.network import regions
from roadstead.serve.sections import source
from roadstead.store import facts
from roadstead.wire import sigv4

WAKES = frozenset(
    (
        (facts.ChangedPart.DESIRED, users.ACCESS_KEY),
        (facts.ChangedPart.SECRET, users.ACCESS_KEY),
        (facts.ChangedPart.DESIRED, users.USER),
    )
)
ANYWAY = 3600.0
"""Seconds after which the days are looked at again."""
DAYS = range(-1, 9)
"""From today, UTC."""
REGIONS = (*sorted(regions.CODES), names.GLOBAL)
"""That tokens may be signed for, wherever the cluster is."""

Derived = MutableMapping[tuple[str, str, str], Mapping[str, bytes]]
"""Signing keys by region, of an access key, its secret and a date: kept from one look to the next."""


def of_keys(
    known: Iterable[users.Known], today: dt.date, derived: Derived | None = None
) -> dict[str, principals.Principal]:
    """By access key. Pure.

    `derived` is used and brought up to date; without it all keys are derived anew (some 3 ms for each access key).
    """
    fresh: dict[tuple[str, str, str], Mapping[str, bytes]] = {}
    dates = [f"{today + dt.timedelta(days=day):%Y%m%d}" for day in DAYS]
    before = {} if derived is None else derived
    found = {one.access_key: _principal(one, dates, before, fresh) for one in known}
    if derived is not None:
        derived.clear()
        derived.update(fresh)
    return found


def _principal(
    known: users.Known,
    dates: Iterable[str],
    before: Mapping[tuple[str, str, str], Mapping[str, bytes]],
    fresh: MutableMapping[tuple[str, str, str], Mapping[str, bytes]],
) -> principals.Principal:
    for date in dates:
        name = (known.access_key, known.secret, date)
        fresh[name] = before.get(name) or {
            region: sigv4.signing_key(known.secret, sigv4.Scope(date, region, "sts")) for region in REGIONS
        }
    return principals.Principal(
        arn=known.arn,
        id=known.user_id,
        account=known.account,
        keys={date: dict(fresh[known.access_key, known.secret, date]) for date in dates},
    )


def source_of(given: source.Given) -> source.Source:
    """How the section is made: see source."""
    derived: Derived = {}

    async def made(revision: int) -> principals.Principals:
        kept = await source.all_of(given.store, users.ACCESS_KEY)
        known = [await users.whose(given.store, each.key.names[0]) for each in kept]
        today = given.now().astimezone(dt.UTC).date()
        found = of_keys((one for one in known if one is not None), today, derived)
        return principals.Principals(format=principals.SECTION.format, revision=revision, principals=found)

    return source.Source(principals.SECTION, WAKES, made, ANYWAY)
