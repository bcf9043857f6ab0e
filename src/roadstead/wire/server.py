"""The service's side: what a request asks for, its input, and the answer in the words it was asked in.

    request --detect--> protocol --match--> operation --parse_input--> dict ... dict --render_output--> response
                                                              Fault ... --render_error--> response

The protocol is chosen by the request and not by the model: one service may be spoken to in several (Cloud Map in
CBOR by today's SDKs, in JSON by older ones). Whatever comes in, the only exception that goes out is
`exchange.RequestRefused`, whose fault `render_error` writes. An output that does not fit the model is ours:
core's Failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

import msgspec

from roadstead.wire import exchange, services, shapes
from roadstead.wire.codec import cbor, forms, markup, rest, trees
from roadstead.wire.codes import table

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Match:
    """The operation that a request asks for, and what its path said."""

    protocol: exchange.Protocol
    operation: shapes.Operation
    labels: Mapping[str, str] = field(default_factory=dict)


def detect(request: exchange.Request, service: services.Service | None = None) -> exchange.Protocol:
    """The protocol a request is written in. Forms of query and ec2 look alike: there the service decides."""
    path = exchange.normalized(request.path)
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "rpc-v2-cbor"
    content = request.headers.get("content-type", "").lower()
    if "x-amz-target" in request.headers:
        return "json-1.0" if "x-amz-json-1.0" in content else "json-1.1"
    own = service.protocol if service is not None else None
    if path == "/" and (content.startswith(_FORM) or "Action=" in request.query or own in ("query", "ec2")):
        return "ec2" if own == "ec2" else "query"
    return own if own in ("query", "ec2") else "rest-json"


def match(service: services.Service, request: exchange.Request) -> Match:
    """The operation that a request asks of a service. Raises Refused when there is none.

    Its path is taken as it is signed.
    """
    request = replace(request, path=exchange.normalized(request.path))
    protocol = detect(request, service)
    labels: dict[str, str] = {}
    match protocol:
        case "rest-json":
            name, labels = _route(service, request)
        case "json-1.0" | "json-1.1":
            prefix, _, name = request.headers["x-amz-target"].rpartition(".")
            if request.method != "POST" or prefix != service.target_prefix:
                raise _unknown(protocol, request.headers["x-amz-target"])
        case "rpc-v2-cbor":
            name = _procedure(service, request)
        case "query" | "ec2":
            name = _action(service, protocol, request)
        case _:
            assert_never(protocol)
    if name not in service.operation_names:
        raise _unknown(protocol, name)
    operation = service.operation(name)
    if operation.streams:
        raise _refused(protocol, "not built", f"{name} streams events, which is not supported here.")
    return Match(protocol=protocol, operation=operation, labels=labels)


def _route(service: services.Service, request: exchange.Request) -> tuple[str, dict[str, str]]:
    path = request.path
    try:
        found = service.routes.find(request.method, path, request.query)
        if found is None and path.endswith("/"):
            # A slash at the end says nothing that models know.
            found = service.routes.find(request.method, path.removesuffix("/"), request.query)
    except exchange.Malformed as error:
        raise malformed("rest-json", error) from error
    if found is None:
        raise _unknown("rest-json", f"{request.method} {path[:200]}")
    return found


def _procedure(service: services.Service, request: exchange.Request) -> str:
    parts = request.path.split("/")
    if request.method != "POST" or len(parts) < 5 or (parts[-4], parts[-2]) != ("service", "operation"):
        raise _unknown("rpc-v2-cbor", f"{request.method} {request.path[:200]}")
    if parts[-3] != service.target_prefix:
        raise _unknown("rpc-v2-cbor", f"{parts[-3][:200]}.{parts[-1][:200]}")
    return parts[-1]


def _action(service: services.Service, protocol: exchange.Protocol, request: exchange.Request) -> str:
    if service.protocol not in ("query", "ec2") or request.method not in ("GET", "POST"):
        raise _unknown(protocol, f"{request.method} {request.path[:200]}")
    form = _form(protocol, request)
    name = form.get("Action", "")
    if not name:
        raise _refused(protocol, "no action", "The request must contain the parameter Action.")
    version = form.get("Version", service.api_version)
    if protocol == "query" and version != service.api_version:
        raise _unknown(protocol, name, version)
    return name


def _form(protocol: exchange.Protocol, request: exchange.Request) -> dict[str, str]:
    _check_size(protocol, request)
    try:
        return {**forms.fields(request.query), **forms.fields(request.body)}
    except exchange.Malformed as error:
        raise malformed(protocol, error) from error


def _unknown(protocol: exchange.Protocol, name: str, version: str = "") -> exchange.RequestRefused:
    match protocol:
        case "query":
            said = f"Could not find operation {name[:200]}" + (f" for version {version[:40]}" if version else "")
        case "ec2":
            said = f"The action {name[:200]} is not valid for this web service."
        case _:
            said = f"No operation {name[:400]}"
    return _refused(protocol, "no operation", said)


def _refused(protocol: exchange.Protocol, case: table.Case, message: str) -> exchange.RequestRefused:
    return exchange.RequestRefused(table.unserved(protocol, case, message))


def malformed(protocol: exchange.Protocol, error: exchange.Malformed) -> exchange.RequestRefused:
    """The protocol's answer to a message of the wrong form."""
    if protocol == "ec2" and error.reason.startswith("The parameter "):
        return _refused(protocol, "unknown parameter", error.reason)
    return _refused(protocol, "malformed", error.message)


