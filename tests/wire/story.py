"""The story of a customer, told in plain boto3 calls: a network, roles, a cluster, nodes; tags, updates; all deleted.

Every call is made as a careful program makes it: one whose connection broke is made again. Where the API has a token
the same one is sent; where it has none the customer looks first whether it was done. What was acknowledged goes into a
ledger, which is compared with what there is.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]

from roadstead.identity import profile
from roadstead.wire import services

QUICK = {"Delay": 0.02, "MaxAttempts": 1000}
"""botocore's own delays are 10 to 30 s."""
BROKEN = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"


def clients(found: profile.Profile) -> Callable[[str], Any]:
    """boto3's clients of a profile, each made once; that of our own service by its model."""
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.append(str(services.OURS))
    session = boto3.session.Session(
        aws_access_key_id=found.access_key,
        aws_secret_access_key=found.secret,
        region_name=found.region,
        botocore_session=core,
    )
    config = botocore.config.Config(
        retries={"max_attempts": 0}, inject_host_prefix=False, connect_timeout=10, read_timeout=20
    )
    return functools.cache(lambda service: session.client(service, endpoint_url=found.endpoint, config=config))


def trust(service: str) -> str:
    allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


@dataclass
class Ledger:
    """What was acknowledged, and was not deleted: by id or name, what a description has to show."""

    vpcs: dict[str, dict[str, str]] = field(default_factory=dict)
    """The tags."""
    subnets: dict[str, str] = field(default_factory=dict)
    """The VPC."""
    roles: dict[str, list[str]] = field(default_factory=dict)
    """The policies."""
    clusters: dict[str, tuple[str, dict[str, str], list[str]]] = field(default_factory=dict)
    """Version, tags, updates."""
    nodegroups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    """By CLUSTER/NAME: size and updates."""


@dataclass
class Customer:
    """`client`: boto3's, of a service; `again`: returns when a broken call may be made again."""

    client: Callable[[str], Any]
    again: Callable[[], None]
    ledger: Ledger = field(default_factory=Ledger)
    broken: int = 0

    def trying(self, act: Callable[[], Any], look: Callable[[], Any] = lambda: None, *, token: bool = False) -> Any:
        """What `act` answers, or, when it was cut off, what `look` finds of it (None: it is made again).

        token: it is safe to make again just so.
        """
        cut = False
        while True:
            try:
                if cut and not token and (found := look()) is not None:
                    return found
                return act()
            except BROKEN:
                cut = True
                self.broken += 1
                self.again()
            except botocore.exceptions.ClientError:
                # What was cut off may have come to its end between the look and the second try: a deletion does.
                if not cut or (found := self.trying(look)) is None:
                    raise
                return found

    def pages(self, service: str, operation: str, member: str, size: int, **asked: Any) -> list[Any]:
        """All items, by botocore's paginator."""
        made = self.client(service).get_paginator(operation)
        paging = {"PageSize": size}
        items: list[Any] = self.trying(
            lambda: [i for p in made.paginate(**asked, PaginationConfig=paging) for i in p[member]]
        )
        return items

    def wait(self, service: str, waiter: str, **asked: Any) -> None:
        self.trying(lambda: self.client(service).get_waiter(waiter).wait(**asked, WaiterConfig=QUICK))

    def gone(self, act: Callable[[], Any], there: Callable[[], bool]) -> None:
        """Delete; done also when a deletion that was cut off had been done."""
        self.trying(act, lambda: None if there() else {})


def network(customer: Customer, name: str) -> tuple[str, list[str]]:
    """A VPC with a name, and two subnets: their ids."""
    ec2 = customer.client("ec2")
    tag = {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": name}]}
    named = [{"Name": "tag:Name", "Values": [name]}]
    vpc = customer.trying(
        lambda: ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[tag])["Vpc"],
        lambda: next(iter(ec2.describe_vpcs(Filters=named)["Vpcs"]), None),
    )["VpcId"]
    customer.ledger.vpcs[vpc] = {"Name": name}
    subnets = []
    for number, zone in enumerate("ab"):
        block = f"10.0.{64 * number}.0/18"
        asked = {"VpcId": vpc, "CidrBlock": block, "AvailabilityZone": f"eu-central-1{zone}"}
        mine = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "cidr-block", "Values": [block]}]
        subnet = customer.trying(
            lambda asked=asked: ec2.create_subnet(**asked)["Subnet"],  # type: ignore[misc]
            lambda mine=mine: next(iter(ec2.describe_subnets(Filters=mine)["Subnets"]), None),  # type: ignore[misc]
        )["SubnetId"]
        customer.ledger.subnets[subnet] = vpc
        subnets.append(subnet)
    customer.wait("ec2", "vpc_available", VpcIds=[vpc])
    customer.wait("ec2", "subnet_available", SubnetIds=subnets)
    customer.trying(lambda: ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "blue"}]))
    customer.ledger.vpcs[vpc]["team"] = "blue"
    return vpc, subnets


