"""Tags of clusters and nodegroups, by their ARNs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from roadstead.aws import calls, store_access
from roadstead.aws.eks import resources
from roadstead.clusters import nodegroups, spec, views
from roadstead.store import facts, keys, writes

_ARN = re.compile(
    r"arn:aws:eks:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):"
    r"(?:cluster/(?P<cluster>[^/]+)|nodegroup/(?P<of>[^/]+)/(?P<nodegroup>[^/]+)/[^/]+)"
)


@calls.operation("eks", "TagResource", on=resources.TAGGED, context=resources.TAGS)
async def tag_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await _change(call, asked["resourceArn"], put=asked["tags"], remove=())
    return {}


@calls.operation("eks", "UntagResource", on=resources.TAGGED, context=resources.UNTAGGED)
async def untag_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await _change(call, asked["resourceArn"], put={}, remove=tuple(asked["tagKeys"]))
    return {}


@calls.operation("eks", "ListTagsForResource", on=resources.TAGGED)
async def list_tags_for_resource(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    key = _key(call, asked["resourceArn"])
    state = _there(await call.store.get(key), asked["resourceArn"])
    return {"tags": dict(_read(state).tags)}


async def _change(call: calls.Call, arn: str, *, put: Mapping[str, str], remove: tuple[str, ...]) -> None:
    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        state = _there(state, arn)
        thing = _read(state)
        tags = store_access.tags_after(thing.tags, put, remove, code="BadRequestException")
        if isinstance(thing, spec.Cluster):
            return (writes.Put(state.key, spec.written(replace(thing, tags=tags))),)
        return (writes.Put(state.key, nodegroups.written(replace(thing, tags=tags))),)

    await store_access.changed(call, _key(call, arn), change)


def _key(call: calls.Call, arn: str) -> keys.Key:
    found = _ARN.fullmatch(arn)
    if found is None:
        store_access.refuse("BadRequestException", f"{arn!r} is not the ARN of a cluster or a nodegroup.")
    if (found["account"], found["region"]) != (call.account, call.region):
        store_access.refuse("NotFoundException", f"No resource found for ARN {arn} in this account and region.")
    if found["cluster"]:
        return spec.key(call.account, call.region, found["cluster"])
    return nodegroups.key(call.account, call.region, found["of"], found["nodegroup"])


def _there(state: facts.State | None, arn: str) -> facts.State:
    """Raises NotFoundException, also for the ARN of one that had the name before."""
    if state is None or views.arn(state.desired) != arn:
        store_access.refuse("NotFoundException", f"No resource found for ARN {arn}.")
    return state


def _read(state: facts.State) -> spec.Cluster | nodegroups.Nodegroup:
    return (spec.read if state.key.kind == spec.KIND else nodegroups.read)(state.desired.body)
