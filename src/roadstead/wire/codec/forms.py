"""Inputs of the query and ec2 protocols: `Tags.member.1.Key=a&Tags.member.1.Value=b`, both ways.

The two differ in the names (ec2: queryName, or locationName with a capital), in lists (ec2: always without the
`.member`), and in what they say to a name they do not know: query passes over it, ec2 refuses it. A form cannot say
"an empty structure" or "an empty map", and in ec2 no "empty list" either: there they are absent.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from typing import Any, Literal

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import scalars

Dialect = Literal["query", "ec2"]

MOST_FIELDS = 20_000
MOST_ESCAPES = 400_000
"""Of `%20` and its like: each costs as much as a value. A policy of IAM's greatest length has 260,000 at most."""
DEEPEST = 50

_OWN = ""
"""Where a node of the tree keeps its own text: no part of a name is empty."""
_BY_THE_WAY = ("Action", "Version", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion", "Timestamp")

_Node = dict[str, Any]


def fields(text: bytes | str) -> dict[str, str]:
    """The fields of a form, in order; of a field sent twice the last counts. Raises Malformed."""
    try:
        plain = text.decode("ascii") if isinstance(text, bytes) else scalars.utf8(text)
        if plain.count("%") > MOST_ESCAPES:
            raise exchange.Malformed(f"the form has more than {MOST_ESCAPES} escapes")
        pairs = urllib.parse.parse_qsl(
            plain, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except UnicodeDecodeError as error:
        raise exchange.Malformed("the form is not percent-encoded UTF-8") from error
    except ValueError as error:
        raise exchange.Malformed(f"the form has more than {MOST_FIELDS} fields") from error
    return dict(pairs)


def read(shape: shapes.Shape, form: dict[str, str], dialect: Dialect) -> dict[str, Any]:
    """The input that a form holds. Raises Malformed."""
    tree: _Node = {}
    left = exchange.MOST_ITEMS
    for name, text in form.items():
        if name not in _BY_THE_WAY and not name.startswith("X-Amz-"):
            left -= _plant(tree, name, text)
            if left < 0:
                raise exchange.too_many()
    return _Reader(dialect).structure(shape, tree)


def _plant(tree: _Node, name: str, text: str) -> int:
    """Put a field in its place; of how many parts its name is."""
    parts = name.split(".", DEEPEST)
    if len(parts) > DEEPEST:
        raise exchange.Malformed("nested too deeply", name[:40])
    if "" in parts:
        raise exchange.Malformed("a name with an empty part", name[:200])
    node = tree
    for part in parts:
        node = node.setdefault(part, {})
    node[_OWN] = text
    return len(parts)


class _Reader:
    def __init__(self, dialect: Dialect) -> None:
        self.ec2 = dialect == "ec2"
        self._known: dict[shapes.Shape, dict[str, shapes.Ref]] = {}

    def structure(self, shape: shapes.Shape, node: _Node) -> dict[str, Any]:
        if node.get(_OWN):
            raise exchange.Malformed("expected a structure")
        found: dict[str, Any] = {}
        known = self.known(shape)
        for name, inner in node.items():
            if name == _OWN:
                continue
            if (ref := known.get(name)) is None:
                if self.ec2:
                    raise exchange.Malformed(f"The parameter {name} is not recognized", name)
                continue
            try:
                found[ref.key] = self.value(ref, inner)
            except exchange.Malformed as error:
                raise error.under(name) from None
        if shape.union and len(found) != 1:
            raise exchange.Malformed(f"exactly one member of {shape.name} must be set")
        return found

    def known(self, shape: shapes.Shape) -> dict[str, shapes.Ref]:
        """Members by their names on the wire, made once for a form: it costs what it holds, not what a model could."""
        if shape not in self._known:
            members = shape.members.values()
            self._known[shape] = {ref.form if self.ec2 else ref.name: ref for ref in members}
        return self._known[shape]

    def value(self, ref: shapes.Ref, node: _Node) -> Any:
        match ref.shape.kind:
            case "structure":
                return self.structure(ref.shape, node)
            case "list":
                return self.list(ref, node)
            case "map":
                return self.map(ref, node)
            case _:
                if _OWN not in node or len(node) > 1:
                    raise exchange.Malformed("expected a single value")
                return scalars.from_text(ref, node[_OWN], "iso8601")

    def list(self, ref: shapes.Ref, node: _Node) -> list[Any]:
        element = ref.shape.element
        assert element is not None
        inner = node if self.ec2 or ref.flattened else self.only(node, element.name if element.named else "member")
        found: list[Any] = []
        for number, item in _numbered(inner):
            try:
                found.append(self.value(element, item))
            except exchange.Malformed as error:
                raise error.under(str(number)) from None
        return found

    def map(self, ref: shapes.Ref, node: _Node) -> dict[str, Any]:
        assert ref.shape.entry is not None
        key_ref, value_ref = ref.shape.entry
        inner = node if ref.flattened else self.only(node, "entry")
        found: dict[str, Any] = {}
        for number, item in _numbered(inner):
            try:
                key = self.value(key_ref, item.get(key_ref.name, {}))
                found[key] = self.value(value_ref, item.get(value_ref.name, {}))
            except exchange.Malformed as error:
                raise error.under(str(number)) from None
        return found

    def only(self, node: _Node, name: str) -> _Node:
        """The one child that a list or a map has; `Name=` alone is an empty one."""
        inner: _Node = node.get(name, {})
        if node.get(_OWN) or len(node) - (_OWN in node) > (name in node):
            raise exchange.Malformed(f"expected {name}.1, {name}.2 ...")
        return inner


def _numbered(node: _Node) -> list[tuple[int, _Node]]:
    """The children of a list in the order of their numbers, which may have gaps."""
    if node.get(_OWN):
        raise exchange.Malformed("expected a list")
    found: list[tuple[int, _Node]] = []
    for name, child in node.items():
        if name == _OWN:
            continue
        if not (name.isascii() and name.isdigit()) or len(name) > 9:
            raise exchange.Malformed("the elements of a list are numbered", name[:40])
        found.append((int(name), child))
    found.sort(key=lambda pair: pair[0])
    return found


def write(shape: shapes.Shape | None, values: dict[str, Any], dialect: Dialect) -> list[tuple[str, str]]:
    """The fields of an input, without Action and Version. Raises Failed for what the model lacks."""
    return list(_Writer(dialect).structure(shape, values, "")) if shape is not None else []


class _Writer:
    def __init__(self, dialect: Dialect) -> None:
        self.ec2 = dialect == "ec2"

    def structure(self, shape: shapes.Shape, values: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        for key, value in values.items():
            if (ref := shape.members.get(key)) is None:
                raise errors.Failed(f"{shape.name} has no member {key!r} in the model", shape=shape.name, member=key)
            if value is not None:
                name = ref.form if self.ec2 else ref.name
                yield from self.value(ref, value, f"{prefix}.{name}" if prefix else name)

    def value(self, ref: shapes.Ref, value: Any, name: str) -> Iterator[tuple[str, str]]:
        match ref.shape.kind:
            case "structure" if isinstance(value, dict):
                yield from self.structure(ref.shape, value, name)
            case "list" if isinstance(value, list | tuple):
                yield from self.list(ref, list(value), name)
            case "map" if isinstance(value, dict):
                assert ref.shape.entry is not None
                key_ref, value_ref = ref.shape.entry
                start = name if ref.flattened else f"{name}.entry"
                for number, (key, item) in enumerate(value.items(), 1):
                    yield from self.value(key_ref, key, f"{start}.{number}.{key_ref.name}")
                    yield from self.value(value_ref, item, f"{start}.{number}.{value_ref.name}")
            case _:
                yield name, scalars.to_text(ref, value, "iso8601")

    def list(self, ref: shapes.Ref, values: list[Any], name: str) -> Iterator[tuple[str, str]]:
        element = ref.shape.element
        assert element is not None
        if not values and not self.ec2:
            yield name, ""
        start = name if self.ec2 or ref.flattened else f"{name}.{element.name if element.named else 'member'}"
        for number, item in enumerate(values, 1):
            yield from self.value(element, item, f"{start}.{number}")
