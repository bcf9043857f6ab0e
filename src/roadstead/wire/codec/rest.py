"""rest-json's use of HTTP: routes, labels of the path, query strings, headers, status codes; both ways.

Routing is on the raw path: `/tags/arn%3Aaws%3Aeks%3A...%2Fone` is two segments, decoded only when it is a label.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import scalars, trees

MOST_PARAMETERS = 1000
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LABEL = re.compile(r"\{(\w+)(\+?)\}")
_LIST_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|\Z)')


@dataclass(frozen=True)
class Route:
    """One operation's template. A segment is a literal, or None with the label's name beside it."""

    operation: str
    segments: tuple[tuple[str | None, str], ...]
    greedy: int | None
    """The index of the segment that takes as many segments as are left, if there is one."""
    query: tuple[tuple[str, str], ...]


class Routes:
    """The templates of a service, by method and number of segments; literals go before labels."""

    def __init__(self, uris: Mapping[str, tuple[str, str]]) -> None:
        self._fixed: dict[tuple[str, int], list[Route]] = {}
        self._greedy: dict[str, list[Route]] = {}
        for name, (method, uri) in uris.items():
            route = _route(name, uri)
            if route.greedy is None:
                self._fixed.setdefault((method, len(route.segments)), []).append(route)
            else:
                self._greedy.setdefault(method, []).append(route)
        for routes in (*self._fixed.values(), *self._greedy.values()):
            routes.sort(key=lambda r: ([literal is None for literal, _ in r.segments], -len(r.query)))

    def find(self, method: str, path: str, query: str) -> tuple[str, dict[str, str]] | None:
        """The operation and the decoded labels of a raw path. Raises Malformed for a label that cannot be decoded."""
        segments = path.split("/")[1:]
        for route in self._fixed.get((method, len(segments)), ()):
            if (labels := _match(route, segments, query)) is not None:
                return route.operation, labels
        for route in self._greedy.get(method, ()):
            if (grouped := _group(route, segments)) and (labels := _match(route, grouped, query)) is not None:
                return route.operation, labels
        return None


def _route(name: str, uri: str) -> Route:
    path, _, query = uri.partition("?")
    segments: list[tuple[str | None, str]] = []
    greedy = None
    for index, segment in enumerate(path.split("/")[1:]):
        found = _LABEL.fullmatch(segment)
        segments.append((None, found[1]) if found else (segment, ""))
        if found and found[2]:
            greedy = index
    required = tuple(urllib.parse.parse_qsl(query, keep_blank_values=True))
    return Route(operation=name, segments=tuple(segments), greedy=greedy, query=required)


def _group(route: Route, segments: list[str]) -> list[str] | None:
    """The segments with those of the greedy label made one."""
    assert route.greedy is not None
    extra = len(segments) - len(route.segments)
    if extra < 0:
        return None
    until = route.greedy + extra + 1
    return [*segments[: route.greedy], "/".join(segments[route.greedy : until]), *segments[until:]]


def _match(route: Route, segments: list[str], query: str) -> dict[str, str] | None:
    labels: dict[str, str] = {}
    for (literal, label), segment in zip(route.segments, segments, strict=True):
        if literal is None:
            if not segment:
                return None
            labels[label] = segment
        elif literal != segment:
            return None
    if route.query:
        sent = parameters(query)
        if any(value not in sent.get(name, ()) for name, value in route.query):
            return None
    return {label: _decoded(segment, label) for label, segment in labels.items()}


def _decoded(text: str, name: str) -> str:
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise exchange.Malformed("not percent-encoded", name)
    try:
        return urllib.parse.unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise exchange.Malformed("not percent-encoded UTF-8", name) from error


def parameters(query: str) -> dict[str, list[str]]:
    """The parameters of a raw query. Raises Malformed."""
    if not query:
        return {}
    found: dict[str, list[str]] = {}
    try:
        pairs = urllib.parse.parse_qsl(
            scalars.utf8(query), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS, separator="&"
        )
    except UnicodeDecodeError as error:
        raise exchange.Malformed("the query is not percent-encoded UTF-8") from error
    except ValueError as error:
        raise exchange.Malformed(f"the query has more than {MOST_PARAMETERS} parameters") from error
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def read_input(shape: shapes.Shape, request: exchange.Request, labels: Mapping[str, str]) -> dict[str, Any]:
    """The input of an operation: labels, query, headers, body. Raises Malformed."""
    found: dict[str, Any] = {}
    sent = parameters(request.query)
    for ref in shape.members.values():
        if ref.location is None:
            continue
        try:
            value = _read_place(ref, request, labels, sent)
        except exchange.Malformed as error:
            raise error.under(ref.key) from None
        if value is not None:
            found[ref.key] = value
    found.update(_read_body(shape, request.body))
    return found


def _read_place(
    ref: shapes.Ref, request: exchange.Request, labels: Mapping[str, str], sent: Mapping[str, list[str]]
) -> Any:
    match ref.location:
        case "uri":
            return scalars.from_text(ref, labels[ref.name], "iso8601") if ref.name in labels else None
        case "querystring":
            return _read_parameter(ref, sent)
        case "header":
            return read_header(ref, request.headers)
        case "headers":
            return read_prefixed(ref, request.headers) or None
        case _:
            return None


def _read_parameter(ref: shapes.Ref, sent: Mapping[str, list[str]]) -> Any:
    if ref.shape.kind == "map":
        assert ref.shape.entry is not None
        inner = ref.shape.entry[1]
        if inner.shape.kind == "list":
            return dict(sent) or None
        return {name: scalars.from_text(inner, values[-1], "iso8601") for name, values in sent.items()} or None
    values = sent.get(ref.name)
    if values is None:
        return None
    if ref.shape.kind == "list":
        assert ref.shape.element is not None
        return [scalars.from_text(ref.shape.element, value, "iso8601") for value in values]
    if len(values) > 1:
        raise exchange.Malformed("given more than once")
    return scalars.from_text(ref, values[0], "iso8601")


def read_header(ref: shapes.Ref, headers: Mapping[str, str]) -> Any:
    """The value of a member whose place is a header; None when it was not sent. Raises Malformed."""
    text = headers.get(ref.name.lower())
    if text is None:
        return None
    if ref.json_value:
        try:
            return msgspec.json.decode(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise exchange.Malformed("not base64 of JSON") from error
    if ref.shape.kind == "list":
        assert ref.shape.element is not None
        element = ref.shape.element
        return [scalars.from_text(element, item, "rfc822") for item in _header_items(text, element)]
    return scalars.from_text(ref, text, "rfc822")


def _header_items(text: str, element: shapes.Ref) -> list[str]:
    if element.shape.kind == "timestamp":
        parts = [part.strip() for part in text.split(",")]
        # An RFC 822 date holds a comma itself: "Mon, 01 Jan ...".
        return [", ".join(pair) for pair in zip(parts[::2], parts[1::2], strict=False)]
    items = [found[1].strip() for found in _LIST_ITEM.finditer(text)]
    if items and not items[-1] and not text.rstrip().endswith(","):
        items.pop()
    return [re.sub(r"\\(.)", r"\1", item[1:-1]) if item[:1] == '"' and len(item) > 1 else item for item in items]


def read_prefixed(ref: shapes.Ref, headers: Mapping[str, str]) -> dict[str, str]:
    """A map from all headers with a prefix, by what follows it in lower case (`x-amz-meta-`). Empty: none was sent."""
    prefix = ref.name.lower() if ref.named else ""
    return {name[len(prefix) :]: scalars.utf8(value) for name, value in headers.items() if name.startswith(prefix)}


def _read_body(shape: shapes.Shape, body: bytes) -> dict[str, Any]:
    if shape.payload is None:
        return trees.read(shape, trees.decode_json(body), "json") if shape.body else {}
    ref = shape.members[shape.payload]
    if ref.shape.kind == "blob":
        return {ref.key: body}
    if ref.shape.kind == "string":
        try:
            return {ref.key: body.decode()}
        except UnicodeDecodeError as error:
            raise exchange.Malformed("the body is not UTF-8") from error
    if not body.strip():
        return {}
    try:
        return {ref.key: trees.read(ref.shape, trees.decode_json(body), "json")}
    except exchange.Malformed as error:
        raise error.under(ref.key) from None


def write_body(shape: shapes.Shape | None, values: Mapping[str, Any]) -> bytes:
    """The body of an input or output. Raises Failed for what the model lacks."""
    if shape is None:
        return b""
    if unknown := next((key for key in values if key not in shape.members), None):
        raise errors.Failed(f"{shape.name} has no member {unknown!r} in the model", shape=shape.name, member=unknown)
    if shape.payload is None:
        return msgspec.json.encode(trees.write(shape, dict(values), "json")) if shape.body else b""
    value = values.get(shape.payload)
    if value is None:
        return b""
    match shape.members[shape.payload].shape.kind:
        case "blob" | "string":
            return value.encode() if isinstance(value, str) else bytes(value)
        case _:
            return msgspec.json.encode(trees.write(shape.members[shape.payload].shape, value, "json"))


def write_headers(shape: shapes.Shape | None, values: Mapping[str, Any]) -> dict[str, str]:
    """The headers that members of an input or output are."""
    headers: dict[str, str] = {}
    for ref in shape.members.values() if shape is not None else ():
        value = values.get(ref.key)
        if value is None:
            continue
        if ref.location == "headers":
            prefix = ref.name if ref.named else ""
            headers.update({f"{prefix}{name}".lower(): _one_line(text) for name, text in value.items()})
        elif ref.location == "header" and (ref.shape.kind != "list" or value):
            headers[ref.name.lower()] = _one_line(_header_text(ref, value))
    return headers


def _header_text(ref: shapes.Ref, value: Any) -> str:
    if ref.json_value:
        return base64.b64encode(msgspec.json.encode(value)).decode()
    if ref.shape.kind != "list":
        return scalars.to_text(ref, value, "rfc822")
    assert ref.shape.element is not None
    texts = [scalars.to_text(ref.shape.element, item, "rfc822") for item in value]
    if ref.shape.element.shape.kind == "string":
        texts = ['"' + text.replace('"', '\\"') + '"' if '"' in text or "," in text else text for text in texts]
    return ",".join(texts)


def _one_line(text: str) -> str:
    """No header ends another: line breaks become spaces."""
    return re.sub(r"[\r\n\0]+", " ", text)


def write_target(operation: shapes.Operation, values: Mapping[str, Any]) -> tuple[str, str]:
    """Raw path and raw query of an input. Raises Invalid for a label that is missing or empty."""
    path, _, fixed = operation.uri.partition("?")
    refs = list(operation.input.members.values()) if operation.input else []
    by_label = {ref.name: ref for ref in refs if ref.location == "uri"}

    def fill(found: re.Match[str]) -> str:
        ref = by_label[found[1]]
        value = values.get(ref.key)
        if value is None or value == "":
            raise errors.Invalid(f"{operation.name}: {ref.key} is part of the path and must not be empty")
        return urllib.parse.quote(scalars.to_text(ref, value, "iso8601"), safe="-._~/" if found[2] else "-._~")

    pairs = urllib.parse.parse_qsl(fixed, keep_blank_values=True)
    for ref in refs:
        if ref.location == "querystring" and values.get(ref.key) is not None:
            pairs.extend(_write_parameter(ref, values[ref.key]))
    return _LABEL.sub(fill, path), urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote, safe="-._~")


def _write_parameter(ref: shapes.Ref, value: Any) -> Iterable[tuple[str, str]]:
    match ref.shape.kind:
        case "map":
            for name, item in value.items():
                for text in item if isinstance(item, list | tuple) else (item,):
                    yield name, str(text)
        case "list":
            assert ref.shape.element is not None
            for item in value:
                yield ref.name, scalars.to_text(ref.shape.element, item, "iso8601")
        case _:
            yield ref.name, scalars.to_text(ref, value, "iso8601")


def read_output(shape: shapes.Shape, response: exchange.Response) -> dict[str, Any]:
    """The output that a response holds. Raises Malformed."""
    found: dict[str, Any] = {}
    for ref in shape.members.values():
        match ref.location:
            case "statusCode":
                found[ref.key] = response.status
            case "header" if (value := read_header(ref, response.headers)) is not None:
                found[ref.key] = value
            case "headers" if named := read_prefixed(ref, response.headers):
                found[ref.key] = named
            case _:
                pass
    found.update(_read_body(shape, response.body))
    return found
