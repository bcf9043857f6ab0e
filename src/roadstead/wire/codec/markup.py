"""Outputs and errors of the query and ec2 protocols: XML, both ways.

    query  <GetRoleResponse xmlns="..."><GetRoleResult> members </GetRoleResult><ResponseMetadata><RequestId/>
    ec2    <DescribeVpcsResponse xmlns="..."><requestId/> members
    errors <ErrorResponse><Error><Type/><Code/><Message/></Error><RequestId/>     (query)
           <Response><Errors><Error><Code/><Message/></Error></Errors><RequestID/> (ec2)

Characters that XML 1.0 cannot hold are sent as U+FFFD. Documents with a DOCTYPE are refused when read.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import forms, scalars, times

DEEPEST = 100
_UNSAID = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MARKS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;", '"': "&quot;"}
_MARKED = re.compile('[&<>\r"]')


def text(value: str) -> str:
    """Text as it stands between two tags."""
    return _MARKED.sub(lambda found: _MARKS[found[0]], _UNSAID.sub("\ufffd", value))


def render(
    operation: shapes.Operation, values: dict[str, Any], dialect: forms.Dialect, namespace: str | None, request_id: str
) -> bytes:
    """The body of an output. Raises Failed for what the model lacks."""
    members = _Writer(dialect).structure(operation.output, values) if operation.output else ""
    if dialect == "ec2":
        if operation.output is None:
            members = "<return>true</return>"  # what EC2 says where it has nothing to say
        inner = f"<requestId>{text(request_id)}</requestId>{members}"
    else:
        wrapper = operation.wrapper or f"{operation.name}Result"
        wrapped = f"<{wrapper}>{members}</{wrapper}>" if operation.output else ""
        inner = f"{wrapped}<ResponseMetadata><RequestId>{text(request_id)}</RequestId></ResponseMetadata>"
    return _document(f"{operation.name}Response", namespace, inner)


def render_error(
    fault: exchange.Fault,
    shape: shapes.Shape | None,
    dialect: forms.Dialect,
    namespace: str | None,
    request_id: str,
) -> bytes:
    """The body of an error; members of its shape stand beside Code and Message."""
    said = f"<Code>{text(fault.code)}</Code><Message>{text(fault.message)}</Message>"
    extra = _Writer(dialect).structure(shape, dict(fault.members)) if shape is not None else ""
    if dialect == "ec2":
        inner = f"<Errors><Error>{said}{extra}</Error></Errors><RequestID>{text(request_id)}</RequestID>"
        return _document("Response", None, inner)
    kind = "Sender" if fault.sender else "Receiver"
    inner = f"<Error><Type>{kind}</Type>{said}{extra}</Error><RequestId>{text(request_id)}</RequestId>"
    return _document("ErrorResponse", namespace, inner)


def _document(root: str, namespace: str | None, inner: str) -> bytes:
    space = f' xmlns="{text(namespace)}"' if namespace else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{space}>{inner}</{root}>'.encode()


class _Writer:
    def __init__(self, dialect: forms.Dialect) -> None:
        self.ec2 = dialect == "ec2"

    def structure(self, shape: shapes.Shape, values: dict[str, Any]) -> str:
        parts: list[str] = []
        for key, value in values.items():
            if (ref := shape.members.get(key)) is None:
                raise errors.Failed(f"{shape.name} has no member {key!r} in the model", shape=shape.name, member=key)
            if value is not None:
                parts.append(self.member(ref, ref.name, value))
        return "".join(parts)

    def member(self, ref: shapes.Ref, name: str, value: Any) -> str:
        match ref.shape.kind:
            case "structure" if isinstance(value, dict):
                return f"<{name}>{self.structure(ref.shape, value)}</{name}>"
            case "list" if isinstance(value, list | tuple):
                element = ref.shape.element
                assert element is not None
                if ref.flattened:
                    return "".join(self.member(element, name, item) for item in value)
                own = element.name if element.named else ("item" if self.ec2 else "member")
                return f"<{name}>{''.join(self.member(element, own, item) for item in value)}</{name}>"
            case "map" if isinstance(value, dict):
                return self.map(ref, name, value)
            case "timestamp" if self.ec2 and ref.timestamp_format is None:
                return f"<{name}>{times.iso(value, always_milliseconds=True)}</{name}>"
            case _:
                return f"<{name}>{text(scalars.to_text(ref, value, 'iso8601'))}</{name}>"

    def map(self, ref: shapes.Ref, name: str, value: dict[str, Any]) -> str:
        assert ref.shape.entry is not None
        key_ref, value_ref = ref.shape.entry
        entries = (
            self.member(key_ref, key_ref.name, key) + self.member(value_ref, value_ref.name, item)
            for key, item in value.items()
        )
        if ref.flattened:
            return "".join(f"<{name}>{entry}</{name}>" for entry in entries)
        return f"<{name}>{''.join(f'<entry>{entry}</entry>' for entry in entries)}</{name}>"


def parse(body: bytes) -> ET.Element:
    """The root of a document. Raises Malformed."""
    if b"<!DOCTYPE" in body:
        raise exchange.Malformed("XML with a DOCTYPE")
    try:
        return ET.fromstring(body)
    except (ET.ParseError, ValueError, LookupError) as error:
        # LookupError: it names an encoding that nobody knows.
        raise exchange.Malformed("the body is not XML") from error


def read(operation: shapes.Operation, body: bytes, dialect: forms.Dialect) -> dict[str, Any]:
    """The output that a body holds. Raises Malformed."""
    root = parse(body)
    if operation.output is None:
        return {}
    if dialect == "ec2":
        return read_structure(operation.output, root, DEEPEST)
    wrapper = operation.wrapper or f"{operation.name}Result"
    start = next((child for child in root if tag(child) == wrapper), None)
    if start is None:
        raise exchange.Malformed(f"no {wrapper} in the answer")
    return read_structure(operation.output, start, DEEPEST)


def read_structure(shape: shapes.Shape, node: ET.Element, depth: int = DEEPEST) -> dict[str, Any]:
    """The members that the model knows; elements that it does not know are left out. Raises Malformed."""
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    found: dict[str, Any] = {}
    for child in node:
        ref = shape.body.get(tag(child))
        if ref is None:
            continue
        try:
            if ref.flattened and ref.shape.kind == "list":
                assert ref.shape.element is not None
                found.setdefault(ref.key, []).append(_read(ref.shape.element, child, depth - 1))
            elif ref.flattened and ref.shape.kind == "map":
                found.setdefault(ref.key, {}).update(_read_entries(ref, [child], depth - 1))
            else:
                found[ref.key] = _read(ref, child, depth - 1)
        except exchange.Malformed as error:
            raise error.under(ref.name) from None
    return found


def _read(ref: shapes.Ref, node: ET.Element, depth: int) -> Any:
    if depth <= 0:
        raise exchange.Malformed("nested too deeply")
    match ref.shape.kind:
        case "structure":
            return read_structure(ref.shape, node, depth)
        case "list":
            assert ref.shape.element is not None
            element = ref.shape.element
            return [_read(element, child, depth - 1) for child in node]
        case "map":
            return _read_entries(ref, list(node), depth)
        case _:
            return scalars.from_text(ref, node.text or "", "iso8601")


def _read_entries(ref: shapes.Ref, entries: list[ET.Element], depth: int) -> dict[str, Any]:
    assert ref.shape.entry is not None
    key_ref, value_ref = ref.shape.entry
    found: dict[str, Any] = {}
    for entry in entries:
        parts = {tag(child): child for child in entry}
        if key_ref.name not in parts or value_ref.name not in parts:
            raise exchange.Malformed("an entry without key or value")
        key = _read(key_ref, parts[key_ref.name], depth - 1)
        found[key] = _read(value_ref, parts[value_ref.name], depth - 1)
    return found


def tag(node: ET.Element) -> str:
    """An element's name without its namespace."""
    return node.tag.rpartition("}")[2]
