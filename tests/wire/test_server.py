"""Which protocol, which operation, and what is refused: with the right code, and never by another exception."""

from __future__ import annotations

import datetime as dt
import functools
import json
import os
import subprocess
import sys
import urllib.parse
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire import peer, samples

from roadstead.core import errors
from roadstead.wire import client, exchange, server, validate
from roadstead.wire.codec import cbor, markup

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
CBOR = {"smithy-protocol": "rpc-v2-cbor"}


def post(body: bytes = b"", path: str = "/", **headers: str) -> exchange.Request:
    return exchange.Request("POST", path, "", {name.replace("_", "-"): text for name, text in headers.items()}, body)


def form(service: str, action: str, **fields: str) -> exchange.Request:
    body = urllib.parse.urlencode({"Action": action, "Version": peer.ours(service).api_version, **fields})
    return exchange.Request("POST", "/", "", FORM, body.encode())


def target(service: str, operation: str, body: bytes) -> exchange.Request:
    return post(body, x_amz_target=f"{peer.ours(service).target_prefix}.{operation}")


def parse(service: str, request: exchange.Request) -> dict[str, Any]:
    return server.parse_input(server.match(peer.ours(service), request), request)


def refused(service: str, request: exchange.Request) -> exchange.Fault:
    with pytest.raises(exchange.RequestRefused) as error:
        parse(service, request)
    assert isinstance(error.value, errors.Invalid)
    return error.value.fault


@pytest.mark.parametrize(
    ("service", "request_", "protocol"),
    [
        ("eks", exchange.Request("GET", "/clusters"), "rest-json"),
        ("eks", exchange.Request("POST", "/clusters", "", FORM), "rest-json"),
        ("servicediscovery", post(x_amz_target="Route53AutoNaming_v20170314.ListServices"), "json-1.1"),
        ("logs", post(x_amz_target="x", content_type="application/x-amz-json-1.0"), "json-1.0"),
        ("servicediscovery", post(path="/service/x/operation/y", smithy_protocol="rpc-v2-cbor"), "rpc-v2-cbor"),
        ("iam", form("iam", "GetRole"), "query"),
        ("ec2", form("ec2", "DescribeVpcs"), "ec2"),
        ("sts", exchange.Request("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15"), "query"),
        (None, exchange.Request("GET", "/", "Action=GetCallerIdentity"), "query"),
        (None, exchange.Request("GET", "/"), "rest-json"),
    ],
)
def test_the_protocol_is_chosen_by_the_request(service: str | None, request_: exchange.Request, protocol: str) -> None:
    assert server.detect(request_, peer.ours(service) if service else None) == protocol


def test_arns_in_paths() -> None:
    arn = "arn:aws:eks:eu-central-1:123456789012:nodegroup/one/two/three"
    request = exchange.Request(
        "GET", "/tags/arn%3Aaws%3Aeks%3Aeu-central-1%3A123456789012%3Anodegroup%2Fone%2ftwo%2Fthree"
    )
    found = server.match(peer.ours("eks"), request)
    assert found.operation.name == "ListTagsForResource"
    assert server.parse_input(found, request) == {"resourceArn": arn}
    assert refused("eks", exchange.Request("GET", f"/tags/{arn}")).code == "UnknownOperationException"


def test_literals_go_before_labels_and_greedy_labels_take_slashes() -> None:
    service = peer.ours("corners-rest")
    for path, name in (("/things/list/parts/1", "Literal"), ("/things/other/parts/1", "Everything")):
        assert server.match(service, exchange.Request("PUT", path, "kind=every")).operation.name == name
    found = server.match(service, exchange.Request("GET", "/keys/a%2Fb/c/end"))
    assert found.labels == {"rest": "a/b/c"}
    assert refused("corners-rest", exchange.Request("PUT", "/things/a/parts/1", "kind=other")).status == 404


def test_elements_of_a_list_go_by_their_numbers() -> None:
    fields = {"TagKeys.member.10": "c", "TagKeys.member.2": "b", "TagKeys.member.1": "a"}
    assert parse("iam", form("iam", "UntagRole", RoleName="r", **fields))["TagKeys"] == ["a", "b", "c"]


def test_xml_in_an_encoding_that_nobody_knows_is_malformed() -> None:
    with pytest.raises(exchange.Malformed):
        markup.parse(b'<?xml version="1.0" encoding="nope"?><a/>')


