"""The models: read from the files that botocore ships (only the files: botocore itself is never imported) and ours.

`load("eks")` reads and unpacks one service, 4 ms for eks and 30 ms for ec2, and keeps what is needed of it; shapes
are resolved when an operation is first asked for. The caller keeps the `Service`: nothing is cached here.
"""

from __future__ import annotations

import gzip
import importlib.util
import threading
from pathlib import Path
from typing import cast

import msgspec

from roadstead.core import errors
from roadstead.wire import exchange, shapes
from roadstead.wire.codec import rest

OURS = Path(__file__).parent / "models"


class _Ref(msgspec.Struct, frozen=True, rename="camel"):
    shape: str
    location_name: str | None = None
    query_name: str | None = None
    location: str | None = None
    flattened: bool | None = None
    timestamp_format: str | None = None
    idempotency_token: bool = False
    jsonvalue: bool = False
    result_wrapper: str | None = None


class _ErrorTraits(msgspec.Struct, frozen=True, rename="camel"):
    code: str | None = None
    http_status_code: int = 400
    sender_fault: bool | None = None


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    members: dict[str, _Ref] = {}
    member: _Ref | None = None
    key: _Ref | None = None
    value: _Ref | None = None
    required: list[str] = []
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    enum: list[str] = []
    location_name: str | None = None
    flattened: bool = False
    timestamp_format: str | None = None
    payload: str | None = None
    union: bool = False
    document: bool = False
    eventstream: bool = False
    sensitive: bool = False
    exception: bool = False
    fault: bool = False
    error: _ErrorTraits | None = None


class _Http(msgspec.Struct, frozen=True, rename="camel"):
    method: str = "POST"
    request_uri: str = "/"
    response_code: int = 200


class _Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    host_prefix: str | None = None