def _check_size(protocol: exchange.Protocol, request: exchange.Request) -> None:
    if len(request.body) > exchange.MAX_BODY:
        said = f"The body has {len(request.body)} bytes; at most {exchange.MAX_BODY} are taken."
        raise _refused(protocol, "too large", said)


def parse_input(found: Match, request: exchange.Request) -> dict[str, Any]:
    """The operation's input, with the keys boto3 has; types are right, constraints unchecked (see `validate`).

    Timestamps are aware datetimes in UTC, blobs bytes. Raises Refused.
    """
    _check_size(found.protocol, request)
    shape = found.operation.input
    if shape is None:
        return {}
    try:
        match found.protocol:
            case "rest-json":
                return rest.read_input(shape, request, found.labels)
            case "json-1.0" | "json-1.1":
                return trees.read(shape, trees.decode_json(request.body), "json", whole=True)
            case "rpc-v2-cbor":
                return trees.read(shape, cbor.decode(request.body) if request.body else {}, "cbor", whole=True)
            case "query" | "ec2" as dialect:
                return forms.read(shape, _form(dialect, request), dialect)
            case _:
                assert_never(found.protocol)
    except exchange.Malformed as error:
        raise malformed(found.protocol, error) from error


def render_output(
    service: services.Service,
    operation: shapes.Operation,
    protocol: exchange.Protocol,
    values: dict[str, Any],
    request_id: str,
) -> exchange.Response:
    """The answer to an operation that succeeded. Raises Failed for values that do not fit the model."""
    headers = {"x-amzn-requestid": request_id}
    shape = operation.output
    match protocol:
        case "rest-json":
            body = rest.write_body(shape, values)
            headers.update(rest.write_headers(shape, values))
            headers["content-type"] = "application/json"
            return exchange.Response(_status(operation, values), headers, body)
        case "json-1.0" | "json-1.1":
            headers["content-type"] = f"application/x-amz-{protocol}"
            tree = trees.write(shape, values, "json", whole=True) if shape is not None else {}
            return exchange.Response(200, headers, msgspec.json.encode(tree))
        case "rpc-v2-cbor":
            headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            tree = trees.write(shape, values, "cbor", whole=True) if shape is not None else {}
            return exchange.Response(200, headers, cbor.encode(tree))
        case "query" | "ec2":
            headers["content-type"] = "text/xml;charset=UTF-8"
            content = markup.render(operation, values, protocol, service.xml_namespace, request_id)
            return exchange.Response(200, headers, content)
        case _:
            assert_never(protocol)


def _status(operation: shapes.Operation, values: Mapping[str, Any]) -> int:
    for ref in operation.output.members.values() if operation.output else ():
        if ref.location == "statusCode" and isinstance(status := values.get(ref.key), int):
            return status
    return operation.status


def render_error(
    service: services.Service | None, protocol: exchange.Protocol, fault: exchange.Fault, request_id: str
) -> exchange.Response:
    """The answer to an operation that failed. A modelled error has the model's status.

    Members of the fault that its shape lacks are left out; Failed for those whose values do not fit it.

    JSON and CBOR name an error by its shape, query and ec2 by its code, as AWS does: cloudtrail's shape
    TrailNotFoundException has the code TrailNotFound, and its clients are told the former.
    """
    # A message may repeat what the caller sent, lone surrogates and all.
    fault = replace(fault, message=fault.message.encode("utf-8", "replace").decode())
    shape = service.error(fault.code) if service is not None else None
    if shape is not None and shape.error is not None:
        fault = replace(fault, status=shape.error.status, sender=shape.error.sender)
        known = {key: value for key, value in fault.members.items() if key in shape.members}
        fault = replace(fault, members={key: value for key, value in known.items() if key.lower() != "message"})
    headers = {"x-amzn-requestid": request_id}
    if protocol == "query" or protocol == "ec2":
        if shape is not None and shape.error is not None:
            fault = replace(fault, code=shape.error.code)
        headers["content-type"] = "text/xml;charset=UTF-8"
        namespace = service.xml_namespace if service is not None else None
        return exchange.Response(
            fault.status, headers, markup.render_error(fault, shape, protocol, namespace, request_id)
        )
    name = shape.name if shape is not None else fault.code
    if service is not None and service.query_compatible:
        code = shape.error.code if shape is not None and shape.error is not None else fault.code
        headers["x-amzn-query-error"] = f"{code};{'Sender' if fault.sender else 'Receiver'}"
    if protocol == "rpc-v2-cbor":
        headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return exchange.Response(fault.status, headers, cbor.encode(_error_tree(shape, name, fault, "cbor")))
    tree = _error_tree(shape, name, fault, "json")
    headers["content-type"] = "application/json" if protocol == "rest-json" else f"application/x-amz-{protocol}"
    if protocol == "rest-json":
        headers |= rest.write_headers(shape, fault.members)
        headers["x-amzn-errortype"] = name
    return exchange.Response(fault.status, headers, msgspec.json.encode(tree))


def _error_tree(shape: shapes.Shape | None, name: str, fault: exchange.Fault, form: trees.Form) -> dict[str, Any]:
    members = trees.write(shape, dict(fault.members), form) if shape is not None else {}
    said = next((ref for ref in (shape.body.values() if shape else ()) if ref.key.lower() == "message"), None)
    key = "message" if said is None else said.name if form == "json" else said.key
    return {"__type": name, key: fault.message, **members}
