"""Real boto3 in process: its requests are verified, matched, parsed; our answers come out of its calls."""

from __future__ import annotations

import datetime as dt
import io
import urllib.parse
from collections.abc import Callable
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from tests.wire import peer

from roadstead.wire import exchange, server, services, sigv4, validate

KEYS = sigv4.Credentials("AKIDEXAMPLE", "secret/of+the=admin", "token/of+a=session")
ENDPOINT = "http://127.0.0.1:4566"
Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class _Raw(io.BytesIO):
    """What botocore reads a body from."""

    def stream(self, **_: object) -> Any:
        yield self.getvalue()


def answering(name: str, answer: Answer) -> Callable[..., Any]:
    """A handler of botocore's `before-send` that answers in place of the network."""
    service = peer.ours(name)

    def handle(request: Any, **_: object) -> Any:
        headers = [
            ("Host", "127.0.0.1:4566"),
            *((key, text.decode() if isinstance(text, bytes) else text) for key, text in request.headers.items()),
        ]
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        came = exchange.Request.make(request.method, request.url.removeprefix(ENDPOINT), headers, body)
        response = serve(service, came, answer)
        given = botocore.awsrequest.HeadersDict(response.headers)
        return botocore.awsrequest.AWSResponse(request.url, response.status, given, _Raw(response.body))

    return handle


def serve(service: services.Service, came: exchange.Request, answer: Answer) -> exchange.Response:
    claim = sigv4.read(came)
    assert (claim.access_key, claim.token, claim.scope.service) == (KEYS.access_key, KEYS.token, service.signing_name)
    sigv4.verify(came, claim, sigv4.signing_key(KEYS.secret, claim.scope), dt.datetime.now(dt.UTC))
    found = server.match(service, came)
    try:
        values = server.parse_input(found, came)
        if problems := validate.problems(found.operation.input, values):
            raise exchange.RequestRefused(exchange.Fault("ValidationException", validate.sentence(problems)))
        output = answer(found.operation.name, values)
    except exchange.RequestRefused as refused:
        return server.render_error(service, found.protocol, refused.fault, "request-1")
    return server.render_output(service, found.operation, found.protocol, output, "request-1")


def client(name: str, answer: Answer) -> Any:
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.append(str(services.OURS))
    session = boto3.session.Session(botocore_session=core)
    made = session.client(
        name,
        region_name="eu-central-1",
        endpoint_url=ENDPOINT,
        aws_access_key_id=KEYS.access_key,
        aws_secret_access_key=KEYS.secret,
        aws_session_token=KEYS.token,
        config=botocore.config.Config(retries={"max_attempts": 0}, inject_host_prefix=False),
    )
    made.meta.events.register("before-send", answering(name, answer))
    return made


def nothing(_operation: str, _values: dict[str, Any]) -> dict[str, Any]:
    return {}


def test_a_cluster_waiters_and_pages() -> None:
    statuses = ["CREATING", "ACTIVE"]

    def answer(operation: str, values: dict[str, Any]) -> dict[str, Any]:
        if operation == "ListClusters":
            return (
                {"clusters": ["b"]} if values.get("nextToken") == "t+1/=" else {"clusters": ["a"], "nextToken": "t+1/="}
            )
        assert values == {"name": "one"}
        return {
            "cluster": {"name": "one", "status": statuses.pop(0), "createdAt": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}
        }

    eks = client("eks", answer)
    eks.get_waiter("cluster_active").wait(name="one", WaiterConfig={"Delay": 0, "MaxAttempts": 2})
    assert eks.get_paginator("list_clusters").paginate().build_full_result() == {"clusters": ["a", "b"]}


def test_arns_in_paths_are_signed_and_parsed() -> None:
    arn = "arn:aws:eks:eu-central-1:123456789012:cluster/one"
    eks = client("eks", lambda _, values: {"tags": {"asked": values["resourceArn"]}})
    assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"asked": arn}


