"""CreateVpc, CreateSubnet and what comes after them, with the members that tools send: done, or refused by EC2's code.

Terraform's aws_vpc and aws_subnet (internal/service/ec2/vpc_.go, vpc_subnet.go of hashicorp/terraform-provider-aws)
send members that change nothing, change attributes after that, and read the ids of what a VPC has by itself.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit import aws_api
from tests.wire.customer import Customer, told
from tests.wire.test_reads import by, error

from roadstead.wire import services

EC2 = services.load("ec2")
AT_ONCE = 24
POOL = "ipam-pool-0123456789abcdef0"
NO_POOL, UNBUILT, COMBINED = "InvalidIpamPoolId.NotFound", "UnsupportedOperation", "InvalidParameterCombination"
DONE = frozenset({"CidrBlock", "TagSpecifications", "DryRun", "VpcId", "AvailabilityZone", "AvailabilityZoneId"})
REFUSED: Mapping[str, tuple[Any, str]] = {
    "AmazonProvidedIpv6CidrBlock": (True, UNBUILT),
    "InstanceTenancy": ("dedicated", UNBUILT),
    "Ipv4IpamPoolId": (POOL, NO_POOL),
    "Ipv4NetmaskLength": (20, COMBINED),
    "Ipv6CidrBlock": ("2001:db8::/56", UNBUILT),
    "Ipv6CidrBlockNetworkBorderGroup": ("eu-central-1", COMBINED),
    "Ipv6IpamPoolId": (POOL, NO_POOL),
    "Ipv6Native": (True, UNBUILT),
    "Ipv6NetmaskLength": (56, COMBINED),
    "Ipv6Pool": ("ipv6pool-ec2-0123456789abcdef0", "InvalidPoolID.NotFound"),
    "OutpostArn": ("arn:aws:outposts:eu-central-1:123456789012:outpost/op-0123456789abcdef0", UNBUILT),
    "VpcEncryptionControl": ({"Mode": "monitor"}, UNBUILT),
}
"""By member: what may not be asked for, and the code."""


@pytest.mark.parametrize(("operation", "cidr"), [("CreateVpc", "10.9.0.0/16"), ("CreateSubnet", "192.168.192.0/24")])
def test_every_member_is_done_or_refused(operation: str, cidr: str, tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        call = {"CreateVpc": customer.ec2.create_vpc, "CreateSubnet": customer.ec2.create_subnet}[operation]
        base = {"CidrBlock": cidr, **({"VpcId": customer.vpc} if operation == "CreateSubnet" else {})}
        members = EC2.operation(operation).input.members  # type: ignore[union-attr]
        assert members.keys() <= DONE | REFUSED.keys()
        for member in members.keys() - DONE:
            value, code = REFUSED[member]
            assert customer.refused(call, **{**base, member: value})[0] == code, member
        if operation == "CreateVpc":
            assert customer.refused(call, **base, InstanceTenancy="host")[0] == "InvalidParameterValue"
        # Said so, and without effect.
        nothing = {"AmazonProvidedIpv6CidrBlock": False, "InstanceTenancy": "default", "Ipv6Native": False}
        made = call(**base, **{member: value for member, value in nothing.items() if member in members})
        assert made[operation.removeprefix("Create")]["Ipv6CidrBlockAssociationSet"] == []

    told(tmp_path, story)


def test_a_vpc_as_terraform_makes_and_reads_it(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2 = place.client("ec2")
        tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "main"}]}]
        asked = {"AmazonProvidedIpv6CidrBlock": False, "InstanceTenancy": "default", "TagSpecifications": tags}
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", **asked)["Vpc"]
        id = vpc["VpcId"]
        assert (vpc["InstanceTenancy"], vpc["IsDefault"], vpc["Tags"]) == ("default", False, tags[0]["Tags"])
        assert attributes(ec2, id) == {
            "EnableDnsHostnames": False,
            "EnableDnsSupport": True,
            "EnableNetworkAddressUsageMetrics": False,
        }
        for value in (True, False, True):
            ec2.modify_vpc_attribute(VpcId=id, EnableDnsHostnames={"Value": value})
            assert attributes(ec2, id)["EnableDnsHostnames"] is value
        ec2.modify_vpc_attribute(VpcId=id, EnableDnsSupport={"Value": True})
        assert ec2.describe_vpcs(VpcIds=[id])["Vpcs"] == [vpc]
        main = [*by("association.main", "true")["Filters"], *by("vpc-id", id)["Filters"]]
        default = [*by("default", "true")["Filters"], *by("vpc-id", id)["Filters"]]
        group = [*by("group-name", "default")["Filters"], *by("vpc-id", id)["Filters"]]
        assert len(ec2.describe_route_tables(Filters=main)["RouteTables"]) == 1
        assert len(ec2.describe_network_acls(Filters=default)["NetworkAcls"]) == 1
        assert len(ec2.describe_security_groups(Filters=group)["SecurityGroups"]) == 1
        subnet = ec2.create_subnet(VpcId=id, CidrBlock="10.0.1.0/24", AvailabilityZoneId="euc1-az3")["Subnet"]
        assert (subnet["AvailabilityZone"], subnet["MapPublicIpOnLaunch"]) == ("eu-central-1c", False)
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        ec2.delete_vpc(VpcId=id)
        assert error(ec2.describe_vpcs, VpcIds=[id]) == "InvalidVpcID.NotFound"

    aws_api.told(tmp_path, story)


def test_attributes_that_do_not_hold_are_refused(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        change, vpc = customer.ec2.modify_vpc_attribute, customer.vpc
        yes, no = {"Value": True}, {"Value": False}
        customer.ec2.describe_vpcs()
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({"EnableDnsSupport": no}, UNBUILT),
            ({"EnableNetworkAddressUsageMetrics": yes}, UNBUILT),
            ({"EnableDnsSupport": yes, "EnableDnsHostnames": yes}, COMBINED),
            ({}, "MissingParameter"),
        )
        for asked, code in cases:
            assert customer.refused(change, VpcId=vpc, **asked)[0] == code, asked
        gone = {"VpcId": "vpc-0123456789abcdef0", "EnableDnsHostnames": yes}
        assert customer.refused(change, **gone)[0] == "InvalidVpcID.NotFound"

    told(tmp_path, story)


def attributes(ec2: Any, vpc: str) -> dict[str, bool]:
    """As DescribeVpcAttribute tells them, one at a time."""
    found: dict[str, bool] = {}
    for name in ("enableDnsHostnames", "enableDnsSupport", "enableNetworkAddressUsageMetrics"):
        answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
        found |= {key: value["Value"] for key, value in answer.items() if key.startswith("Enable")}
    return found


def test_a_subnet_stays_public(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        ec2, (first, second) = customer.ec2, customer.subnets
        of_vpc = [{"Name": "vpc-id", "Values": [customer.vpc]}]

        def public() -> list[str]:
            # Those of the default VPC are public from their start.
            kept = {"Filters": [{"Name": "map-public-ip-on-launch", "Values": ["true"]}, *of_vpc]}
            found = ec2.describe_subnets(**kept)["Subnets"]
            assert all(subnet["MapPublicIpOnLaunch"] for subnet in found)
            return [subnet["SubnetId"] for subnet in found]

        assert public() == []
        ec2.modify_subnet_attribute(SubnetId=first, MapPublicIpOnLaunch={"Value": True})
        assert public() == [first]
        # What says what holds anyway changes nothing; what asks for more is refused whole.
        ec2.modify_subnet_attribute(SubnetId=first, AssignIpv6AddressOnCreation={"Value": False})
        ec2.modify_subnet_attribute(SubnetId=first, PrivateDnsHostnameTypeOnLaunch="ip-name")
        asked = {"MapPublicIpOnLaunch": {"Value": False}, "EnableDns64": {"Value": True}}
        assert error(ec2.modify_subnet_attribute, SubnetId=first, **asked) == "UnsupportedOperation"
        assert error(ec2.modify_subnet_attribute, SubnetId=second) == "MissingParameter"
        gone = {"SubnetId": "subnet-01234567", "MapPublicIpOnLaunch": {"Value": True}}
        assert error(ec2.modify_subnet_attribute, **gone) == "InvalidSubnetID.NotFound"
        assert error(ec2.modify_subnet_attribute, **gone | {"SubnetId": "x"}) == "InvalidSubnetID.Malformed"
        assert public() == [first]
        ec2.modify_subnet_attribute(SubnetId=first, MapPublicIpOnLaunch={"Value": False})
        assert public() == []

    told(tmp_path, story)


def test_many_subnets_are_made_at_once(tmp_path: Path) -> None:
    """Each is made, however many others come in between."""

    def story(customer: Customer) -> None:
        def made(number: int) -> str:
            cidr = f"192.168.{128 + number}.0/24"
            id: str = customer.ec2.create_subnet(VpcId=customer.vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
            customer.ec2.modify_subnet_attribute(SubnetId=id, MapPublicIpOnLaunch={"Value": True})
            return id

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as side_by_side:
            assert len(set(side_by_side.map(made, range(AT_ONCE)))) == AT_ONCE

    told(tmp_path, story)