def test_xml_holds_what_it_can() -> None:
    service = peer.ours("sts")
    operation = service.operation("GetCallerIdentity")
    response = server.render_output(service, operation, "query", {"UserId": "a\r\nb\0c\ud800d"}, "r")
    parsed, _ = peer.receive("sts", "GetCallerIdentity", response, "query")
    assert parsed == {"UserId": "a\r\nb\ufffdc\ufffdd"}


def test_a_presigned_get_is_a_form() -> None:
    query = "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
    assert parse("sts", exchange.Request("GET", "/", query)) == {}


@pytest.mark.parametrize(
    ("service", "request_", "code", "status"),
    [
        ("eks", exchange.Request("GET", "/nothing"), "UnknownOperationException", 404),
        ("eks", exchange.Request("PATCH", "/clusters"), "UnknownOperationException", 404),
        ("eks", exchange.Request("GET", "/clusters/%zz"), "SerializationException", 400),
        ("eks", exchange.Request("GET", "/clusters/%ff"), "SerializationException", 400),
        ("eks", exchange.Request("GET", "/clusters", "maxResults=many"), "SerializationException", 400),
        ("eks", exchange.Request("GET", "/clusters", "maxResults=1&maxResults=2"), "SerializationException", 400),
        ("eks", post(b"{", "/clusters"), "SerializationException", 400),
        ("eks", post(b"[]", "/clusters"), "SerializationException", 400),
        ("eks", post(b'{"name": 1}', "/clusters"), "SerializationException", 400),
        ("eks", post(b'{"tags": {"a": null}}', "/clusters"), "SerializationException", 400),
        ("eks", post(b'{"deletionProtection": "true"}', "/clusters"), "SerializationException", 400),
        ("eks", post(b'{"name": "\\ud800"}', "/clusters"), "SerializationException", 400),
        ("eks", post(b" " * (exchange.MAX_BODY + 1), "/clusters"), "RequestEntityTooLargeException", 413),
        ("eks", post(b"[" * 100_000, "/clusters"), "SerializationException", 400),
        ("eks", post(x_amz_target="AmazonEKS.ListClusters"), "UnknownOperationException", 400),
        ("logs", target("logs", "Nothing", b"{}"), "UnknownOperationException", 400),
        ("logs", target("logs", "StartLiveTail", b"{}"), "UnsupportedOperationException", 501),
        ("logs", target("logs", "GetLogEvents", b'{"limit": 1.5}'), "SerializationException", 400),
        ("logs", target("logs", "GetLogEvents", b'{"limit": 2147483648}'), "SerializationException", 400),
        ("iam", form("iam", "Nothing"), "InvalidAction", 400),
        ("iam", form("iam", "GetRole", Version="1999-01-01"), "InvalidAction", 400),
        ("iam", exchange.Request("POST", "/", "", FORM, b"Version=2010-05-08"), "MissingAction", 400),
        ("iam", form("iam", "ListRoles", MaxItems="many"), "MalformedInput", 400),
        ("iam", form("iam", "TagRole", **{"Tags.member.x.Key": "a"}), "MalformedInput", 400),
        ("iam", form("iam", "TagRole", **{"Tags.1.Key": "a"}), "MalformedInput", 400),
        ("iam", form("iam", "GetRole", **{"RoleName.x": "a"}), "MalformedInput", 400),
        ("iam", form("iam", "GetRole", **{"RoleName..": "a"}), "MalformedInput", 400),
        ("iam", form("iam", "GetRole", **{"a." * 60 + "a": "a"}), "MalformedInput", 400),
        ("iam", exchange.Request("POST", "/", "", FORM, b"Action=GetRole&RoleName=%ff"), "MalformedInput", 400),
        ("iam", exchange.Request("POST", "/", "", FORM, b"&a=b" * 30_000), "MalformedInput", 400),
        ("ec2", form("ec2", "DescribeVpcs", MaxResults="x"), "InvalidParameterValue", 400),
        ("ec2", form("ec2", "DescribeVpcs", Extra="x"), "UnknownParameter", 400),
        ("ec2", form("ec2", "Nothing"), "InvalidAction", 400),
        (
            "servicediscovery",
            exchange.Request("POST", "/service/Route53AutoNaming_v20170314/operation/ListServices", "", CBOR, b"\xff"),
            "SerializationException",
            400,
        ),
        (
            "servicediscovery",
            exchange.Request("POST", "/service/Other/operation/ListServices", "", CBOR, b"\xa0"),
            "UnknownOperationException",
            404,
        ),
    ],
)
def test_refusals(service: str, request_: exchange.Request, code: str, status: int) -> None:
    fault = refused(service, request_)
    assert (fault.code, fault.status) == (code, status)
    response = server.render_error(peer.ours(service), server.detect(request_, peer.ours(service)), fault, "r")
    assert response.status == status
    assert code.encode() in response.body


