"""Bodies that are packed, in chunks, or too large when unpacked; paths with a slash at the end: by boto3, over HTTP."""

from __future__ import annotations

import dataclasses
import gzip
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from testkit import api_served
from tests.unit import aws_api

from roadstead.aws.http import dispatch
from roadstead.wire import coding, exchange

CLUSTER: dict[str, Any] = {"roleArn": "arn:aws:iam::123456789012:role/eks", "resourcesVpcConfig": {}}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("serve")
    with api_served.served(folder / "state", folder / "home") as running:
        yield running


def changed(serve: api_served.Served, service: str, change: Callable[[Any], None]) -> Any:
    """A client whose requests are changed before they are signed, as a client's middleware does it."""
    client = serve.client(service)
    client.meta.events.register("before-sign", lambda request, **_: change(request))
    return client


def packed(*codings: str, pack: Callable[[bytes], bytes] = gzip.compress) -> Callable[[Any], None]:
    def change(request: Any) -> None:
        body = request.data
        if isinstance(body, dict):
            # A form, which requests encode when they are sent.
            body = urllib.parse.urlencode(body)
        request.data = pack(body.encode() if isinstance(body, str) else body)
        request.headers["Content-Encoding"] = ", ".join(codings or ("gzip",))

    return change


def slashed(request: Any) -> None:
    request.url = f"{request.url}/"


def refused(call: Callable[..., Any], **asked: Any) -> tuple[str, int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**asked)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_bodies_in_gzip_are_unpacked(serve: api_served.Served) -> None:
    for coding_ in ("gzip", "x-gzip", "identity, GZIP"):
        name = f"packed-{coding_.rpartition(' ')[2].lower()}-{len(coding_)}"
        eks = changed(serve, "eks", packed(coding_))
        assert eks.create_cluster(name=name, **CLUSTER)["cluster"]["name"] == name
        assert changed(serve, "sts", packed(coding_)).get_caller_identity()["Account"]
        assert changed(serve, "ec2", packed(coding_)).create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        assert changed(serve, "logs", packed(coding_)).describe_log_groups()["logGroups"] == []


@pytest.mark.parametrize(("service", "operation"), [("eks", "create_cluster"), ("sts", "get_caller_identity")])
def test_other_codings_are_refused_by_name(serve: api_served.Served, service: str, operation: str) -> None:
    asked = {"name": "other", **CLUSTER} if service == "eks" else {}
    for change, said in (
        (packed("br"), "'br' is not taken: gzip is"),
        (packed("deflate", pack=zlib.compress), "'deflate' is not taken"),
        (packed("gzip", "zstd"), "'zstd' is not taken"),
        (packed("gzip", "gzip"), "more than once"),
        (packed("gzip", pack=lambda body: body or b"x"), "not packed as its content-encoding says"),
        (packed("gzip", pack=lambda body: gzip.compress(body)[:-4]), "ends within"),
        (packed("gzip", pack=lambda body: gzip.compress(body) * 2), "goes on behind"),
        (packed("aws-chunked"), "aws-chunked) are S3's alone"),
    ):
        code, status, message = refused(getattr(changed(serve, service, change), operation), **asked)
        assert (code, status) == ("MalformedHttpRequestException", 400)
        assert said in message
    with pytest.raises(serve.client("eks").exceptions.ResourceNotFoundException):
        serve.client("eks").describe_cluster(name="other")


@pytest.mark.parametrize(("service", "operation"), [("eks", "create_cluster"), ("sts", "get_caller_identity")])
def test_chunks_that_are_signed_each_are_refused_by_name(
    serve: api_served.Served, service: str, operation: str
) -> None:
    client = serve.client(service)

    def streaming(request: Any, **_: Any) -> None:
        request.headers["X-Amz-Content-SHA256"] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

    client.meta.events.register("before-send", streaming)
    client.meta.events.register(
        "before-sign", lambda request, **_: request.headers.add_header("X-Amz-Content-SHA256", "x")
    )
    code, status, message = refused(
        getattr(client, operation), **({"name": "c", **CLUSTER} if service == "eks" else {})
    )
    assert (code, status) == ("MalformedHttpRequestException", 400)
    assert "send it whole" in message


