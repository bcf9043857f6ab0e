"""Unmodified boto3 against a running serve: answers, pages, tokens, and every refusal in its protocol's words."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from testkit import api_served

from roadstead.machine import main
from roadstead.machine.aws import api
from roadstead.wire import exchange, sigv4

CLUSTER: dict[str, Any] = {"roleArn": "arn:aws:iam::123456789012:role/eks", "resourcesVpcConfig": {}}


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("serve")
    with api_served.served(folder / "state", folder / "home") as running:
        yield running
    assert running.process.returncode == 0
    assert not [line for line in running.lines if line["level"] == "NOT JSON"]


def refused(client: Any, operation: str, **asked: Any) -> dict[str, Any]:
    """The code, message and status of a call that is refused."""
    with pytest.raises(botocore.exceptions.ClientError) as error:
        getattr(client, operation)(**asked)
    response = error.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return {**response["Error"], "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_five_protocols_are_answered(serve: api_served.Served) -> None:
    identity = serve.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{identity['Account']}:user/admin"
    eks = serve.client("eks")
    eks.create_cluster(name="five", **CLUSTER)
    assert eks.describe_cluster(name="five")["cluster"]["status"] == "ACTIVE"
    eks.get_waiter("cluster_active").wait(name="five", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    vpc = serve.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    assert vpc in [{**one, "CidrBlock": "10.0.0.0/16"} for one in serve.client("ec2").describe_vpcs()["Vpcs"]]
    assert serve.client("logs").describe_log_groups()["logGroups"] == []
    assert len(serve.client("iam").list_users()["Users"]) == 5


def test_all_regions_are_served_and_kept_apart(serve: api_served.Served) -> None:
    serve.client("eks", region_name="us-west-2").create_cluster(name="far", **CLUSTER)
    assert "far" not in serve.client("eks").list_clusters()["clusters"]
    assert refused(serve.client("eks", region_name="eu-nowhere-9"), "list_clusters")["Status"] == 403


def test_paginators(serve: api_served.Served) -> None:
    eks = serve.client("eks", region_name="eu-west-1")
    names = [f"page-{number}" for number in range(7)]
    for name in names:
        eks.create_cluster(name=name, **CLUSTER)
    pages = list(eks.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 3}))
    assert [page["clusters"] for page in pages] == [names[:3], names[3:6], names[6:]]
    groups = eks.get_paginator("list_nodegroups").paginate(clusterName="x", PaginationConfig={"PageSize": 2})
    assert [len(page["nodegroups"]) for page in groups] == [2, 2, 2, 1]
    users = serve.client("iam").get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    assert [(len(page["Users"]), page["IsTruncated"]) for page in users] == [(2, True), (2, True), (1, False)]


def test_a_token_of_another_list_is_refused(serve: api_served.Served) -> None:
    eks, iam = serve.client("eks"), serve.client("iam")
    token = eks.list_nodegroups(clusterName="x", maxResults=1)["nextToken"]
    for asked in ({"clusterName": "y"}, {"clusterName": "x", "nextToken": "1"}):
        found = refused(eks, "list_nodegroups", **{"nextToken": token, **asked})
        assert (found["Code"], found["Status"]) == ("InvalidParameterException", 400)
    assert refused(iam, "list_users", Marker=token)["Code"] == "ValidationError"
    assert refused(serve.client("ec2"), "describe_vpcs", NextToken=token)["Code"] == "InvalidNextToken"


def test_idempotency_tokens(serve: api_served.Served) -> None:
    eks = serve.client("eks")
    first = eks.create_cluster(name="once", clientRequestToken="once", **CLUSTER)["cluster"]
    again = eks.create_cluster(name="once", clientRequestToken="once", **CLUSTER)["cluster"]
    assert again == first
    assert refused(eks, "create_cluster", name="other", clientRequestToken="once", **CLUSTER)["Code"] == (
        "InvalidParameterException"
    )
    assert refused(eks, "create_cluster", name="once", **CLUSTER)["Code"] == "ResourceInUseException"
    ec2 = serve.client("ec2")
    asked = {"SubnetId": "subnet-1", "ClientToken": "t"}
    assert ec2.create_nat_gateway(**asked)["NatGateway"] == ec2.create_nat_gateway(**asked)["NatGateway"]
    assert refused(ec2, "create_nat_gateway", **{**asked, "SubnetId": "subnet-2"})["Code"] == (
        "IdempotentParameterMismatch"
    )


def test_errors_are_the_exceptions_of_the_model(serve: api_served.Served) -> None:
    eks = serve.client("eks")
    with pytest.raises(eks.exceptions.ResourceNotFoundException) as error:
        eks.describe_cluster(name="none")
    assert error.value.response["clusterName"] == "none"
    assert refused(serve.client("iam"), "get_role", RoleName="none") == {
        "Code": "NoSuchEntity",
        "Message": "The role with name none cannot be found.",
        "Type": "Sender",
        "Status": 404,
    }
    insight = refused(eks, "describe_insight", clusterName="c", id="12345678-1234-1234-1234-123456789012")
    assert (insight["Code"], insight["Status"]) == ("InvalidRequestException", 400)


def test_what_the_model_does_not_allow(serve: api_served.Served) -> None:
    found = refused(serve.client("eks"), "create_cluster", name="-", **CLUSTER)
    assert (found["Code"], found["Status"]) == ("InvalidParameterException", 400)
    assert "'name' failed to satisfy constraint" in found["Message"]
    assert refused(serve.client("iam"), "get_role", RoleName="a b")["Code"] == "ValidationError"
    assert refused(serve.client("ec2"), "describe_vpcs", MaxResults=9999)["Code"] == "InvalidParameterValue"


def test_what_fails_inside_stays_inside(serve: api_served.Served) -> None:
    eks = serve.client("eks")
    for operation, asked in (
        ("describe_addon", {"clusterName": "c", "addonName": "a"}),
        ("describe_update", {"name": "c", "updateId": "u"}),
        ("list_insights", {"clusterName": "c"}),
    ):
        found = refused(eks, operation, **asked)
        assert (found["Code"], found["Status"]) == ("ServerException", 500)
        assert "/secret" not in found["Message"]
    failed = [serve.line("an operation failed") for _ in range(3)]
    assert "RuntimeError: the inside of it" in failed[0]["trace"]
    assert all(line["request_id"] for line in failed)


def test_what_there_is_not(serve: api_served.Served) -> None:
    eks = refused(serve.client("eks"), "list_addons", clusterName="c")
    assert (eks["Code"], eks["Status"]) == ("UnsupportedOperationException", 501)
    assert refused(serve.client("iam"), "list_roles")["Code"] == "UnsupportedOperation"
    assert refused(serve.client("ec2"), "describe_hosts")["Code"] == "UnsupportedOperation"
    nothing = refused(serve.client("lambda"), "list_functions")
    assert (nothing["Code"], nothing["Status"]) == ("UnknownOperationException", 404)
    assert refused(serve.client("dynamodb"), "list_tables")["Code"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "wrong"),
    [
        ("eks", "list_clusters", "UnrecognizedClientException", "InvalidSignatureException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("ec2", "describe_vpcs", "AuthFailure", "SignatureDoesNotMatch"),
    ],
)
def test_signatures_that_are_not_good(
    serve: api_served.Served, service: str, operation: str, unknown: str, wrong: str
) -> None:
    key = serve.client(service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    assert refused(key, operation)["Code"] == unknown
    assert refused(serve.client(service, aws_session_token="t"), operation)["Code"] == unknown
    assert refused(serve.client(service, aws_secret_access_key="x"), operation)["Code"] == wrong
    with signed_minutes_ago(20):
        expired = refused(serve.client(service), operation)
    assert expired["Code"] == ("RequestExpired" if service == "ec2" else wrong)
    assert "Signature expired" in expired["Message"]


def test_a_clock_may_be_off_by_what_the_service_bears(serve: api_served.Served) -> None:
    with signed_minutes_ago(10):
        assert serve.client("sts").get_caller_identity()["Account"]
        assert serve.client("ec2").describe_vpcs()["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert refused(serve.client("eks"), "list_clusters")["Code"] == "InvalidSignatureException"


@contextlib.contextmanager
def signed_minutes_ago(minutes: int) -> Iterator[None]:
    early = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(minutes=minutes)
    with mock.patch("botocore.auth.get_current_datetime", return_value=early):
        yield


def test_services_without_regions_are_asked_by_a_region_of_their_own(serve: api_served.Served) -> None:
    assert serve.client("sts", region_name="aws-global").get_caller_identity()["Account"]
    found = refused(serve.client("eks", region_name="aws-global"), "list_clusters")
    assert found["Code"] == "InvalidSignatureException"


def test_who_does_not_sign(serve: api_served.Served) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{serve.endpoint}/clusters")
    with error.value as answer:
        assert (answer.code, json.load(answer)["__type"]) == (403, "MissingAuthenticationTokenException")
    with pytest.raises(urllib.error.HTTPError) as error:
        get(f"{serve.endpoint}/?Action=GetCallerIdentity&Version=2011-06-15")
    with error.value as answer:
        assert answer.code == 403
        assert b"<Code>MissingAuthenticationToken</Code>" in answer.read()


def presigned(serve: api_served.Served, service: str, query: str, minutes: int, expires: int | None) -> str:
    """A URL that was presigned some minutes ago."""
    keys = sigv4.Credentials(serve.profile.access_key, serve.profile.secret)
    plain = exchange.Request("GET", "/", query, {"host": serve.endpoint.partition("://")[2]})
    then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    return serve.endpoint + sigv4.presign(plain, keys, "eu-central-1", service, then, expires=expires).target


def test_presigned_urls_live_as_long_as_the_service_gives_them(serve: api_served.Served) -> None:
    identity, users = "Action=GetCallerIdentity&Version=2011-06-15", "Action=ListUsers&Version=2010-05-08"
    for service, query, minutes, expires, lives in (
        ("sts", identity, 0, None, True),
        ("sts", identity, 14, None, True),
        ("sts", identity, 16, None, False),
        ("sts", identity, -16, None, False),
        ("sts", identity, 14, 60, True),
        ("sts", identity, 16, 3600, False),
        ("iam", users, 14, None, True),
        ("iam", users, 16, None, False),
        ("iam", users, 2, 60, False),
        ("iam", users, 16, 3600, True),
    ):
        url = presigned(serve, service, query, minutes, expires)
        if lives:
            assert "<RequestId>" in get(url)
            continue
        with pytest.raises(urllib.error.HTTPError) as error:
            get(url)
        with error.value as answer:
            assert answer.code == 403
            assert b"<Code>SignatureDoesNotMatch</Code>" in answer.read()


def test_presigned_urls(serve: api_served.Served) -> None:
    url = serve.client("sts").generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    assert ":user/admin</Arn>" in get(url)
    with pytest.raises(urllib.error.HTTPError) as error:
        get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))
    with error.value as answer:
        assert b"<Code>SignatureDoesNotMatch</Code>" in answer.read()


def test_pages_for_everyone(serve: api_served.Served) -> None:
    assert get(f"{serve.endpoint}/healthz") == "ok\n"
    serve.client("sts").get_caller_identity()
    text = get(f"{serve.endpoint}/metrics")
    assert 'roadstead_requests_total{service="sts",operation="GetCallerIdentity",status="200"}' in text
    assert 'operation="GetCallerIdentity",status="200",le="+Inf"}' in text
    assert "AKIA" not in text


@pytest.mark.parametrize("page", ["healthz", "metrics", "coverage"])
def test_pages_are_for_who_asks_for_loopback(serve: api_served.Served, page: str) -> None:
    """A page of the world whose name leads to 127.0.0.1 asks under that name, and reads what it is answered."""
    asked = urllib.request.Request(f"{serve.endpoint}/{page}")
    for host in ("localhost", "LOCALHOST:4566", "a.localhost:1", "127.0.0.1", "127.9.9.9:4566", "[::1]:4566"):
        asked.add_header("Host", host)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200, host
    for host in ("rebound.example", "rebound.example:4566", "127.0.0.1.rebound.example", "0.0.0.0:4566", "192.0.2.1"):
        asked.add_header("Host", host)
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(asked, timeout=10)
        with error.value as answer:
            assert answer.status == 421, host
            assert b"roadstead_" not in answer.read()


def test_coverage_is_told_by_the_command(serve: api_served.Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["api", "coverage", "-o", "json", "--endpoint", serve.endpoint]) == 0
    counted = json.loads(capsys.readouterr().out)
    assert counted["eks"]["answers empty"] == ["ListFargateProfiles"]
    assert "CreateCluster" in counted["eks"]["behaves"]
    assert len(counted["eks"]["refused"]) > 50
    assert main.run(["api", "coverage", "--endpoint", serve.endpoint]) == 0
    first, *rows, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["SERVICE", "BEHAVES", "ANSWERS", "EMPTY", "REFUSED"]
    assert sum(int(row.split()[1]) for row in rows) == int(last.split()[1])
    assert main.run(["api", "coverage", "sts", "--endpoint", serve.endpoint]) == 0
    assert "behaves        GetCallerIdentity" in capsys.readouterr().out
    assert main.run(["api", "coverage", "nothing", "--endpoint", serve.endpoint]) == 1
    assert api.DEFAULT.endswith(":4566")


def test_env_prints_what_serve_wrote(
    serve: api_served.Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROADSTEAD_USER_UID", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(serve.home))
    assert main.run(["env", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["AWS_ENDPOINT_URL"] == serve.endpoint
    assert found["AWS_SECRET_ACCESS_KEY"] == serve.profile.secret


def test_the_log_tells_who_asked_what_and_nothing_secret(serve: api_served.Served) -> None:
    found = serve.client("sts").get_caller_identity()["ResponseMetadata"]["RequestId"]
    line = serve.line("request", request_id=found)
    assert {key: line[key] for key in ("service", "operation", "region", "status")} == {
        "service": "sts",
        "operation": "GetCallerIdentity",
        "region": "eu-central-1",
        "status": 200,
    }
    assert line["caller"].endswith(":user/admin")
    assert 0 < line["ms"] < 10_000
    assert any("administrator" in one["message"] for one in serve.lines)
    assert serve.profile.secret not in json.dumps(serve.lines)


def test_the_log_tells_who_was_refused_and_from_where(serve: api_served.Served) -> None:
    wrong = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    for named, secret, key in (
        (serve.profile.access_key, wrong, serve.profile.access_key),
        ("AKIDNOBODYHASTHISONE", wrong, "AKIDNOBODYHASTHISONE"),
        # In the place of the key.
        (serve.profile.secret.replace("/", "a"), wrong, "malformed"),
    ):
        client = serve.client("sts", aws_access_key_id=named, aws_secret_access_key=secret)
        id = refused_id(client)
        line = serve.line("request", request_id=id)
        assert (line["key"], line["peer"], line["status"]) == (key, "127.0.0.1", 403)
    unsigned = urllib.request.Request(f"{serve.endpoint}/clusters")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(unsigned, timeout=10)
    with error.value as answer:
        line = serve.line("request", request_id=answer.headers["x-amzn-requestid"])
    assert (line["key"], line["peer"]) == ("-", "127.0.0.1")
    assert wrong not in json.dumps(serve.lines)
    assert serve.profile.secret.replace("/", "a") not in json.dumps(serve.lines)


def refused_id(client: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.get_caller_identity()
    return str(error.value.response["ResponseMetadata"]["RequestId"])


def test_everything_is_kept_and_private_over_a_restart(tmp_path: Path) -> None:
    with api_served.served(tmp_path / "state", tmp_path / "home") as serve:
        serve.client("eks").create_cluster(name="kept", clientRequestToken="t", **CLUSTER)
        token = serve.client("eks").list_nodegroups(clusterName="x", maxResults=1)["nextToken"]
        before = serve.profile
    with api_served.served(tmp_path / "state", tmp_path / "home") as serve:
        assert (serve.profile.access_key, serve.profile.secret) == (before.access_key, before.secret)
        eks = serve.client("eks")
        assert eks.list_clusters()["clusters"] == ["kept"]
        assert eks.create_cluster(name="kept", clientRequestToken="t", **CLUSTER)["cluster"]["name"] == "kept"
        assert eks.list_nodegroups(clusterName="x", maxResults=1, nextToken=token)["nodegroups"] == ["group-1"]
    for path in (tmp_path / "state").iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_killed_serve_is_as_it_was(tmp_path: Path) -> None:
    with api_served.served(tmp_path / "state", tmp_path / "home") as serve:
        serve.client("eks").create_cluster(name="kept", **CLUSTER)
        serve.process.kill()
        serve.process.wait()
    with api_served.served(tmp_path / "state", tmp_path / "home") as serve:
        assert serve.client("eks").list_clusters()["clusters"] == ["kept"]
