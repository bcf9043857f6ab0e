"""Tags of clusters, nodegroups and access entries, by their ARNs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from roadstead.aws import calls, store_access
from roadstead.aws.eks import resources
from roadstead.store import facts, keys, kinds, writes


@calls.operation("eks", "TagResource", on=resources.TAGGED, context=resources.TAGS)
async def tag_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await _change(call, asked["resourceArn"], put=asked["tags"], remove=())
    return {}


@calls.operation("eks", "UntagResource", on=resources.TAGGED, context=resources.UNTAGGED)
async def untag_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await _change(call, asked["resourceArn"], put={}, remove=tuple(asked["tagKeys"]))
    return {}


@calls.operation("eks", "ListTagsForResource", on=resources.LISTED)
async def list_tags_for_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    arn = asked["resourceArn"]
    key, kind = await _found(call, arn)
    state = await call.store.get(key)
    if state is None:
        _absent(arn)
    return {"tags": dict(kind.tags(kind.read(state.desired.body)))}


async def _change(call: calls.Call, arn: str, *, put: Mapping[str, str], remove: tuple[str, ...]) -> None:
    key, kind = await _found(call, arn)

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        if state is None or kind.arn_of(state.desired) != arn:
            _absent(arn)
        resource = kind.read(state.desired.body)
        tags = store_access.tags_after(kind.tags(resource), put, remove, code="BadRequestException")
        return (kind.put(key, kind.tagged(resource, tags)),)

    await store_access.changed(call, key, change)


async def _found(call: calls.Call, arn: str) -> tuple[keys.Key, kinds.Kind[Any]]:
    """The resource that has an ARN, and its kind. Raises NotFoundException, also for one that had the name before."""
    mine = kinds.Kinds(kind for kind in call.kinds if kind.service == "eks" and kind.taggable)
    places = [kind.arn.place(arn) for kind in mine if kind.arn]
    where = [
        (place.account, place.region) if isinstance(place, keys.Key) else place.parts[:2] for place in places if place
    ]
    if not where:
        names = ", ".join(kind.name for kind in mine)
        store_access.refuse("BadRequestException", f"{arn!r} is not the ARN of what has tags here: {names}.")
    if where != [(call.account, call.region)]:
        store_access.refuse("NotFoundException", f"No resource found for ARN {arn} in this account and region.")
    state = await mine.at(call.store, arn)
    if state is None:
        _absent(arn)
    return state.key, mine.of(state.key)


def _absent(arn: str) -> NoReturn:
    store_access.refuse("NotFoundException", f"No resource found for ARN {arn}.")