def role(customer: Customer, name: str, service: str) -> str:
    """A role with a policy: its ARN."""
    iam = customer.client("iam")

    def find() -> Any:
        try:
            return iam.get_role(RoleName=name)["Role"]
        except iam.exceptions.NoSuchEntityException:
            return None

    document = trust(service)
    made = customer.trying(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"], find)
    customer.ledger.roles[name] = []
    customer.trying(lambda: iam.attach_role_policy(RoleName=name, PolicyArn=POLICY))
    customer.ledger.roles[name].append(POLICY)
    customer.wait("iam", "role_exists", RoleName=name)
    return str(made["Arn"])


def cluster(customer: Customer, name: str) -> None:
    """The network, the roles, the cluster; upgraded once it is ACTIVE, and tagged."""
    eks, ledger = customer.client("eks"), customer.ledger
    _, subnets = network(customer, name)
    asked = {
        "name": name,
        "version": "1.36",
        "roleArn": role(customer, f"{name}-cluster", "eks.amazonaws.com"),
        "resourcesVpcConfig": {"subnetIds": subnets},
        "tags": {"made": "first"},
        "clientRequestToken": f"create-{name}",
    }
    made = customer.trying(lambda: eks.create_cluster(**asked)["cluster"])
    ledger.clusters[name] = ("1.36", {"made": "first"}, [])
    customer.wait("eks", "cluster_active", name=name)
    nodes(customer, name, subnets)
    token = f"update-{name}"
    update = customer.trying(
        lambda: eks.update_cluster_version(name=name, version="1.37", clientRequestToken=token)["update"],
        token=True,
    )
    ledger.clusters[name] = ("1.37", {"made": "first"}, [update["id"]])
    customer.wait("eks", "cluster_active", name=name)
    customer.trying(lambda: eks.tag_resource(resourceArn=made["arn"], tags={"made": "then", "cost": "1"}))
    customer.trying(lambda: eks.untag_resource(resourceArn=made["arn"], tagKeys=["cost"]))
    ledger.clusters[name] = ("1.37", {"made": "then"}, [update["id"]])


def nodes(customer: Customer, name: str, subnets: list[str]) -> None:
    """A nodegroup, made larger once it is ACTIVE."""
    eks = customer.client("eks")
    group = {"clusterName": name, "nodegroupName": "workers"}
    asked = {
        **group,
        "subnets": subnets,
        "nodeRole": role(customer, f"{name}-node", "ec2.amazonaws.com"),
        "scalingConfig": {"minSize": 1, "maxSize": 4, "desiredSize": 2},
        "clientRequestToken": f"create-{name}-workers",
    }
    customer.trying(lambda: eks.create_nodegroup(**asked))
    customer.ledger.nodegroups[f"{name}/workers"] = (2, [])
    customer.wait("eks", "nodegroup_active", **group)
    larger = {**group, "scalingConfig": {"desiredSize": 3}, "clientRequestToken": f"scale-{name}-workers"}
    update = customer.trying(
        lambda: eks.update_nodegroup_config(**larger)["update"],
        token=True,
    )
    customer.ledger.nodegroups[f"{name}/workers"] = (3, [update["id"]])
    customer.wait("eks", "nodegroup_active", **group)


def delete(customer: Customer, name: str) -> None:
    """All of it, from the top down."""
    eks, ec2, iam, ledger = customer.client("eks"), customer.client("ec2"), customer.client("iam"), customer.ledger
    group = {"clusterName": name, "nodegroupName": "workers"}
    gone = eks.exceptions.ResourceNotFoundException

    def there(call: Callable[..., Any], missing: type[Exception], **asked: Any) -> bool:
        try:
            call(**asked)
        except missing:
            return False
        return True

    customer.gone(lambda: eks.delete_nodegroup(**group), lambda: there(eks.describe_nodegroup, gone, **group))
    customer.wait("eks", "nodegroup_deleted", **group)
    del ledger.nodegroups[f"{name}/workers"]
    customer.gone(lambda: eks.delete_cluster(name=name), lambda: there(eks.describe_cluster, gone, name=name))
    customer.wait("eks", "cluster_deleted", name=name)
    del ledger.clusters[name]
    for role_name in (f"{name}-cluster", f"{name}-node"):
        asked = {"RoleName": role_name}
        customer.gone(
            lambda asked=asked: iam.detach_role_policy(**asked, PolicyArn=POLICY),  # type: ignore[misc]
            lambda asked=asked: bool(iam.list_attached_role_policies(**asked)["AttachedPolicies"]),  # type: ignore[misc]
        )
        customer.gone(
            lambda asked=asked: iam.delete_role(**asked),  # type: ignore[misc]
            lambda asked=asked: there(iam.get_role, iam.exceptions.NoSuchEntityException, **asked),  # type: ignore[misc]
        )
        del ledger.roles[role_name]
    (vpc,) = [id for id, tags in ledger.vpcs.items() if tags["Name"] == name]
    for subnet in [id for id, of in ledger.subnets.items() if of == vpc]:
        mine = [{"Name": "subnet-id", "Values": [subnet]}]
        customer.gone(
            lambda subnet=subnet: ec2.delete_subnet(SubnetId=subnet),  # type: ignore[misc]
            lambda mine=mine: bool(ec2.describe_subnets(Filters=mine)["Subnets"]),  # type: ignore[misc]
        )
        del ledger.subnets[subnet]
    only = [{"Name": "vpc-id", "Values": [vpc]}]
    customer.gone(lambda: ec2.delete_vpc(VpcId=vpc), lambda: bool(ec2.describe_vpcs(Filters=only)["Vpcs"]))
    del ledger.vpcs[vpc]


def found(customer: Customer) -> Ledger:
    """What there is, by paginators with small pages. What is there twice fails here."""
    eks, iam = customer.client("eks"), customer.client("iam")
    there = Ledger()
    for vpc in customer.pages("ec2", "describe_vpcs", "Vpcs", 5):
        if vpc["IsDefault"]:
            continue
        _put(there.vpcs, vpc["VpcId"], {tag["Key"]: tag["Value"] for tag in vpc["Tags"]})
    for subnet in customer.pages("ec2", "describe_subnets", "Subnets", 5):
        if subnet["DefaultForAz"]:
            continue
        _put(there.subnets, subnet["SubnetId"], subnet["VpcId"])
    for name in [one["RoleName"] for one in customer.pages("iam", "list_roles", "Roles", 2)]:
        policies = customer.trying(lambda name=name: iam.list_attached_role_policies(RoleName=name))  # type: ignore[misc]
        _put(there.roles, name, [policy["PolicyArn"] for policy in policies["AttachedPolicies"]])
    for name in customer.pages("eks", "list_clusters", "clusters", 1):
        shown = customer.trying(lambda name=name: eks.describe_cluster(name=name)["cluster"])  # type: ignore[misc]
        updates = customer.pages("eks", "list_updates", "updateIds", 1, name=name)
        _put(there.clusters, name, (shown["version"], shown["tags"], updates))
        for group in customer.pages("eks", "list_nodegroups", "nodegroups", 1, clusterName=name):
            asked = {"clusterName": name, "nodegroupName": group}
            shown = customer.trying(lambda asked=asked: eks.describe_nodegroup(**asked)["nodegroup"])  # type: ignore[misc]
            updates = customer.pages("eks", "list_updates", "updateIds", 1, name=name, nodegroupName=group)
            _put(there.nodegroups, f"{name}/{group}", (shown["scalingConfig"]["desiredSize"], updates))
    return there


TURNS = frozenset({"Ready", "Updating", "CreateFailed", "Degraded", "Deleting", "Deleted"})


def events(customer: Customer) -> dict[str, list[str]]:
    """The turns of lives among the events, oldest first, by resource; not what became of single parts."""
    seen: dict[str, list[str]] = {}
    for event in customer.pages("roadstead", "list_events", "events", 50):
        if event["reason"] in TURNS:
            seen.setdefault(event["resourceArn"].split(":", 5)[5], []).append(event["reason"])
    return seen


def _put(into: dict[str, Any], key: str, value: Any) -> None:
    assert key not in into, f"{key} is there twice"
    into[key] = value
