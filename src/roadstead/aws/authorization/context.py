"""Condition keys that operations supply, and what they are by the input.

Names are as the Service Authorization Reference writes them: `aws:RequestTag/${TagKey}` is of any tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from roadstead.aws import calls
from roadstead.aws.authorization import inputs, requests

Given = Iterable[tuple[str, requests.Values]]
REQUEST_TAG = "aws:RequestTag/${TagKey}"
TAG_KEYS = "aws:TagKeys"


def member(name: str, path: str) -> calls.ContextKey:
    """The key that is what the input has at a path, and is not there where it has nothing."""

    def values(_: calls.Call, asked: calls.Asked) -> Given:
        found = inputs.texts(asked, path)
        return ((name, found),) if found else ()

    return calls.ContextKey((name,), (path,), values)


def members(paths: Mapping[str, str]) -> calls.Context:
    """As `member`, for several: paths by key."""
    return tuple(member(name, path) for name, path in paths.items())


def present(name: str, path: str) -> calls.ContextKey:
    """The key that says whether the input has anything at a path."""

    def values(_: calls.Call, asked: calls.Asked) -> Given:
        return ((name, (inputs.text(bool(inputs.texts(asked, path))),)),)

    return calls.ContextKey((name,), (path,), values)


def tags(of: str) -> calls.ContextKey:
    """The tags that a request sets, in whichever of AWS's forms: a map, a list of keys and values, specifications."""

    def values(_: calls.Call, asked: calls.Asked) -> Given:
        return of_tags(dict(_tags(asked.get(of))))

    return calls.ContextKey((REQUEST_TAG, TAG_KEYS), (of,), values)


def tag_keys(of: str) -> calls.ContextKey:
    """The keys of tags that a request takes away."""

    def values(_: calls.Call, asked: calls.Asked) -> Given:
        found = tuple(each if isinstance(each, str) else str(each.get("Key", "")) for each in asked.get(of) or ())
        return ((TAG_KEYS, found),) if found else ()

    return calls.ContextKey((TAG_KEYS,), (of,), values)


def of_tags(given: Mapping[str, str]) -> Given:
    """The keys that tell of tags; none where there are no tags."""
    if given:
        yield TAG_KEYS, tuple(given)
    for key, value in given.items():
        yield f"aws:RequestTag/{key}", (value,)


def _tags(given: Any) -> Iterator[tuple[str, str]]:
    if isinstance(given, Mapping):
        yield from given.items()
    else:
        for each in given or ():
            if "Tags" in each:
                yield from _tags(each["Tags"])
            elif each.get("Key"):
                yield each["Key"], each.get("Value") or ""