def test_the_message_leads_to_the_place() -> None:
    body = {"logging": {"clusterLogging": [{"enabled": True}, {"types": ["api", 5]}]}}
    fault = refused("eks", post(json.dumps(body).encode(), "/clusters"))
    assert fault.message == "logging.clusterLogging.1.types.1: expected a string"


def test_recursion_is_limited() -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"children": [deep]}
    body = json.dumps({"node": deep}).encode()
    assert refused("corners-rest", post(json.dumps(deep).encode(), "/payload")).code == "SerializationException"
    request = exchange.Request("PUT", "/things/list/parts/1", "kind=every", {}, b'{"document":' + body + b"}")
    assert refused("corners-rest", request).code == "SerializationException"
    for nested in (b"\x81" * 100_000, b"\x9f" * 100_000, b"\xa1\x61a" * 50_000, b"\xc1" * 100_000):
        with pytest.raises(exchange.Malformed):
            cbor.decode(nested)


@pytest.mark.parametrize("body", ["9b00ffffffffffffff", "bb00ffffffffffffff", "5b7fffffffffffffff", "7a7fffffff", "81"])
def test_a_small_body_cannot_ask_for_a_large_memory(body: str) -> None:
    with pytest.raises(exchange.Malformed):
        cbor.decode(bytes.fromhex(body))


def test_cbor_of_the_standard() -> None:
    """Examples of RFC 8949, appendix A."""
    examples = {
        "1bffffffffffffffff": 2**64 - 1,
        "3903e7": -1000,
        "f93c00": 1.0,
        "fa47c35000": 100000.0,
        "fb3ff199999999999a": 1.1,
        "f97c00": float("inf"),
        "c11a514b67b0": dt.datetime(2013, 3, 21, 20, 4, tzinfo=dt.UTC),
        "c1fb41d452d9ec200000": dt.datetime(2013, 3, 21, 20, 4, 0, 500000, tzinfo=dt.UTC),
        "5f42010243030405ff": b"\x01\x02\x03\x04\x05",
        "7f657374726561646d696e67ff": "streaming",
        "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
        "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]},
        "f7": None,
    }
    for encoded, value in examples.items():
        assert cbor.decode(bytes.fromhex(encoded)) == value


def test_our_own_faults_are_failures_and_not_answers() -> None:
    service = peer.ours("eks")
    operation = service.operation("DescribeCluster")
    wrongs: list[dict[str, Any]] = [
        {"clsuter": {}},
        {"cluster": {"name": 5}},
        {"cluster": {"createdAt": "today"}},
        {"cluster": []},
    ]
    for wrong in wrongs:
        with pytest.raises(errors.Failed):
            server.render_output(service, operation, "rest-json", wrong, "r")


def test_headers_cannot_be_split() -> None:
    service = peer.ours("corners-rest")
    values = {"inHeader": "a\r\nset-cookie: x"}
    response = server.render_output(service, service.operation("Everything"), "rest-json", values, "r")
    assert response.headers["x-text"] == "a set-cookie: x"


def test_the_client_fills_the_idempotency_token() -> None:
    service = peer.ours("eks")
    operation = service.operation("CreateAddon")
    request = client.serialize(service, operation, {"clusterName": "a", "addonName": "b"}, token="t-1")
    assert json.loads(request.body)["clientRequestToken"] == "t-1"
    with pytest.raises(errors.Invalid):
        client.serialize(service, service.operation("DescribeCluster"), {"name": ""})


def test_a_page_of_a_proxy_is_told_by_its_status() -> None:
    response = exchange.Response(502, {"content-type": "text/html"}, b"<html>Bad Gateway")
    for name in ("eks", "iam", "servicediscovery"):
        service = peer.ours(name)
        operation = service.operation(service.operation_names[0])
        with pytest.raises(client.ServiceError) as error:
            client.parse(service, operation, response)
        assert (error.value.fault.code, error.value.fault.sender) == ("502", False)


