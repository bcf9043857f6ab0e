"""The customer's side: an input as a request, a response as an output or an error. What the CLI speaks with.

The request has no Host and no signature yet: `sigv4.sign` adds both. Nothing here needs botocore's code.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any, assert_never

import msgspec

from roadstead.core import errors
from roadstead.wire import exchange, services, shapes
from roadstead.wire.codec import cbor, forms, markup, rest, trees


class ServiceError(errors.Failed):
    """The service answered with an error: `fault` is what it said."""

    def __init__(self, operation: str, fault: exchange.Fault) -> None:
        super().__init__(f"{operation}: {fault.code}: {fault.message}", code=fault.code, status=fault.status)
        self.fault = fault


def serialize(
    service: services.Service,
    operation: shapes.Operation,
    values: Mapping[str, Any],
    *,
    protocol: exchange.Protocol | None = None,
    token: str | None = None,
) -> exchange.Request:
    """The request of an operation; `token` fills the idempotency token when the values have none.

    Raises Failed for what the model lacks, Invalid for an empty label of the path.
    """
    given = dict(values)
    if token is not None and operation.idempotency_token is not None:
        given.setdefault(operation.idempotency_token, token)
    shape = operation.input
    match protocol or service.protocol:
        case "rest-json":
            path, query = rest.write_target(operation, given)
            headers = rest.write_headers(shape, given)
            body = rest.write_body(shape, given)
            if not body and shape is not None and (shape.body or shape.payload is not None):
                body = b"{}"
            if body:
                headers.setdefault("content-type", "application/json")
            return exchange.Request(operation.method, path, query, headers, body)
        case ("json-1.0" | "json-1.1") as version:
            headers = {
                "x-amz-target": f"{service.target_prefix}.{operation.name}",
                "content-type": f"application/x-amz-{version}",
            }
            tree = trees.write(shape, given, "json", whole=True) if shape is not None else {}
            return exchange.Request("POST", "/", "", headers, msgspec.json.encode(tree))
        case "rpc-v2-cbor":
            headers = {"smithy-protocol": "rpc-v2-cbor", "accept": "application/cbor"}
            path = f"/service/{service.target_prefix}/operation/{operation.name}"
            if shape is None:
                return exchange.Request("POST", path, "", headers)
            headers["content-type"] = "application/cbor"
            return exchange.Request(
                "POST", path, "", headers, cbor.encode(trees.write(shape, given, "cbor", whole=True))
            )
        case ("query" | "ec2") as dialect:
            fields = [("Action", operation.name), ("Version", service.api_version)]
            fields += forms.write(shape, given, dialect)
            headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
            form = urllib.parse.urlencode(fields, quote_via=urllib.parse.quote, safe="-._~")
            return exchange.Request("POST", "/", "", headers, form.encode())
        case never:
            assert_never(never)


def parse(
    service: services.Service,
    operation: shapes.Operation,
    response: exchange.Response,
    *,
    protocol: exchange.Protocol | None = None,
) -> dict[str, Any]:
    """The output of an operation. Raises ServiceError for an error, Malformed for what is neither."""
    spoken = protocol or service.protocol
    if response.status >= 300:
        raise ServiceError(operation.name, parse_error(service, response, spoken))
    shape = operation.output
    if shape is None:
        return {}
    match spoken:
        case "rest-json":
            return rest.read_output(shape, response)
        case "json-1.0" | "json-1.1":
            return trees.read(shape, trees.decode_json(response.body), "json", whole=True)
        case "rpc-v2-cbor":
            return trees.read(shape, cbor.decode(response.body) if response.body else {}, "cbor", whole=True)
        case "query" | "ec2":
            return markup.read(operation, response.body, spoken)
        case _:
            assert_never(spoken)


def parse_error(service: services.Service, response: exchange.Response, protocol: exchange.Protocol) -> exchange.Fault:
    """What an error response says. One that is not of the protocol (a proxy's page) is told by its status."""
    try:
        match protocol:
            case "query" | "ec2":
                return _xml_error(service, response)
            case "rpc-v2-cbor":
                tree = cbor.decode(response.body)
            case "rest-json" | "json-1.0" | "json-1.1":
                tree = trees.decode_json(response.body)
            case _:
                assert_never(protocol)
    except exchange.Malformed:
        return _bare(response)
    if not isinstance(tree, dict):
        return _bare(response)
    named = str(response.headers.get("x-amzn-errortype") or tree.get("__type") or tree.get("code") or "")
    name = named.split(":", 1)[0].rpartition("#")[2]
    if not name:
        return _bare(response)
    code = response.headers.get("x-amzn-query-error", name).split(";")[0] or name
    members = _error_members(service.error(name), tree, "cbor" if protocol == "rpc-v2-cbor" else "json")
    message = str(tree.get("message") or tree.get("Message") or "")
    return exchange.Fault(code, message, response.status, response.status < 500, members)


def _error_members(shape: shapes.Shape | None, tree: dict[str, Any], form: trees.Form) -> dict[str, Any]:
    """The members of a modelled error; none when they are not as the model has them: code and message count more."""
    if shape is None:
        return {}
    try:
        return trees.read(shape, {key: value for key, value in tree.items() if key.lower() != "message"}, form)
    except exchange.Malformed:
        return {}


def _xml_error(service: services.Service, response: exchange.Response) -> exchange.Fault:
    root = markup.parse(response.body)
    node = next((element for element in root.iter() if markup.tag(element) == "Error"), None)
    if node is None:
        return _bare(response)
    texts = {markup.tag(child): child.text or "" for child in node}
    code = texts.get("Code", str(response.status))
    shape = service.error(code)
    read = markup.read_structure(shape, node) if shape is not None else {}
    members = {key: value for key, value in read.items() if key.lower() != "message"}
    sender = texts.get("Type", "Sender" if response.status < 500 else "Receiver") == "Sender"
    return exchange.Fault(code, texts.get("Message", ""), response.status, sender, members)


def _bare(response: exchange.Response) -> exchange.Fault:
    said = response.body[:500].decode("utf-8", "replace").strip()
    return exchange.Fault(str(response.status), said or "no message", response.status, response.status < 500)
