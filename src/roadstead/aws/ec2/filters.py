"""`Filters` of Describe operations, and `DryRun`.

Source: EC2 User Guide, "Filter your resources": all filters must fit, of a filter one value; `*` and `?` stand for any
text and any character, a backslash takes that from them; texts are compared by case; at most 200 values.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import ids as resources

Shown = Mapping[str, Any]
Values = Callable[[Shown], Iterable[str]]
"""What a filter looks at: texts of a thing as it is shown."""
MOST_VALUES = 200


def plain(member: str) -> Values:
    """The filter of one member. Numbers and booleans are texts as EC2 writes them."""

    def values(shown: Shown) -> Iterable[str]:
        value = shown.get(member)
        if value is not None:
            yield str(value).lower() if isinstance(value, bool) else str(value)

    return values


def at(*path: str) -> Values:
    """The filter of what is inside: members of structures, and of each element of lists on the way."""

    def values(shown: Shown) -> Iterable[str]:
        found: list[Any] = [shown]
        for member in path:
            inner = [thing.get(member) for thing in found]
            found = [each for value in inner for each in (value if isinstance(value, list | tuple) else [value])]
            found = [each for each in found if each is not None]
        return [str(each).lower() if isinstance(each, bool) else str(each) for each in found]

    return values


def moment(member: str) -> Values:
    """The filter of a time, written as EC2 writes it: `2026-11-30T08:00:00.000Z`."""

    def values(shown: Shown) -> Iterable[str]:
        value = shown.get(member)
        if value is not None:
            yield f"{value.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"

    return values


def nothing(names: str) -> dict[str, Values]:
    """Filters that AWS documents, divided by spaces, for what nothing here has: none fits."""
    return dict.fromkeys(names.split(), never)


def never(_: Shown) -> Iterable[str]:
    """The filter of what nothing here has."""
    return ()


def applied(shown: Iterable[Shown], asked: calls.Asked, names: Mapping[str, Values]) -> list[Shown]:
    """Those that fit. Raises InvalidParameterValue for a filter that is not one of `names` or of tags."""
    return list(fitting(shown, asked, names))


def fitting(shown: Iterable[Shown], asked: calls.Asked, names: Mapping[str, Values]) -> Iterator[Shown]:
    """As `applied`, one after the other; it raises before there is any."""
    tests = [_test(one, names) for one in asked.get("Filters") or asked.get("Filter") or ()]
    return (thing for thing in shown if all(test(thing) for test in tests))


def not_dry(asked: calls.Asked) -> None:
    """Raises DryRunOperation for a request that only asks whether it might."""
    if asked.get("DryRun"):
        store_access.refuse("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")


def named(shown: Iterable[Shown], member: str, ids: Iterable[str] | None, *, code: str, what: str) -> list[Shown]:
    """Those with these ids, or all when none are asked for. Raises `code` for one that there is not."""
    all_of_them = list(shown)
    if not ids:
        return all_of_them
    resources.check(ids, code)
    by_id = {thing[member]: thing for thing in all_of_them}
    for id in ids:
        if id not in by_id:
            store_access.refuse(code, f"The {what} ID '{id}' does not exist")
    return [by_id[id] for id in sorted(set(ids))]


def _test(one: Mapping[str, Any], names: Mapping[str, Values]) -> Callable[[Shown], bool]:
    name, wanted = one.get("Name", ""), one.get("Values", ())
    if len(wanted) > MOST_VALUES:
        store_access.refuse(
            "FilterLimitExceeded", f"The filter '{name}' has {len(wanted)} values; at most {MOST_VALUES}."
        )
    patterns = [_pattern(value) for value in wanted]
    values = names.get(name) or _of_tags(name)
    return lambda shown: any(pattern.fullmatch(value) for value in values(shown) for pattern in patterns)


def _of_tags(name: str) -> Values:
    if name == "tag-key":
        return lambda shown: [tag["Key"] for tag in _tags(shown)]
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda shown: [tag["Value"] for tag in _tags(shown) if tag["Key"] == key]
    store_access.refuse("InvalidParameterValue", f"The filter '{name}' is invalid")


def _tags(shown: Shown) -> Iterable[Mapping[str, str]]:
    """Interfaces have theirs under a name of its own."""
    return shown.get("Tags") or shown.get("TagSet") or ()


def _pattern(text: str) -> re.Pattern[str]:
    """A star takes as little as it can, once and for all: a text of many stars is matched in one pass."""
    runs = [""]
    escaped = False
    for character in text:
        if escaped or character not in "*?\\":
            runs[-1] += re.escape(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "?":
            runs[-1] += "."
        else:
            runs.append("")
    if escaped:
        runs[-1] += r"\\"
    first, *rest = runs
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{run})" for run in rest[:-1] if run)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
