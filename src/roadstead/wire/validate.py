"""An input against the constraints of its model: all that is wrong with it, in AWS's words.

What AWS says (seen from its services and in Smithy's ValidationException):
    2 validation errors detected: Value '' at 'name' failed to satisfy constraint: Member must have length greater
    than or equal to 1; Value 'x' at 'tags.1.member.key' failed to satisfy constraint: Member must ...
Lengths of strings count code points, as Smithy has it; patterns match the whole value; an empty idempotency token
counts as absent. Types are the codecs' matter and are checked here only for callers that have no codec before them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from roadstead.wire import patterns, shapes

MOST_PROBLEMS = 100
LONGEST_SHOWN = 256
LONGEST_MATCHED = 65_536
"""Values longer than this are not held against a pattern: some of the models' take quadratic time."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One constraint that one value does not satisfy."""

    path: str
    """E.g. `nodegroupName`, `tags.key`, `subnets.2.member` (AWS counts from one)."""
    constraint: str
    """AWS's words, e.g. `Member must not be null`."""
    shown: str | None
    """The value as text; None when it is secret."""
    shape: str = ""
    """The name of the value's shape, where an enum does not have the value."""

    @property
    def message(self) -> str:
        """AWS's sentence: `Value at 'name' failed to satisfy constraint: Member must not be null`."""
        value = "Value" if self.shown is None else f"Value {self.shown}"
        return f"{value} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def problems(shape: shapes.Shape | None, values: dict[str, Any]) -> list[Problem]:
    """What is wrong with an input, at most a hundred problems; empty when nothing is."""
    found: list[Problem] = []
    for problem in _structure(shape, values, "") if shape is not None else ():
        found.append(problem)
        if len(found) == MOST_PROBLEMS:
            break
    return found


def sentence(found: list[Problem]) -> str:
    """The message of a ValidationException."""
    plural = "" if len(found) == 1 else "s"
    return f"{len(found)} validation error{plural} detected: {'; '.join(problem.message for problem in found)}"


def _structure(shape: shapes.Shape, values: dict[str, Any], path: str) -> Iterator[Problem]:
    if shape.document:
        return
    for key in shape.required:
        value = values.get(key)
        if value is None:
            yield Problem(_under(path, key), "Member must not be null", "null")
    for key, value in values.items():
        ref = shape.members.get(key)
        if ref is not None and value is not None:
            yield from _value(ref, value, _under(path, key))
    if shape.union and sum(value is not None for value in values.values()) != 1:
        yield Problem(path or shape.name, "Member must have exactly one member set", None)


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _value(ref: shapes.Ref, value: Any, path: str) -> Iterator[Problem]:
    shape = ref.shape
    match shape.kind:
        case "structure" if isinstance(value, dict):
            yield from _structure(shape, value, path)
        case "list" if isinstance(value, list | tuple):
            assert shape.element is not None
            yield from _length(shape, len(value), path, value)
            for number, item in enumerate(value, 1):
                yield from _value(shape.element, item, f"{path}.{number}.member")
        case "map" if isinstance(value, dict):
            assert shape.entry is not None
            yield from _length(shape, len(value), path, value)
            for key, item in value.items():
                yield from _value(shape.entry[0], key, f"{path}.key")
                yield from _value(shape.entry[1], item, f"{path}.{key[:LONGEST_SHOWN]}.member")
        case "string" if isinstance(value, str):
            yield from _text(shape, value, path)
        case "blob" if isinstance(value, bytes | bytearray):
            yield from _length(shape, len(value), path, value)
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            yield from _range(shape, value, path)
        case "float" | "double" if isinstance(value, int | float) and not isinstance(value, bool):
            yield from _range(shape, value, path)
        case "boolean" if isinstance(value, bool):
            return
        case "timestamp" if isinstance(value, dt.datetime):
            return
        case kind:
            yield Problem(path, f"Member must be of type {kind}", _shown(shape, value))


def _text(shape: shapes.Shape, value: str, path: str) -> Iterator[Problem]:
    too = list(_length(shape, len(value), path, value))
    yield from too
    if shape.enum and value not in shape.enum:
        allowed = ", ".join(shape.enum_order)
        yield Problem(path, f"Member must satisfy enum value set: [{allowed}]", _shown(shape, value), shape.name)
    if shape.pattern is None or len(value) > LONGEST_MATCHED or any("less" in problem.constraint for problem in too):
        return
    if not patterns.compiled(shape.pattern).fullmatch(value):
        yield Problem(path, f"Member must satisfy regular expression pattern: {shape.pattern}", _shown(shape, value))


def _length(shape: shapes.Shape, length: int, path: str, value: Any) -> Iterator[Problem]:
    if shape.minimum is not None and length < shape.minimum:
        said = f"Member must have length greater than or equal to {int(shape.minimum)}"
        yield Problem(path, said, _shown(shape, value))
    if shape.maximum is not None and length > shape.maximum:
        said = f"Member must have length less than or equal to {int(shape.maximum)}"
        yield Problem(path, said, _shown(shape, value))


def _range(shape: shapes.Shape, value: float, path: str) -> Iterator[Problem]:
    if shape.minimum is not None and value < shape.minimum:
        said = f"Member must have value greater than or equal to {shape.minimum:g}"
        yield Problem(path, said, _shown(shape, value))
    if shape.maximum is not None and value > shape.maximum:
        said = f"Member must have value less than or equal to {shape.maximum:g}"
        yield Problem(path, said, _shown(shape, value))


def _shown(shape: shapes.Shape, value: Any) -> str | None:
    """A value for a message; what is secret, or large and not text, is not shown."""
    if shape.sensitive or isinstance(value, dict | bytes | bytearray):
        return None
    if isinstance(value, list | tuple) and not all(isinstance(item, str | int) for item in value[:20]):
        return None
    text = f"[{', '.join(map(str, value[:20]))}]" if isinstance(value, list | tuple) else str(value)
    return f"'{text[:LONGEST_SHOWN]}{'...' if len(text) > LONGEST_SHOWN else ''}'"