def test_importing_the_room_imports_no_botocore() -> None:
    code = (
        "import sys; from roadstead.wire import client, server, sigv4, validate, services; services.load('eks'); "
        "sys.exit('botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


OPERATIONS = [
    ("eks", "CreateCluster", "rest-json"),
    ("eks", "CreateNodegroup", "rest-json"),
    ("appmesh", "CreateVirtualNode", "rest-json"),
    ("corners-rest", "Everything", "rest-json"),
    ("logs", "PutLogEvents", "json-1.1"),
    ("roadstead", "ListEvents", "json-1.1"),
    ("servicediscovery", "CreateService", "rpc-v2-cbor"),
    ("iam", "CreateRole", "query"),
    ("corners-query", "Everything", "query"),
    ("ec2", "RunInstances", "ec2"),
    ("corners-ec2", "Everything", "ec2"),
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.sampled_from(["NaN", "2020-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "1e300", "AAAA", "-1", "null"]),
)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner)),
    max_leaves=8,
)


@functools.cache
def sample(service: str, operation: str, seed: int) -> dict[str, Any]:
    shape = peer.ours(service).operation(operation).input
    assert shape is not None
    return samples.Sampler(seed, full=True).structure(shape)


def survives(service: str, request: exchange.Request) -> None:
    """Either an input that validation can judge, or a refusal that can be rendered."""
    known = peer.ours(service)
    try:
        found = server.match(known, request)
        values = server.parse_input(found, request)
    except exchange.RequestRefused as error:
        server.render_error(known, server.detect(request, known), error.fault, "r")
        return
    validate.sentence(validate.problems(found.operation.input, values))
    client.serialize(known, found.operation, values, protocol=found.protocol)


def mangled(data: st.DataObject, body: bytes) -> bytes:
    """The body cut off, or with some of its bytes changed, put in or left out."""
    out = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(out)))
        out[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    return bytes(out[: data.draw(st.sampled_from([None, len(out) // 2]))])


@settings(max_examples=600, deadline=None)
@given(st.data(), st.sampled_from(OPERATIONS), st.integers(0, 3))
def test_mangled_requests_are_refused_or_understood(
    data: st.DataObject, case: tuple[str, str, exchange.Protocol], seed: int
) -> None:
    name, operation, protocol = case
    service = peer.ours(name)
    values = sample(name, operation, seed)
    request = client.serialize(service, service.operation(operation), values, protocol=protocol)
    body = mangled(data, request.body)
    survives(name, exchange.Request(request.method, request.path, request.query, request.headers, body))
    path = mangled(data, request.path.encode()).decode("utf-8", "surrogateescape")
    query = mangled(data, request.query.encode()).decode("utf-8", "surrogateescape")
    headers = {
        key: mangled(data, text.encode()).decode("utf-8", "surrogateescape") for key, text in request.headers.items()
    }
    survives(name, exchange.Request(request.method, path, query, headers, request.body))


@settings(max_examples=600, deadline=None)
@given(st.data(), st.sampled_from(OPERATIONS), trees)
def test_other_types_are_refused_or_understood(
    data: st.DataObject, case: tuple[str, str, exchange.Protocol], tree: Any
) -> None:
    name, operation, protocol = case
    service = peer.ours(name)
    found = service.operation(operation)
    assert found.input is not None
    ref = data.draw(st.sampled_from(sorted(found.input.members)))
    request = client.serialize(service, found, sample(name, operation, 0), protocol=protocol)
    match protocol:
        case "rpc-v2-cbor":
            try:
                body = cbor.encode({ref: tree})
            except errors.Failed:
                return
        case "query" | "ec2":
            place = data.draw(st.sampled_from(["", ".1", ".member.1", ".entry.1.key", ".x"]))
            fields = {"Action": operation, ref[0].upper() + ref[1:] + place: str(tree), ref + place: str(tree)}
            body = urllib.parse.urlencode(fields, errors="surrogatepass").encode()
        case _:
            body = msgspec.json.encode({found.input.members[ref].name: tree})
    survives(name, exchange.Request(request.method, request.path, request.query, request.headers, body))


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(OPERATIONS), st.sampled_from([200, 400, 500]))
def test_mangled_answers_are_errors_that_the_cli_knows(
    data: st.DataObject, case: tuple[str, str, exchange.Protocol], status: int
) -> None:
    name, operation, protocol = case
    service = peer.ours(name)
    found = service.operation(operation)
    assert found.output is not None
    if status == 200:
        values = samples.Sampler(1, full=True).structure(found.output)
        response = server.render_output(service, found, protocol, values, "r")
    else:
        fault = exchange.Fault("Gone", "No.", status, members={"when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)})
        response = server.render_error(service, protocol, fault, "r")
    body = mangled(data, response.body)
    try:
        client.parse(service, found, exchange.Response(status, response.headers, body), protocol=protocol)
    except (client.ServiceError, exchange.Malformed):
        return
