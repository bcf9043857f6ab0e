"""What operations are about, as ARNs: by templates, `arn:aws:eks:{region}:{account}:cluster/{clusterName}`, or by the
kind of what is stored.

What a template names in braces is a member of the input, or the call's region or account. A list of ids makes as many
ARNs. `*` stands for what cannot be known: the id of what is not made yet, or of what there is not.
"""

from __future__ import annotations

import re
from typing import Any

from roadstead.aws import calls
from roadstead.aws.authorization import inputs
from roadstead.core import errors
from roadstead.store import keys, kinds

ANYTHING: calls.Resources = ()
"""Of operations that the Service Authorization Reference has no resource type for."""
UNKNOWN = "*"
_FIELD = re.compile(r"\{([\w.]+)\}")
_OF_CALL = ("region", "account")


def template(types: str, arn: str, *, when: str | None = None, context: calls.Context = ()) -> calls.Resource:
    """types: resource types of the Service Authorization Reference, divided by spaces, of which the ARN is one.

    when: a member of the input without which the operation is about none of these.
    """
    literals, fields = _FIELD.split(arn)[::2], _FIELD.split(arn)[1::2]
    members = tuple(dict.fromkeys(field for field in fields if field not in _OF_CALL))

    async def arns(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
        if when is not None and not asked.get(when):
            return ()
        whole = [literals[0]]
        for field, literal in zip(fields, literals[1:], strict=True):
            values = _values(call, asked, field)
            whole = [f"{before}{value}{literal}" for before in whole for value in values]
        return tuple(whole)

    return calls.Resource(tuple(types.split()), members if when is None else (*members, when), arns, context)


def stored(kind: kinds.Kind[Any], *members: str, when: str | None = None) -> calls.Resource:
    """The resource of a kind whose key has these members as its names, with the id that it has alone.

    A policy may be of that one, and not of its namesakes. The resource type is called as the kind is.
    """

    async def arns(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
        if when is not None and not asked.get(when):
            return ()
        try:
            key = kind.key(call.account, call.region, *(asked[member] for member in members))
            state = await call.store.get(key)
        except errors.Invalid:
            # What cannot be a key is nothing's: it is refused by the operation, in its own words.
            return (UNKNOWN,)
        return (new(kind, key) if state is None else kind.arn_of(state.desired),)

    return calls.Resource((kind.name,), members if when is None else (*members, when), arns)


def new(kind: kinds.Kind[Any], key: keys.Key) -> str:
    """The ARN of what is not there, or not yet: any that it may have."""
    if kind.arn is None:
        return UNKNOWN
    try:
        shared = kind.arn.shared(key)
    except errors.Invalid:
        return UNKNOWN
    return shared if kind.arn.place(shared) == key else f"{shared}/{UNKNOWN}"


def _values(call: calls.Call, asked: calls.Asked, field: str) -> tuple[str, ...]:
    match field:
        case "region":
            return (call.region,)
        case "account":
            return (call.account,)
    return inputs.texts(asked, field) or (UNKNOWN,)
