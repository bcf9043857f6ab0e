"""Reading and changing what the store keeps, as operations need it, and ids that follow from the request's."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from roadstead.aws import calls
from roadstead.core import errors, ids
from roadstead.store import facts, interface, keys, kinds, writes

TRIES = 100
"""Of a change that others' changes come in between of: each of them has gone on, so this many at once wait in turn."""
MOST_TAGS = 50


async def everything(store: interface.Store, prefix: keys.Prefix) -> tuple[facts.State, ...]:
    """All desired states below a prefix, by their keys."""
    found, _ = await listed(store, prefix)
    return found


async def listed(store: interface.Store, prefix: keys.Prefix) -> tuple[tuple[facts.State, ...], int]:
    """All desired states below a prefix, and the revision for writes.Unchanged."""
    found = await interface.everything(store, prefix)
    return found.items, found.revision


async def records(store: interface.Store, of: keys.Key | keys.Prefix) -> tuple[facts.Record, ...]:
    """All records of a key or below a prefix, oldest first."""
    found: list[facts.Record] = []
    while True:
        page = await store.records(of, after=found[-1].number if found else None, limit=interface.LONGEST_PAGE)
        found += page
        if len(page) < interface.LONGEST_PAGE:
            return tuple(found)


async def changed(
    call: calls.Call,
    key: keys.Key,
    change: Callable[[facts.State | None], Awaitable[tuple[writes.Write, ...]]],
) -> facts.State:
    """Read, change, and write only if nothing came between; the state as it then is.

    change: gives what to write; raises what the caller is refused with.
    """
    for _ in range(TRIES):
        state = await call.store.get(key)
        transaction = await change(state)
        expected = writes.Require(key, writes.At(state.desired.generation) if state else writes.Absent())
        try:
            await call.store.commit(*transaction, expected)
        except (errors.NotFound, errors.Conflict):
            continue
        after = await call.store.get(key)
        if after is not None:
            return after
    raise errors.Busy(f"{key} is being changed by others: try again", key=key)


async def quota(
    call: calls.Call, kind: kinds.Kind[Any], *within: str, code: str, **members: object
) -> tuple[writes.Unchanged, ...]:
    """Room for one more of a kind below these names. What a transaction has to write, too, where it is the last one.

    Raises OperationRefused with `code` where there are as many as there may be.
    """
    below = kind.below(call.account, call.region, *within)
    states, revision = await listed(call.store, below)
    most = len(states) + 2 if kind.quota is None else kind.quota
    if len(states) >= most:
        where = f"of {within[-1]}" if within else "in this region"
        refuse(code, f"There are {len(states)} {kind.plural} {where}, as many as there may be.", **members)
    return (writes.Unchanged(below, revision),) if len(states) == most - 1 else ()


@contextmanager
def coded(table: Mapping[type[errors.Error], str], **members: object) -> Iterator[None]:
    """Errors of the house as these codes of the service. The first row that fits counts."""
    try:
        yield
    except calls.OperationRefused:
        raise
    except errors.Error as error:
        for kind, code in table.items():
            if isinstance(error, kind):
                raise calls.OperationRefused(code, error.message, **members) from error
        raise


def refuse(code: str, message: str, **members: object) -> NoReturn:
    """Raises OperationRefused. `code`: of the service's model; `members`: what its shape has beside the message."""
    raise calls.OperationRefused(code, message, **members)


def id_of(call: calls.Call, prefix: str) -> str:
    """An id in EC2's form, `vpc-` and 17 digits, that only this request has."""
    return f"{prefix}-{hashlib.sha256(f'{prefix}/{call.request_id}'.encode()).hexdigest()[:17]}"


def uuid_of(call: calls.Call, what: str) -> str:
    """An id in the form of a UUID that only this request has."""
    return ids.uuid_of(f"{what}/{call.request_id}")


def tags_after(
    before: Mapping[str, str], put: Mapping[str, str], remove: tuple[str, ...] = (), *, code: str
) -> dict[str, str]:
    """Tags after a change. Raises Refused with `code` for those that nobody may set, and for too many."""
    for key in (*put, *remove):
        if key.lower().startswith("aws:"):
            refuse(code, f"Tag keys that begin with aws: are AWS's own: {key!r}.")
    after = {key: value for key, value in {**before, **put}.items() if key not in remove}
    if len(after) > MOST_TAGS:
        refuse(code, f"{len(after)} tags: a resource has at most {MOST_TAGS}.")
    return after
