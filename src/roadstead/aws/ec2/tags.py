"""Tags of VPCs and subnets: CreateTags, DeleteTags, DescribeTags, and those that a Create operation is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, ids, instances
from roadstead.aws.ec2.vpc import lookups as of_region
from roadstead.aws.ec2.vpc import resources
from roadstead.network import defaults
from roadstead.store import facts, keys, kinds, writes

_FILTERS = {
    "key": filters.plain("Key"),
    "value": filters.plain("Value"),
    "resource-id": filters.plain("ResourceId"),
    "resource-type": filters.plain("ResourceType"),
}


def asked_for(asked: calls.Asked, type: str) -> dict[str, str]:
    """The tags of a Create operation's TagSpecifications. Raises InvalidParameterValue for those of another type."""
    tags: dict[str, str] = {}
    for given in asked.get("TagSpecifications", ()):
        if given.get("ResourceType") != type:
            store_access.refuse(
                "InvalidParameterValue", f"'{given.get('ResourceType')}' is not a valid taggable resource type here."
            )
        tags.update(_of(given))
    return store_access.tags_after({}, tags, code="InvalidParameterValue")


@calls.operation("ec2", "CreateTags", on=resources.TAGGED, context=resources.SET_TAGS)
async def create_tags(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Sets the tags on all resources, or on none when one of them does not exist."""
    filters.not_dry(asked)
    put = _of(asked)
    await _change(call, asked, lambda tags: store_access.tags_after(tags, put, code="InvalidParameterValue"))
    return {}


@calls.operation("ec2", "DeleteTags", on=resources.TAGGED, context=resources.REMOVED_TAGS)
async def delete_tags(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Without tags all go; a tag with a value goes only if that is its value."""
    filters.not_dry(asked)
    given = asked.get("Tags")

    def without(tags: Mapping[str, str]) -> dict[str, str]:
        gone = [
            tag["Key"] for tag in given or () if tag.get("Value") is None or tags.get(tag["Key"]) == tag.get("Value")
        ]
        return {} if given is None else {key: value for key, value in tags.items() if key not in gone}

    await _change(call, asked, without)
    return {}


@calls.operation("ec2", "DescribeTags", on=resources.ANYTHING)
async def describe_tags(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Also those that instances and security groups have of their own."""
    filters.not_dry(asked)
    found = [
        {"Key": tag["Key"], "Value": tag["Value"], "ResourceId": id, "ResourceType": type}
        for type, id, tags in await _derived(call)
        for tag in tags
    ]
    for kind in _kinds(call):
        for state in await store_access.everything(call.store, kind.below(call.account, call.region)):
            found += [
                {"Key": key, "Value": value, "ResourceId": state.key.names[0], "ResourceType": kind.name}
                for key, value in sorted(kind.tags(kind.read(state.desired.body)).items())
            ]
    for_keys = {**_FILTERS, **{f"tag:{tag['Key']}": _value_of(tag["Key"]) for tag in found}}
    return {"Tags": filters.applied(found, asked, for_keys)}


async def _derived(call: calls.Call) -> list[tuple[str, str, list[dict[str, str]]]]:
    """Type, id and tags of what is not kept but follows from what is."""
    groups = (defaults.group(call.account, call.region, group) for group in (await of_region.region(call)).groups)
    return [
        *(("security-group", group["GroupId"], group["Tags"]) for group in groups),
        *(("instance", one["InstanceId"], one["Tags"]) for one in await instances.shown(call)),
    ]


def _value_of(key: str) -> filters.Values:
    return lambda shown: [shown["Value"]] if shown["Key"] == key else []


def _of(given: Mapping[str, object]) -> dict[str, str]:
    tags = given.get("Tags", ())
    assert isinstance(tags, list | tuple)
    for tag in tags:
        if not tag.get("Key"):
            store_access.refuse("MissingParameter", "A tag needs a key.")
    return {tag["Key"]: tag.get("Value") or "" for tag in tags}


async def _change(call: calls.Call, asked: calls.Asked, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
    """Change all in one transaction; made anew when somebody else came between."""
    named = [_key(call, id) for id in sorted(set(asked["Resources"]))]
    if not named:
        store_access.refuse("MissingParameter", "The request must contain the parameter resourceIdSet")
    (first, kind), *others = named

    async def changes(state: facts.State | None) -> tuple[writes.Write, ...]:
        made: list[writes.Write] = [_put(kind, state, first, change, None)]
        for key, of in others:
            there = await call.store.get(key)
            made.append(_put(of, there, key, change, writes.At(there.desired.generation) if there else None))
        return tuple(made)

    await store_access.changed(call, first, changes)


def _put(
    kind: kinds.Kind[Any],
    state: facts.State | None,
    key: keys.Key,
    change: Callable[[Mapping[str, str]], dict[str, str]],
    expected: writes.Expected,
) -> writes.Put:
    if state is None:
        store_access.refuse(ids.not_found(kind.name), f"The {kind.name} ID '{key.names[0]}' does not exist")
    resource = kind.read(state.desired.body)
    return kind.put(key, kind.tagged(resource, change(kind.tags(resource))), expected)


def _key(call: calls.Call, id: str) -> tuple[keys.Key, kinds.Kind[Any]]:
    mine = _kinds(call)
    for kind in mine:
        if id.startswith(f"{kind.name}-"):
            return kind.key(call.account, call.region, id), kind
    have = " and ".join(f"{kind.name}s" for kind in mine)
    store_access.refuse("InvalidID", f"The ID '{id}' is not valid: {have} have tags here.")


def _kinds(call: calls.Call) -> list[kinds.Kind[Any]]:
    return [kind for kind in call.kinds if kind.service == "ec2" and kind.taggable]
