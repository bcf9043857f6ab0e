"""botocore as the other side of the wire: its client codec, in process."""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import Any
from unittest import mock

import botocore.auth  # type: ignore[import-untyped]
import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.credentials  # type: ignore[import-untyped]
import botocore.loaders  # type: ignore[import-untyped]
import botocore.model  # type: ignore[import-untyped]
import botocore.parsers  # type: ignore[import-untyped]
import botocore.serialize  # type: ignore[import-untyped]
from tests.wire import corners

from roadstead.wire import exchange, services, sigv4

SERVICES = (
    "eks",
    "eks-auth",
    "iam",
    "sts",
    "ec2",
    "logs",
    "cloudtrail",
    "servicediscovery",
    "appmesh",
    "elbv2",
    "cloudformation",
    "autoscaling",
    "roadstead",
    *corners.MODELS,
)
NAMES: dict[exchange.Protocol, str] = {
    "rest-json": "rest-json",
    "json-1.0": "json",
    "json-1.1": "json",
    "query": "query",
    "ec2": "ec2",
    "rpc-v2-cbor": "smithy-rpc-v2-cbor",
}


@functools.cache
def ours(name: str) -> services.Service:
    return services.parse(name, corners.MODELS[name]) if name in corners.MODELS else services.load(name)


@functools.cache
def theirs(name: str) -> Any:
    if name in corners.MODELS:
        return botocore.model.ServiceModel(json.loads(corners.MODELS[name]), name)
    loader = botocore.loaders.Loader(extra_search_paths=[str(services.OURS)])
    return botocore.model.ServiceModel(loader.load_service_model(name, "service-2"), name)


def protocols(name: str) -> tuple[exchange.Protocol, ...]:
    """What a service is spoken to in: its own, and for those with a target JSON and CBOR."""
    service = ours(name)
    if service.target_prefix is not None:
        # Of locationNames botocore's CBOR writes and does not read; Smithy has none in CBOR. No service has both.
        return ("json-1.0",) if name == "corners-json" else ("json-1.1", "rpc-v2-cbor")
    return (service.protocol,)


def send(name: str, operation: str, values: dict[str, Any], protocol: exchange.Protocol) -> exchange.Request:
    """The request as botocore would send it."""
    model = theirs(name).operation_model(operation)
    serializer = botocore.serialize.create_serializer(NAMES[protocol], include_validation=False)
    raw = serializer.serialize_to_request(values, model)
    request = botocore.awsrequest.AWSRequest(
        method=raw["method"],
        url="https://host" + raw["url_path"],
        params=raw["query_string"] or {},
        headers=raw["headers"],
        data=raw["body"],
    )
    prepared = request.prepare()
    headers = [
        (key, value.decode() if isinstance(value, bytes) else str(value)) for key, value in prepared.headers.items()
    ]
    body = prepared.body or b""
    return exchange.Request.make(
        prepared.method,
        prepared.url.removeprefix("https://host"),
        headers,
        body.encode() if isinstance(body, str) else body,
    )


def receive(
    name: str, operation: str, response: exchange.Response, protocol: exchange.Protocol
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What botocore makes of a response: the output (or error) and its ResponseMetadata."""
    shape = theirs(name).operation_model(operation).output_shape
    parsed = _parser(protocol).parse(_raw(response), shape)
    return parsed, parsed.pop("ResponseMetadata", {})


def receive_error(name: str, shape: str, response: exchange.Response, protocol: exchange.Protocol) -> dict[str, Any]:
    """The members of a modelled error as botocore sees them."""
    parsed = _parser(protocol).parse(_raw(response), theirs(name).shape_for(shape))
    parsed.pop("ResponseMetadata", None)
    return dict(parsed)


def _raw(response: exchange.Response) -> dict[str, Any]:
    return {
        "status_code": response.status,
        "headers": botocore.awsrequest.HeadersDict(response.headers),
        "body": response.body,
        "context": {},
    }


def _parser(protocol: exchange.Protocol) -> Any:
    return botocore.parsers.create_parser(NAMES[protocol])


def sign(
    plain: exchange.Request, keys: sigv4.Credentials, region: str, service: str, now: dt.datetime, expires: int | None
) -> exchange.Request:
    """The request signed by botocore: by header, or presigned (and then without its body) to live `expires` seconds."""
    url = f"https://{plain.headers['host']}"
    credentials = botocore.credentials.Credentials(keys.access_key, keys.secret, keys.token)
    request = botocore.awsrequest.AWSRequest(
        method=plain.method,
        url=url + plain.target,
        headers={name: value for name, value in plain.headers.items() if name != "host"},
        # botocore would move a body into the query of a presigned URL.
        data=b"" if expires is not None else plain.body,
    )
    if expires is None:
        signer = botocore.auth.SigV4Auth(credentials, service, region)
    else:
        signer = botocore.auth.SigV4QueryAuth(credentials, service, region, expires)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        signer.add_auth(request)
    sent = [("Host", plain.headers["host"]), *((key, str(value)) for key, value in request.headers.items())]
    body = plain.body if expires is None else b""
    return exchange.Request.make(plain.method, request.url.removeprefix(url), sent, body)
