"""Requests that are wrong in one way each, for any operation by its model, and who answers them in process."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.unit import aws_api
from tests.wire import samples

from roadstead.aws import registry
from roadstead.wire import client, exchange, services, shapes, sigv4

HOST = "127.0.0.1:4566"
WRONG = {
    "boolean": "perhaps",
    "integer": "many",
    "long": "many",
    "timestamp": "then",
    "list": "x",
    "structure": "x",
    "map": "x",
}
"""By the kind of a member: what a form has for it that it cannot be."""


@dataclass(frozen=True)
class Told:
    """What was answered. `code` is empty for what succeeded."""

    code: str
    status: int
    message: str = ""

    @property
    def both(self) -> tuple[str, int]:
        return self.code, self.status


class Stranger:
    """Sends requests that no SDK would."""

    def __init__(self, place: aws_api.Place) -> None:
        self._place = place
        assert place.account.secret is not None
        self.keys = sigv4.Credentials(place.account.account.access_key, place.account.secret)
        self.account = place.account.account.id

    def answer(self, request: exchange.Request, service: services.Service) -> Told:
        answered = self._place.send(request)
        if answered.status < 300:
            return Told("", answered.status)
        fault = client.parse_error(service, answered, service.protocol)
        return Told(fault.code, answered.status, fault.message)

    def call(self, bound: registry.Bound, values: Mapping[str, Any]) -> Told:
        """The answer to a well-signed call."""
        plain = client.serialize(bound.service, bound.operation, dict(values))
        return self.answer(self.signed(bound.service, plain), bound.service)

    def signed(
        self,
        service: services.Service,
        plain: exchange.Request,
        *,
        keys: sigv4.Credentials | None = None,
        region: str = aws_api.REGION,
        scope: str = "",
        late: int = 0,
    ) -> exchange.Request:
        """Signed so many minutes ago."""
        bare = replace(plain, headers={**plain.headers, "host": HOST})
        now = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=late)
        return sigv4.sign(bare, keys or self.keys, region, scope or service.signing_name, now)


def sampled(operation: shapes.Operation) -> dict[str, Any]:
    """A minimal input with the model's types, of no sense."""
    return samples.Sampler(1, full=False).structure(operation.input) if operation.input else {}


def by_signature(stranger: Stranger, bound: registry.Bound) -> Iterator[tuple[str, exchange.Request]]:
    """What is refused whatever is asked: the way, and the request."""
    service = bound.service
    plain = client.serialize(service, bound.operation, sampled(bound.operation))
    other = sigv4.Credentials("AKIAIOSFODNN7EXAMPLE", stranger.keys.secret)
    coded = replace(plain, body=plain.body or b"x", headers={**plain.headers, "content-encoding": "br"})
    chunked = stranger.signed(
        service, replace(plain, headers={**plain.headers, "x-amz-content-sha256": sigv4.UNSIGNED_PAYLOAD})
    ).headers
    chunked = {**chunked, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}
    signed = stranger.signed(service, plain)
    yield "unsigned", replace(plain, headers={**plain.headers, "host": HOST})
    yield "half signed", replace(signed, headers={**signed.headers, "authorization": "AWS4-HMAC-SHA256 Credential=x"})
    yield "unknown key", stranger.signed(service, plain, keys=other)
    yield "session", stranger.signed(service, plain, keys=replace(stranger.keys, token="t"))
    yield "wrong secret", stranger.signed(service, plain, keys=replace(stranger.keys, secret="x"))
    yield "old", stranger.signed(service, plain, late=20)
    yield "ahead", stranger.signed(service, plain, late=-20)
    yield "region", stranger.signed(service, plain, region="eu-nowhere-9")
    yield "scope", stranger.signed(service, plain, scope="lambda")
    yield "coding", stranger.signed(service, coded)
    yield "chunks", replace(plain, headers=chunked)
    yield "method", stranger.signed(service, replace(plain, method="PATCH"))


def by_form(stranger: Stranger, bound: registry.Bound) -> Iterator[tuple[str, exchange.Request]]:
    """What its codec or its model does not allow."""
    service, operation = bound.service, bound.operation
    values = sampled(operation)
    plain = client.serialize(service, operation, values)
    form = service.protocol in ("query", "ec2")
    if form:
        yield "damaged", stranger.signed(service, replace(plain, body=plain.body + b"&x=%ff"))
        yield "unknown member", stranger.signed(service, replace(plain, body=plain.body + b"&Nothing=x"))
        renamed = plain.body.replace(f"Action={operation.name}".encode(), b"Action=Nothing")
        yield "operation", stranger.signed(service, replace(plain, body=renamed))
        actionless = plain.body.replace(f"Action={operation.name}&".encode(), b"")
        yield "no action", stranger.signed(service, replace(plain, body=actionless))
    elif plain.body:
        yield "damaged", stranger.signed(service, replace(plain, body=b"{"))
        yield "damaged", stranger.signed(service, replace(plain, body=b"\xff{}"))
    members = operation.input.members if operation.input else {}
    for key, ref in members.items():
        if ref.location is not None:
            continue
        if key in (operation.input.required if operation.input else ()):
            less = {other: value for other, value in values.items() if other != key}
            yield "missing", stranger.signed(service, client.serialize(service, operation, less))
        if form and ref.shape.kind in WRONG:
            name = ref.form if service.protocol == "ec2" else ref.name
            body = plain.body + f"&{name}={WRONG[ref.shape.kind]}".encode()
            yield "type", stranger.signed(service, replace(plain, body=body))
        if not form:
            tree = json.loads(plain.body or b"{}")
            tree[ref.name] = 1 if ref.shape.kind == "string" else "x"
            yield "type", stranger.signed(service, replace(plain, body=json.dumps(tree).encode()))
        if ref.shape.kind == "string" and (ref.shape.maximum or ref.shape.pattern or ref.shape.enum):
            way = "no such type" if ref.shape.name == "InstanceType" else "constraint"
            long = {**values, key: "ü" * (int(ref.shape.maximum or 10) + 1)}
            yield way, stranger.signed(service, client.serialize(service, operation, long))