class _Operation(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    http: _Http = _Http()
    input: _Ref | None = None
    output: _Ref | None = None
    errors: list[_Ref] = []
    endpoint: _Endpoint | None = None
    authtype: str | None = None


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    endpoint_prefix: str
    protocol: str
    service_id: str = ""
    protocols: list[str] = []
    json_version: str = "1.0"
    signing_name: str | None = None
    target_prefix: str | None = None
    xml_namespace: str | None = None
    aws_query_compatible: dict[str, str] | None = None


class _Model(msgspec.Struct, frozen=True):
    metadata: _Metadata
    operations: dict[str, _Operation]
    shapes: dict[str, _Shape]


class Service:
    """One service's model. Operations and shapes are resolved at their first use and then kept.

    May be asked by many threads.
    """

    def __init__(self, name: str, model: _Model) -> None:
        about = model.metadata
        self.name = name
        self.service_id = about.service_id
        self.api_version = about.api_version
        self.signing_name = about.signing_name or about.endpoint_prefix
        """The service's name in the scope of a credential."""
        self.protocol = _protocol(about)
        """What clients of this model speak by themselves; the services understand what a request is written in."""
        self.target_prefix = about.target_prefix
        """What stands before the operation in X-Amz-Target and in the paths of rpc-v2-cbor."""
        self.xml_namespace = about.xml_namespace
        self.query_compatible = about.aws_query_compatible is not None
        self.operation_names = tuple(model.operations)
        self.unsigned = frozenset(name for name, raw in model.operations.items() if raw.authtype == "none")
        """Operations that are called without a signature, by whoever has no key yet."""
        self.routes = rest.Routes(
            {name: (op.http.method, op.http.request_uri) for name, op in model.operations.items()}
            if self.protocol == "rest-json"
            else {}
        )
        self._model = model
        self._operations: dict[str, shapes.Operation] = {}
        self._shapes: dict[str, shapes.Shape] = {}
        self._resolving = threading.RLock()
        """A structure may have itself among its members, so it is kept before they are: nobody else sees it so."""
        self._error_names = {
            code: name
            for name, raw in model.shapes.items()
            if raw.exception
            for code in ((raw.error.code if raw.error else None) or name, name)
        }

    def operation(self, name: str) -> shapes.Operation:
        """Raises NotFound for an operation that the model lacks."""
        # What is here is whole.
        if found := self._operations.get(name):
            return found
        with self._resolving:
            return self._operations.get(name) or self._operation(name)

    def shape(self, name: str) -> shapes.Shape:
        """A shape by its name in the model. Raises NotFound."""
        with self._resolving:
            return self._shapes.get(name) or self._shape(name)

    def error(self, code: str) -> shapes.Shape | None:
        """The shape of an error by its code on the wire or by its name in the model."""
        name = self._error_names.get(code)
        return self.shape(name) if name else None

    def _operation(self, name: str) -> shapes.Operation:
        if (raw := self._model.operations.get(name)) is None:
            raise errors.NotFound(f"{self.name} {self.api_version} has no operation {name}", operation=name)
        taken = self.shape(raw.input.shape) if raw.input else None
        made = shapes.Operation(
            name=name,
            method=raw.http.method,
            uri=raw.http.request_uri,
            status=raw.http.response_code,
            input=taken,
            output=self.shape(raw.output.shape) if raw.output else None,
            wrapper=raw.output.result_wrapper if raw.output else None,
            errors=tuple(self.shape(ref.shape) for ref in raw.errors),
            host_prefix=raw.endpoint.host_prefix if raw.endpoint else None,
            unsigned=raw.authtype == "none",
            idempotency_token=next(
                (ref.key for ref in (taken.members.values() if taken else ()) if ref.idempotency_token), None
            ),
        )
        self._operations[name] = made
        return made

    def _shape(self, name: str) -> shapes.Shape:
        if (raw := self._model.shapes.get(name)) is None:
            raise errors.NotFound(f"{self.name} {self.api_version} has no shape {name}", shape=name)
        if raw.type == "structure":
            return self._structure(name, raw)
        made = shapes.Shape(
            name=name,
            kind=_kind(raw.type),
            element=self._ref("member", raw.member) if raw.member else None,
            entry=(self._ref("key", raw.key), self._ref("value", raw.value)) if raw.key and raw.value else None,
            minimum=raw.min,
            maximum=raw.max,
            pattern=raw.pattern,
            enum=frozenset(raw.enum),
            enum_order=tuple(raw.enum),
            sensitive=raw.sensitive,
        )
        self._shapes[name] = made
        return made

    def _structure(self, name: str, raw: _Shape) -> shapes.Shape:
        members: dict[str, shapes.Ref] = {}
        body: dict[str, shapes.Ref] = {}
        made = shapes.Shape(
            name=name,
            kind="structure",
            members=members,
            body=body,
            required=tuple(raw.required),
            union=raw.union,
            document=raw.document,
            event_stream=raw.eventstream,
            payload=raw.payload,
            sensitive=raw.sensitive,
            error=_error_traits(name, raw),
        )
        self._shapes[name] = made
        for key, ref in raw.members.items():
            members[key] = self._ref(key, ref)
        body.update({ref.name: ref for ref in members.values() if ref.location is None})
        return made

    def _ref(self, key: str, raw: _Ref) -> shapes.Ref:
        target = self._model.shapes[raw.shape]
        given = raw.location_name or target.location_name
        flattened = target.flattened if raw.flattened is None else raw.flattened
        name = given or key
        if flattened and target.type == "list" and target.member and target.member.location_name:
            # The elements of a flattened list stand in the list's place, under their own name.
            name = target.member.location_name
        return shapes.Ref(
            key=key,
            name=name,
            form=raw.query_name or (given[0].upper() + given[1:] if given else key),
            shape=self.shape(raw.shape),
            named=given is not None,
            location=cast("shapes.Location | None", raw.location),
            flattened=flattened,
            timestamp_format=cast(
                "shapes.TimestampFormat | None", (raw.timestamp_format or target.timestamp_format or "").lower() or None
            ),
            idempotency_token=raw.idempotency_token,
            json_value=raw.jsonvalue,
        )


def load(name: str) -> Service:
    """The newest version of a service's model, ours or botocore's. Raises NotFound."""
    for root in (OURS, _botocore_data()):
        versions = sorted(path for path in (root / name).glob("*/service-2.json*") if "sdk-extras" not in path.name)
        if versions:
            return parse(name, versions[-1].read_bytes())
    raise errors.NotFound(f"no model of a service {name!r} is installed", service=name)


def parse(name: str, content: bytes) -> Service:
    """A service from the content of a service-2.json, gzipped or not. Raises Invalid when it is not one."""
    try:
        plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        return Service(name, msgspec.json.decode(plain, type=_Model))
    except (OSError, EOFError, msgspec.DecodeError) as error:
        raise errors.Invalid(f"the model of {name} is not a service-2.json: {error}", service=name) from error


def _botocore_data() -> Path:
    spec = importlib.util.find_spec("botocore")
    if spec is None or spec.origin is None:
        raise errors.NotFound("botocore, whose models describe the AWS services, is not installed")
    return Path(spec.origin).parent / "data"


def _protocol(about: _Metadata) -> exchange.Protocol:
    match about.protocol:
        case "rest-json" | "query" | "ec2":
            return about.protocol
        case "json":
            return "json-1.1" if about.json_version == "1.1" else "json-1.0"
        case "smithy-rpc-v2-cbor":
            return "rpc-v2-cbor"
        case other:
            raise errors.Invalid(f"a model speaks {other!r}, which no codec knows", protocol=other)


def _kind(type: str) -> shapes.Kind:
    match type:
        case "list" | "map" | "string" | "integer" | "long" | "float" | "double" | "boolean" | "timestamp" | "blob":
            return type
        case "character":
            return "string"
        case "bigdecimal":
            return "double"
        case _:
            raise errors.Invalid(f"a model has a shape of type {type!r}, which no codec knows", type=type)


def _error_traits(name: str, raw: _Shape) -> shapes.ErrorTraits | None:
    if not raw.exception:
        return None
    if raw.error is None:
        return shapes.ErrorTraits(code=name, status=500 if raw.fault else 400, sender=not raw.fault)
    sender = raw.error.sender_fault if raw.error.sender_fault is not None else raw.error.http_status_code < 500
    return shapes.ErrorTraits(code=raw.error.code or name, status=raw.error.http_status_code, sender=sender)
