"""Scalars as text, both ways: in forms, XML, headers, query strings and labels they are all written alike."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re
from typing import Any

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import times

BOUNDS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
NUMBER_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?", re.ASCII)


def integer(value: int, kind: shapes.Kind) -> int:
    """The value when it fits the kind: 32 bits for integer, 64 for long. Raises Malformed."""
    low, high = BOUNDS[kind]
    if not low <= value <= high:
        raise exchange.Malformed(f"{value} does not fit {'an' if kind == 'integer' else 'a'} {kind}")
    return value


def blob(text: str) -> bytes:
    """From base64. Raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise exchange.Malformed("not base64") from error


def to_base64(value: bytes | bytearray | str) -> str:
    """A text is taken as UTF-8."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def number_text(value: float) -> str:
    """What is no number is `NaN`, `Infinity` or `-Infinity`, AWS's words for it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(float(value))


def from_text(ref: shapes.Ref, text: str, form: shapes.TimestampFormat) -> Any:
    """A scalar of the member's kind; `form` is the place's default for timestamps. Raises Malformed."""
    match ref.shape.kind:
        case "string":
            return utf8(text)
        case "boolean":
            if text not in ("true", "false"):
                raise exchange.Malformed("a boolean is 'true' or 'false'")
            return text == "true"
        case "integer" | "long" as kind:
            if not _INTEGER.fullmatch(text):
                raise exchange.Malformed(f"not {'an' if kind == 'integer' else 'a'} {kind}")
            return integer(int(text), kind)
        case "float" | "double" as kind:
            if text in NUMBER_NAMES:
                return NUMBER_NAMES[text]
            if not _FLOAT.fullmatch(text):
                raise exchange.Malformed(f"not a {kind}")
            return float(text)
        case "timestamp":
            return times.from_text(text, ref.timestamp_format or form)
        case "blob":
            return blob(text)
        case kind:
            raise exchange.Malformed(f"a {kind} where a single value is expected")


def utf8(text: str) -> str:
    """The text itself. Servers hand on bytes that are not UTF-8 as lone surrogates: Malformed, no answer holds them."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise exchange.Malformed("not UTF-8") from error
    return text


def to_text(ref: shapes.Ref, value: Any, form: shapes.TimestampFormat) -> str:
    """Raises Failed for a value that is not of the member's kind: it is ours, so the fault is ours."""
    match ref.shape.kind:
        case "string" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return "true" if value else "false"
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        case "float" | "double" if isinstance(value, int | float) and not isinstance(value, bool):
            return number_text(value)
        case "timestamp" if isinstance(value, dt.datetime):
            return times.to_text(value, ref.timestamp_format or form)
        case "blob" if isinstance(value, bytes | bytearray | str):
            return to_base64(value)
        case _:
            raise unfit(ref, value)


def unfit(ref: shapes.Ref, value: object) -> errors.Failed:
    """What we were about to send is not what the model says."""
    return errors.Failed(
        f"{ref.key}: a {type(value).__name__} was to be sent where the model has {ref.shape.name} ({ref.shape.kind})",
        member=ref.key,
        shape=ref.shape.name,
    )
