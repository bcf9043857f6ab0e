"""Bodies that are trees: JSON and CBOR, both ways.

What differs is the leaves: JSON writes blobs as base64, timestamps as numbers or text and NaN as a word; CBOR has
all three. `read` goes by the names that came, so a body costs what it holds and not what the model could hold.
Names that the model lacks are passed over, as AWS does; null members are absent; null elements are malformed.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import scalars, times

Form = Literal["json", "cbor"]

DEEPEST = 100
"""Levels of nesting beyond which a body is refused; the models' own recursion stays below 20 in practice."""

_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NUMBERS = ("integer", "long", "float", "double")


def decode_json(body: bytes) -> dict[str, Any]:
    """The object of a JSON body; an empty body is an empty object. Raises Malformed."""
    if not body.strip():
        return {}
    if _many(body) and _many(_TEXT.sub(b"", body)):
        raise exchange.too_many()
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise exchange.Malformed("the body is not JSON") from error
    if not isinstance(tree, dict):
        raise exchange.Malformed("the body is not a JSON object")
    return tree


def _many(body: bytes) -> bool:
    """Whether there are more values than may be: each is the first of its list or object, or has a comma before it."""
    return body.count(b",") + body.count(b"[") + body.count(b"{") >= exchange.MOST_ITEMS


def read(shape: shapes.Shape, tree: dict[str, Any], form: Form, *, whole: bool = False) -> dict[str, Any]:
    """A structure's members from a tree; with `whole`, those that have a place outside of bodies too."""
    found: dict[str, Any] = _read_structure(shape, tree, form, DEEPEST, whole)
    return found


def _read_structure(shape: shapes.Shape, tree: Any, form: Form, depth: int, whole: bool = False) -> Any:
    if shape.document:
        return _document(tree, depth)
    if not isinstance(tree, dict):
        raise exchange.Malformed("expected a structure")
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    known = _known(shape, form, whole)
    found: dict[str, Any] = {}
    name = ""
    try:
        for name, value in tree.items():
            if value is not None and (ref := known.get(name)) is not None:
                found[ref.key] = _read(ref, value, form, depth - 1)
    except exchange.Malformed as error:
        raise error.under(name) from None
    if shape.union and len(found) != 1:
        raise exchange.Malformed(f"exactly one member of {shape.name} must be set")
    return found


def _known(shape: shapes.Shape, form: Form, whole: bool) -> Mapping[str, shapes.Ref]:
    """Members by their names on the wire: in CBOR those of the model, whatever locationName says (Smithy)."""
    if form == "cbor":
        return shape.members
    return {ref.name: ref for ref in shape.members.values()} if whole else shape.body


def _read(ref: shapes.Ref, value: Any, form: Form, depth: int) -> Any:
    kind = ref.shape.kind
    if kind == "string":
        if type(value) is not str:
            raise exchange.Malformed("expected a string")
        return value
    if kind == "structure":
        return _read_structure(ref.shape, value, form, depth)
    if kind == "boolean":
        if type(value) is not bool:
            raise exchange.Malformed("expected a boolean")
        return value
    if kind == "list":
        return _read_list(ref.shape, value, form, depth)
    if kind == "map":
        return _read_map(ref.shape, value, form, depth)
    if kind == "timestamp":
        return _read_timestamp(ref, value)
    if kind == "blob":
        return _read_blob(value, form)
    return _read_number(kind, value, form)


def _read_list(shape: shapes.Shape, value: Any, form: Form, depth: int) -> list[Any]:
    if not isinstance(value, list):
        raise exchange.Malformed("expected a list")
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    assert shape.element is not None
    found: list[Any] = []
    try:
        for item in value:
            if item is None:
                raise exchange.Malformed("null in a list")
            found.append(_read(shape.element, item, form, depth - 1))
    except exchange.Malformed as error:
        raise error.under(str(len(found))) from None
    return found