def test_what_is_small_until_it_is_unpacked_is_too_large(serve: api_served.Served) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 100_000
    eks = changed(serve, "eks", packed(pack=lambda _: bomb))
    before = serve.memory()
    for _ in range(5):
        code, status, message = refused(eks.create_cluster, name="bomb", **CLUSTER)
        assert (code, status) == ("RequestEntityTooLargeException", 413)
        assert "when it is unpacked" in message
    # Unpacked as far as the limit, and not kept.
    assert serve.memory() - before < 16 * 1024


def test_all_that_was_unpacked_is_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST_UNPACKED", 3000)

    def story(place: aws_api.Place) -> None:
        iam = place.client("iam")
        iam.meta.events.register("before-sign", lambda request, **_: packed()(request))
        # One after the other there is room for each.
        for number in range(10):
            iam.create_user(UserName=f"user-{number}", Path=f"/{'a' * 500}/")
        code, status, message = refused(iam.list_users, PathPrefix=f"/{'a' * 500}/", Marker="x" * 4000)
        assert (code, status) == ("ServiceUnavailable", 503)
        assert "when it is unpacked" in message

    aws_api.told(tmp_path, story)


def test_a_body_of_the_greatest_size_is_unpacked_whole() -> None:
    def told(size: int) -> int:
        request = exchange.Request("POST", "/", "", {"content-encoding": "gzip"}, gzip.compress(b"x" * size))
        return len(coding.plain("query", request).body)

    assert told(exchange.MAX_BODY) == exchange.MAX_BODY
    with pytest.raises(exchange.RequestRefused) as error:
        told(exchange.MAX_BODY + 1)
    assert error.value.fault.status == 413
    empty = exchange.Request("GET", "/clusters", "", {"content-encoding": "br"})
    assert coding.plain("rest-json", empty) is empty
    assert coding.plain("rest-json", dataclasses.replace(empty, headers={})).body == b""


def test_a_slash_at_the_end_of_a_path_says_nothing(serve: api_served.Served) -> None:
    eks = changed(serve, "eks", slashed)
    assert eks.create_cluster(name="slashed", **CLUSTER)["cluster"]["name"] == "slashed"
    assert "slashed" in eks.list_clusters()["clusters"]
    assert eks.describe_cluster(name="slashed")["cluster"]["name"] == "slashed"
    plain = serve.client("eks")
    assert plain.describe_cluster(name="slashed")["cluster"] == eks.describe_cluster(name="slashed")["cluster"]


def test_what_is_called_without_a_signature_is_told_not_to_be_built(serve: api_served.Served) -> None:
    sts = serve.client("sts")
    role = {"RoleArn": "arn:aws:iam::123456789012:role/web", "RoleSessionName": "session"}
    saml = {"RoleArn": role["RoleArn"], "PrincipalArn": "arn:aws:iam::123456789012:saml-provider/a"}
    for operation, asked in (
        ("assume_role_with_web_identity", {**role, "WebIdentityToken": "a.b.c"}),
        ("assume_role_with_saml", {**saml, "SAMLAssertion": "PHNhbWw+" * 12_500}),
        ("assume_role", role),
    ):
        code, status, message = refused(getattr(sts, operation), **asked)
        name = {"assume_role": "AssumeRole"}.get(operation) or operation.title().replace("_", "").replace(
            "Saml", "SAML"
        )
        assert (code, status) == ("UnsupportedOperation", 501)
        assert f"does not do sts {name}" in message
    packs = changed(serve, "sts", packed())
    assert refused(packs.assume_role_with_web_identity, **role, WebIdentityToken="a.b.c")[:2] == (
        "UnsupportedOperation",
        501,
    )
