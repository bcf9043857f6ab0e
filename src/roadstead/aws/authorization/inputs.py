"""What an input has at a path of members: `accessConfig.authenticationMode`. Of a list it has what each element has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadstead.wire import shapes


def texts(asked: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """As condition keys have them: `true` and `false` in small letters. None where the input says nothing."""
    first = asked.get(path.partition(".")[0])
    # Most of what is looked for is a text, or not there: every request asks for some of these.
    if first is None:
        return ()
    if isinstance(first, str):
        return (first,) if "." not in path else ()
    found: list[Any] = [asked]
    for member in path.split("."):
        found = [each[member] for each in found if isinstance(each, Mapping) and each.get(member) is not None]
        found = [one for each in found for one in (each if isinstance(each, list | tuple) else (each,))]
    return tuple(text(each) for each in found)


def text(value: Any) -> str:
    """A value as policies compare it: `true`, `false`, numbers as they are written."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def has(shape: shapes.Shape | None, path: str) -> bool:
    """Whether a model's input has the path."""
    for member in path.split("."):
        while shape is not None and shape.element is not None:
            shape = shape.element.shape
        if shape is None or member not in shape.members:
            return False
        shape = shape.members[member].shape
    return True
