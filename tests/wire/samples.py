"""Inputs and outputs generated from the shapes: a minimal sample (what is required) and full ones (everything).

Deterministic: the same seed gives the same sample. Values keep to what both sides of every protocol can carry, so
that a sample that comes back different is a fault of the codec and never of the sample.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from roadstead.wire import shapes

DEEPEST = 6
TEXTS = (
    "plain",
    "arn:aws:eks:eu-central-1:123456789012:cluster/one/two",
    "a b+c&d=e;f,g\"h'%2F<i>",
    "ümläut ☃ 𐍈",
    " spaces at the ends ",
    "line\nbreak\ttab",
    "..",
    "0",
    "true",
)


class Sampler:
    def __init__(self, seed: int, *, full: bool) -> None:
        self.random = random.Random(seed)
        self.full = full

    def structure(self, shape: shapes.Shape, depth: int = 0) -> dict[str, Any]:
        if shape.document:
            return {"any": [1, 2.5, None, {"thing": "ä"}, True]}
        members = list(shape.members.values())
        if shape.union:
            members = [self.random.choice(members)]
        elif not self.full or depth > DEEPEST:
            members = [ref for ref in members if ref.key in shape.required or ref.location == "uri"]
        return {ref.key: self.value(ref, depth + 1) for ref in members}

    def value(self, ref: shapes.Ref, depth: int) -> Any:
        shape = ref.shape
        match shape.kind:
            case "structure":
                return self.structure(shape, depth)
            case "list":
                assert shape.element is not None
                count = self.random.randint(1, 3) if depth <= DEEPEST else 0
                if ref.location is not None and shape.element.shape.kind == "string":
                    return ["one", "two three"][:count]
                return [self.value(shape.element, depth + 1) for _ in range(count)]
            case "map" if ref.location is not None:
                return {f"key{n}": "value" for n in range(2)}
            case "map":
                assert shape.entry is not None
                count = self.random.randint(1, 3) if depth <= DEEPEST else 0
                return {f"key {n}/ä": self.value(shape.entry[1], depth + 1) for n in range(count)}
            case "string":
                return self.text(ref)
            case "boolean":
                return self.random.random() < 0.5
            case "integer":
                return self.random.choice((0, 1, -1, 23, 24, 255, 256, 65536, 2**31 - 1, -(2**31)))
            case "long":
                return self.random.choice((0, 1, -1, 2**32, 2**63 - 1, -(2**63)))
            case "float" | "double":
                return self.random.choice((0.0, 1.5, -2.25, 1024.0, 0.125))
            case "timestamp":
                # botocore writes and reads headers in whole seconds, and so does RFC 822.
                whole = ref.location == "header" or ref.timestamp_format == "rfc822"
                micro = 0 if whole else self.random.choice((0, 0, 250000, 123456))
                seconds = self.random.randrange(4_000_000_000)
                return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds, microseconds=micro)
            case "blob":
                return self.random.randbytes(self.random.randint(1, 40))

    def text(self, ref: shapes.Ref) -> str:
        if ref.shape.enum_order:
            return self.random.choice(ref.shape.enum_order)
        # Dots alone are a relative path to HTTP, headers hold ASCII on one line: the rest never reaches a codec.
        texts = TEXTS[:2] if ref.location in ("header", "headers") else TEXTS[:4] if ref.location == "uri" else TEXTS
        return self.random.choice(texts)


def pruned(value: Any, *, lists: bool) -> Any:
    """Without the empty structures and maps, and with `lists` the empty lists, that a form cannot say."""
    if isinstance(value, dict):
        inner = {key: pruned(item, lists=lists) for key, item in value.items()}
        return {key: item for key, item in inner.items() if not _empty(item, lists)}
    if isinstance(value, list):
        inner_list = [pruned(item, lists=lists) for item in value]
        return [item for item in inner_list if not _empty(item, lists)]
    return value


def _empty(value: Any, lists: bool) -> bool:
    return value == {} or (lists and value == [])
