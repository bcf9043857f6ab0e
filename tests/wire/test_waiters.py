"""botocore's waiters and paginators of the first operations against the real serve; those of clusters: the story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from testkit import api_served

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
QUICK = {"Delay": 1, "MaxAttempts": 2}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    """Three VPCs with a subnet each, three roles, three users."""
    folder = tmp_path_factory.mktemp("waiters")
    with api_served.served(folder / "state", folder / "home", module="roadstead.serve.main") as running:
        ec2, iam = running.client("ec2"), running.client("iam")
        for number in range(3):
            vpc = ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{number}.0.0/24")
            iam.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=TRUST)
            iam.create_user(UserName=f"user-{number}")
        yield running


@pytest.mark.parametrize(
    ("service", "waiter", "asked"),
    [
        ("ec2", "vpc_exists", {}),
        ("ec2", "vpc_available", {}),
        ("ec2", "subnet_available", {}),
        ("ec2", "security_group_exists", {}),
        ("ec2", "nat_gateway_available", {}),
        ("iam", "policy_exists", {"PolicyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"}),
        ("iam", "role_exists", {"RoleName": "role-1"}),
        ("iam", "user_exists", {"UserName": "user-1"}),
    ],
)
def test_waiters_end(account: api_served.Served, service: str, waiter: str, asked: dict[str, Any]) -> None:
    ec2 = account.client("ec2")
    if waiter.startswith("vpc"):
        asked = {"VpcIds": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]}
    if waiter.startswith("subnet"):
        asked = {"SubnetIds": [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]}
    if waiter.startswith("security"):
        asked = {"GroupIds": [group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]]}
    if waiter.startswith("nat"):
        asked = {"NatGatewayIds": [each["NatGatewayId"] for each in ec2.describe_nat_gateways()["NatGateways"]]}
    account.client(service).get_waiter(waiter).wait(**asked, WaiterConfig=QUICK)


@pytest.mark.parametrize(
    ("service", "operation", "member", "asked", "least"),
    [
        ("ec2", "describe_vpcs", "Vpcs", {}, 3),
        ("ec2", "describe_subnets", "Subnets", {}, 3),
        ("ec2", "describe_tags", "Tags", {}, 0),
        ("ec2", "describe_instance_types", "InstanceTypes", {}, 6),
        ("ec2", "describe_instance_type_offerings", "InstanceTypeOfferings", {}, 6),
        ("ec2", "describe_instances", "Reservations", {}, 0),
        ("ec2", "describe_security_groups", "SecurityGroups", {}, 3),
        ("ec2", "describe_security_group_rules", "SecurityGroupRules", {}, 6),
        ("ec2", "describe_route_tables", "RouteTables", {}, 3),
        ("ec2", "describe_nat_gateways", "NatGateways", {}, 3),
        ("ec2", "describe_network_acls", "NetworkAcls", {}, 3),
        ("ec2", "describe_dhcp_options", "DhcpOptions", {}, 1),
        ("ec2", "describe_network_interfaces", "NetworkInterfaces", {}, 0),
        ("ec2", "describe_instance_status", "InstanceStatuses", {}, 0),
        ("iam", "list_policies", "Policies", {}, 20),
        ("iam", "list_roles", "Roles", {}, 3),
        ("iam", "list_users", "Users", {}, 4),
        ("iam", "list_access_keys", "AccessKeyMetadata", {"UserName": "admin"}, 1),
        ("iam", "list_attached_role_policies", "AttachedPolicies", {"RoleName": "role-1"}, 0),
        ("eks", "list_clusters", "clusters", {}, 0),
        ("eks", "describe_cluster_versions", "clusterVersions", {}, 3),
    ],
)
def test_paginators_walk_to_the_end(
    account: api_served.Served, service: str, operation: str, member: str, asked: dict[str, Any], least: int
) -> None:
    client = account.client(service)
    size = {"ec2": 100 if "instance_type" in operation else 5}.get(service, 1)
    pages = list(client.get_paginator(operation).paginate(**asked, PaginationConfig={"PageSize": size}))
    items = [item for page in pages for item in page[member]]
    assert len(items) >= least
    assert all(len(page[member]) <= size for page in pages)
    assert len({json.dumps(item, default=str, sort_keys=True) for item in items}) == len(items), "nothing comes twice"