def test_errors_are_the_exceptions_of_the_model() -> None:
    def missing(_operation: str, values: dict[str, Any]) -> dict[str, Any]:
        raise exchange.RequestRefused(
            exchange.Fault("ResourceNotFoundException", "No cluster.", members={"clusterName": values["name"]})
        )

    eks = client("eks", missing)
    with pytest.raises(eks.exceptions.ResourceNotFoundException) as error:
        eks.describe_cluster(name="gone")
    assert error.value.response["clusterName"] == "gone"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(botocore.exceptions.ClientError, match=r"ValidationException.*regular expression") as other:
        client("eks", nothing).create_cluster(name="-", roleArn="r", resourcesVpcConfig={}, tags={"a": "b"})
    assert other.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_iam_sts_ec2_logs_and_cloud_map() -> None:
    now = dt.datetime(2026, 1, 1, 12, 0, 0, tzinfo=dt.UTC)
    role = {"Path": "/", "RoleName": "r", "RoleId": "AROA", "Arn": "arn:aws:iam::1:role/r", "CreateDate": now}
    iam = client(
        "iam", lambda _, values: {"Role": {**role, "AssumeRolePolicyDocument": values["AssumeRolePolicyDocument"]}}
    )
    made = iam.create_role(RoleName="r", AssumeRolePolicyDocument='{"a": "<&>"}', Tags=[{"Key": "k", "Value": ""}])
    assert (made["Role"]["AssumeRolePolicyDocument"], made["Role"]["CreateDate"]) == ({"a": "<&>"}, now)
    sts = client("sts", lambda *_: {"UserId": "u", "Account": "123456789012", "Arn": "arn"})
    assert sts.get_caller_identity()["Account"] == "123456789012"
    ec2 = client(
        "ec2", lambda _, values: {"Vpcs": [{"VpcId": values["VpcIds"][0], "Tags": [{"Key": "a", "Value": "b"}]}]}
    )
    vpc = ec2.describe_vpcs(VpcIds=["vpc-1"], Filters=[{"Name": "tag:x", "Values": ["1", "2"]}])["Vpcs"][0]
    assert vpc == {"VpcId": "vpc-1", "Tags": [{"Key": "a", "Value": "b"}]}
    assert client("ec2", nothing).delete_vpc(VpcId="vpc-1")["ResponseMetadata"]["RequestId"] == "request-1"
    logs = client("logs", lambda _, values: {"events": [{"message": values["logGroupName"], "timestamp": 5}]})
    assert logs.filter_log_events(logGroupName="/aws/eks/one/cluster")["events"][0]["timestamp"] == 5
    discovery = client("servicediscovery", lambda _, values: {"OperationId": values["CreatorRequestId"]})
    assert len(discovery.create_http_namespace(Name="n")["OperationId"]) == 36


def test_our_own_service_by_boto3() -> None:
    event = {
        "id": "1",
        "time": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "resourceArn": "arn:aws:eks:eu-central-1:1:cluster/one",
        "severity": "WARNING",
        "reason": "MemberReplaced",
        "message": "etcd-b was replaced.",
    }
    ours = client("roadstead", lambda *_: {"events": [event]})
    assert ours.get_paginator("list_events").paginate(severity="WARNING").build_full_result()["events"] == [event]


def test_a_token_of_eks() -> None:
    """As awscli's `eks get-token` makes it: a presigned GetCallerIdentity with the cluster's name signed in."""
    sts = client("sts", nothing)

    def add_cluster(request: Any, **_: object) -> None:
        request.headers["x-k8s-aws-id"] = "one"

    sts.meta.events.register("before-sign.sts.GetCallerIdentity", add_cluster)
    url = urllib.parse.urlsplit(sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET"))
    headers = {"host": "127.0.0.1:4566", "x-k8s-aws-id": "one"}
    came = exchange.Request(method="GET", path=url.path, query=url.query, headers=headers)
    identity = serve(peer.ours("sts"), came, lambda *_: {"Account": "123456789012"})
    assert b"<Account>123456789012</Account>" in identity.body
