"""The question whether a caller may: what it is made of, and that nothing but a yes is one."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from testkit.worlds import memory

from roadstead.aws import calls
from roadstead.aws.authorization import administrators, context, declarations, gate, inputs, requests, resources
from roadstead.aws.ec2.vpc import resources as ec2
from roadstead.aws.eks import resources as eks
from roadstead.core import errors
from roadstead.wire import services

ACCOUNT = "012345678901"
USER = requests.Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/bob", "AIDABOB", "AKIABOB")
EKS = f"arn:aws:eks:eu-central-1:{ACCOUNT}:"


class Answering:
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[requests.AuthorizationRequest] = []

    async def decide(self, request: requests.AuthorizationRequest) -> requests.Decision:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def call(authorizer: requests.Authorizer) -> calls.Call:
    now = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    return calls.Call("eks", "Some", "eu-central-1", USER, "request-1", now, memory.MemoryStore(), authorizer)


def arns(resource: calls.Resource, **asked: Any) -> tuple[str, ...]:
    return asyncio.run(resolved(resource.arns(call(Answering(None)), asked)))


async def resolved(found: Awaitable[tuple[str, ...]]) -> tuple[str, ...]:
    return await found


def values(keys: calls.Context, **asked: Any) -> Mapping[str, requests.Values]:
    return dict(pair for key in keys for pair in key.values(call(Answering(None)), asked))


def test_a_template_is_filled_from_the_request() -> None:
    assert arns(eks.CLUSTER, clusterName="shop") == (f"{EKS}cluster/shop",)
    assert arns(ec2.GROUPS, GroupId=["sg-1", "sg-2"]) == tuple(
        f"arn:aws:ec2:eu-central-1:{ACCOUNT}:security-group/{id}" for id in ("sg-1", "sg-2")
    )
    nested = {"type": "oidc", "name": "one"}
    assert arns(eks.IDENTITY_PROVIDER, clusterName="shop", identityProviderConfig=nested) == (
        f"{EKS}identityproviderconfig/shop/oidc/one/*",
    )


def test_what_the_request_does_not_say_is_whatever_it_may_be() -> None:
    assert arns(eks.CLUSTER) == (f"{EKS}cluster/*",)
    whole = resources.template("addon", "arn:{addonName}", when="addonName")
    assert arns(whole) == ()
    assert arns(whole, addonName="dns") == ("arn:dns",)


def test_what_a_caller_writes_is_no_template() -> None:
    assert arns(eks.CLUSTER, clusterName="{account}{region}") == (f"{EKS}cluster/{{account}}{{region}}",)


def test_what_is_tagged_is_known_by_its_id() -> None:
    before = f"arn:aws:ec2:eu-central-1:{ACCOUNT}:"
    assert arns(ec2.TAGGED, Resources=["vpc-1", "sg-2", "vol-3", "x"]) == (
        f"{before}vpc/vpc-1",
        f"{before}security-group/sg-2",
        f"{before}*/vol-3",
        f"{before}*/x",
    )


@pytest.mark.parametrize(
    ("of", "given"),
    [
        ("tags", {"team": "a", "stage": ""}),
        ("Tags", [{"Key": "team", "Value": "a"}, {"Key": "stage"}]),
        ("TagSpecifications", [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "a"}, {"Key": "stage"}]}]),
    ],
)
def test_tags_of_a_request_are_told_in_whichever_form_they_come(of: str, given: Any) -> None:
    assert values((context.tags(of),), **{of: given}) == {
        "aws:TagKeys": ("team", "stage"),
        "aws:RequestTag/team": ("a",),
        "aws:RequestTag/stage": ("",),
    }
    assert values((context.tags(of),)) == {}


def test_keys_of_tags_that_go_are_told() -> None:
    assert values((context.tag_keys("tagKeys"),), tagKeys=["team"]) == {"aws:TagKeys": ("team",)}
    assert values(ec2.REMOVED_TAGS, Tags=[{"Key": "team", "Value": "a"}]) == {"aws:TagKeys": ("team",)}


def test_settings_of_a_cluster_are_condition_keys() -> None:
    logged = [{"types": ["api", "audit"], "enabled": True}, {"types": ["scheduler"], "enabled": False}]
    asked = {
        "resourcesVpcConfig": {"endpointPublicAccess": False},
        "encryptionConfig": [{"provider": {"keyArn": "arn:1"}}, {"provider": {"keyArn": "arn:2"}}],
        "logging": {"clusterLogging": logged},
        "kubeSchedulerConfig": {},
    }
    told = values(eks.NEW_CLUSTER, **asked)
    assert told["eks:endpointPublicAccess"] == ("false",)
    assert told["eks:encryptionConfigProviderKeyArns"] == ("arn:1", "arn:2")
    assert (told["eks:loggingType/audit"], told["eks:loggingType/scheduler"]) == (("true",), ("false",))
    assert (told["eks:kubeSchedulerConfig"], told["eks:kubeApiServerConfig"]) == (("true",), ("false",))
    assert "eks:endpointPrivateAccess" not in told


def test_attributes_that_are_set_are_condition_keys() -> None:
    told = values(ec2.ATTRIBUTE, VpcId="vpc-1", EnableDnsSupport={"Value": False})
    assert told == {"ec2:Attribute": ("EnableDnsSupport",), "ec2:Attribute/EnableDnsSupport": ("false",)}


def test_the_question_has_the_caller_the_action_the_resources_and_the_context() -> None:
    asks = Answering(requests.Decision(True))
    declared = calls.Authorization("eks:UpdateClusterVersion", (eks.NAMED_CLUSTER,), eks.VERSION)
    asyncio.run(gate.check(declared, call(asks), {"name": "shop", "version": "1.37"}))
    asyncio.run(gate.check(calls.Authorization("eks:ListClusters", ()), call(asks), {}))
    assert asks.asked == [
        requests.AuthorizationRequest(
            USER, "eks:UpdateClusterVersion", (f"{EKS}cluster/shop",), {"eks:kubernetesVersion": ("1.37",)}
        ),
        requests.AuthorizationRequest(USER, "eks:ListClusters", ("*",)),
    ]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (requests.Decision(False), errors.Denied),
        (requests.Decision("yes"), errors.Denied),  # type: ignore[arg-type]
        (None, AttributeError),
        (errors.Failed("the policies cannot be read"), errors.Failed),
        (TimeoutError(), TimeoutError),
    ],
)
def test_nothing_but_a_yes_is_one(answer: Any, raised: type[Exception]) -> None:
    ways: list[Callable[[calls.Call], Awaitable[None]]] = [
        lambda call: gate.check(calls.Authorization("eks:ListClusters", ()), call, {}),
        lambda call: call.may("iam:PassRole", "arn:aws:iam::012345678901:role/eks"),
    ]
    for way in ways:
        with pytest.raises(raised):
            asyncio.run(waited(way(call(Answering(answer)))))


async def waited(one: Awaitable[None]) -> None:
    await one


def test_a_caller_is_told_what_was_not_allowed_and_why() -> None:
    asks = Answering(requests.Decision(False, "no identity-based policy allows it"))
    with pytest.raises(errors.Denied) as caught:
        asyncio.run(call(asks).may("iam:PassRole", "arn:role"))
    assert caught.value.message == (
        f"User: {USER.arn} is not authorized to perform: iam:PassRole on resource: arn:role "
        "because no identity-based policy allows it"
    )
    with pytest.raises(errors.Denied, match=r"eks:ListClusters because"):
        asyncio.run(call(asks).may("eks:ListClusters"))


def test_administrators_may_and_sessions_may_not() -> None:
    asks = administrators.Administrators()
    assert asyncio.run(asks.decide(requests.AuthorizationRequest(USER, "eks:CreateCluster", ("*",)))).allowed
    in_session = requests.Caller(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", "AROA:s", "ASIA", session="s")
    refused = asyncio.run(asks.decide(requests.AuthorizationRequest(in_session, "eks:CreateCluster", ("*",))))
    assert not refused.allowed
    assert refused.because


def test_a_declaration_is_held_against_the_model() -> None:
    operation = services.load("eks").operation("CreateCluster")

    def said(**declared: Any) -> list[str]:
        whole = {"action": "eks:CreateCluster", "resources": (), **declared}
        return list(declarations.problems(calls.Authorization(**whole), operation))

    assert said(context=eks.NEW_CLUSTER) == []
    assert said(resources=(eks.CLUSTER,)) == [
        "its caller's permission depends on clusterName, which the model's input lacks"
    ]
    wrong = (context.member("eks:supportType", "upgradePolicy.support"), context.tags("Tags"))
    assert [one.split()[5] for one in said(context=wrong)] == ["upgradePolicy.support,", "Tags,"]
    assert said(action="CreateCluster") == ["'CreateCluster' is no action"]
    assert list(declarations.problems(None, operation)) == ["declares nothing that its caller has to be allowed"]


def test_paths_lead_through_lists() -> None:
    shape = services.load("eks").operation("CreateCluster").input
    assert inputs.has(shape, "encryptionConfig.provider.keyArn")
    assert not inputs.has(shape, "encryptionConfig.provider.key")
    assert not inputs.has(None, "name")
    assert inputs.texts({"a": [{"b": True}, {"b": None}, {}, {"b": 2}]}, "a.b") == ("true", "2")