def _read_map(shape: shapes.Shape, value: Any, form: Form, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise exchange.Malformed("expected a map")
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    assert shape.entry is not None
    found: dict[str, Any] = {}
    key = ""
    try:
        for key, item in value.items():
            if item is None:
                raise exchange.Malformed("null in a map")
            found[key] = _read(shape.entry[1], item, form, depth - 1)
    except exchange.Malformed as error:
        raise error.under(key) from None
    return found


def _read_timestamp(ref: shapes.Ref, value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return times.from_number(value)
    if isinstance(value, str):
        return times.from_text(value, ref.timestamp_format or "unixtimestamp")
    raise exchange.Malformed("expected a timestamp")


def _read_blob(value: Any, form: Form) -> bytes:
    if form == "cbor":
        if isinstance(value, bytes):
            return value
        raise exchange.Malformed("expected a byte string")
    if isinstance(value, str):
        return scalars.blob(value)
    raise exchange.Malformed("expected base64")


def _read_number(kind: shapes.Kind, value: Any, form: Form) -> int | float:
    if kind in ("float", "double"):
        if form == "json" and isinstance(value, str) and value in scalars.NUMBER_NAMES:
            return scalars.NUMBER_NAMES[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError as error:
                raise exchange.Malformed(f"the number does not fit a {kind}") from error
    elif type(value) is int:
        return scalars.integer(value, kind)
    elif isinstance(value, float) and value.is_integer():
        return scalars.integer(int(value), kind)
    raise exchange.Malformed(f"expected a number ({kind})")


def _document(value: Any, depth: int) -> Any:
    """A value of any form, checked only for its depth."""
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    if isinstance(value, dict):
        for item in value.values():
            _document(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _document(item, depth - 1)
    return value


def write(shape: shapes.Shape, values: Any, form: Form, *, whole: bool = False) -> dict[str, Any]:
    """The tree of a structure; None members are left out; with `whole`, members with other places are in it too.

    Raises Failed for a member that the model lacks or a value of another kind.
    """
    if shape.document:
        return values  # type: ignore[no-any-return]
    if not isinstance(values, dict):
        raise errors.Failed(f"{shape.name}: a {type(values).__name__} was to be sent where the model has a structure")
    tree: dict[str, Any] = {}
    members = shape.members
    for key, value in values.items():
        if value is None:
            continue
        ref = members.get(key)
        if ref is None:
            raise errors.Failed(f"{shape.name} has no member {key!r} in the model", shape=shape.name, member=key)
        if ref.location is None or whole:
            tree[ref.name if form == "json" else key] = _write(ref, value, form)
    return tree


def _write(ref: shapes.Ref, value: Any, form: Form) -> Any:
    kind = ref.shape.kind
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "structure":
        return write(ref.shape, value, form)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "list" and isinstance(value, list | tuple):
        element = ref.shape.element
        assert element is not None
        return [_write(element, item, form) for item in value]
    if kind == "map" and isinstance(value, dict):
        assert ref.shape.entry is not None
        inner = ref.shape.entry[1]
        return {key: _write(inner, item, form) for key, item in value.items()}
    if kind == "timestamp" and isinstance(value, dt.datetime):
        return _write_timestamp(ref, value, form)
    if kind == "blob" and isinstance(value, bytes | bytearray | str):
        if form == "cbor":
            return value.encode() if isinstance(value, str) else bytes(value)
        return scalars.to_base64(value)
    if kind in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
        return _write_number(ref, value, form)
    raise scalars.unfit(ref, value)


def _write_timestamp(ref: shapes.Ref, value: dt.datetime, form: Form) -> Any:
    if form == "cbor":
        return value
    if ref.timestamp_format in (None, "unixtimestamp"):
        return times.to_epoch(value)
    return times.to_text(value, ref.timestamp_format)


def _write_number(ref: shapes.Ref, value: float, form: Form) -> int | float | str:
    if ref.shape.kind in ("integer", "long"):
        if not isinstance(value, int):
            raise scalars.unfit(ref, value)
        return value
    if form == "json" and not math.isfinite(value):
        return scalars.number_text(value)
    return float(value)
