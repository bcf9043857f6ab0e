"""The default VPC of a region: there when somebody looks, made once, and used as any other."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

from tests.unit import aws_api
from tests.wire.customer import QUICK
from tests.wire.test_reads import REGION, by, error

from roadstead.network import default_vpc, spec
from roadstead.store import interface

ZONES = [f"{REGION}{letter}" for letter in "abc"]


def the_default(ec2: Any) -> dict[str, Any]:
    (found,) = ec2.describe_vpcs(**by("is-default", "true"))["Vpcs"]
    return dict(found)


def test_each_region_has_one_from_the_first_look(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ids = set()
        for region in (REGION, "us-east-1"):
            ec2 = place.client("ec2", region)
            (vpc,) = ec2.describe_vpcs()["Vpcs"]
            assert (vpc["IsDefault"], vpc["CidrBlock"], vpc["State"]) == (True, "172.31.0.0/16", "available")
            assert the_default(ec2) == vpc
            assert ec2.describe_vpcs(**by("isDefault", "false"))["Vpcs"] == []
            subnets = ec2.describe_subnets(**by("defaultForAz", "true"))["Subnets"]
            assert ec2.describe_subnets(**by("vpc-id", vpc["VpcId"]))["Subnets"] == subnets
            subnets.sort(key=lambda subnet: subnet["AvailabilityZone"])
            assert [subnet["AvailabilityZone"] for subnet in subnets] == [f"{region}{letter}" for letter in "abc"]
            assert [subnet["CidrBlock"] for subnet in subnets] == [f"172.31.{part}.0/20" for part in (0, 16, 32)]
            for subnet in subnets:
                assert (subnet["DefaultForAz"], subnet["MapPublicIpOnLaunch"]) == (True, True)
                assert subnet["AvailableIpAddressCount"] == 4091
            (attribute,) = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
            assert attribute["AttributeValues"] == [{"AttributeValue": vpc["VpcId"]}]
            for operation, member in (
                ("describe_security_groups", "SecurityGroups"),
                ("describe_route_tables", "RouteTables"),
                ("describe_network_acls", "NetworkAcls"),
            ):
                assert len(getattr(ec2, operation)(**by("vpc-id", vpc["VpcId"]))[member]) == 1
            ids |= {vpc["VpcId"], *(subnet["SubnetId"] for subnet in subnets)}
        assert len(ids) == 8

    aws_api.told(tmp_path, story)


def test_many_first_looks_at_once_make_one(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        count = itertools.count()

        async def look(store: interface.Store) -> None:
            account = place.account.account.id
            await asyncio.gather(
                *(
                    default_vpc.ensure(store, account, REGION, lambda prefix, of: f"{prefix}-{next(count)}{of}", 0.0)
                    for _ in range(9)
                )
            )

        place.ask(look)
        assert next(count) > 8
        ec2 = place.client("ec2")
        assert len(ec2.describe_vpcs()["Vpcs"]) == 1
        assert len(ec2.describe_subnets()["Subnets"]) == 3

    aws_api.told(tmp_path, story)


def test_it_is_deleted_for_good_and_made_again_when_asked_for(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2 = place.client("ec2")
        vpc = the_default(ec2)["VpcId"]
        assert error(ec2.create_default_vpc) == "DefaultVpcAlreadyExists"
        assert error(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
        for subnet in ec2.describe_subnets()["Subnets"]:
            ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        ec2.delete_vpc(VpcId=vpc)
        assert ec2.describe_vpcs()["Vpcs"] == []
        assert ec2.describe_subnets()["Subnets"] == []
        (attribute,) = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
        assert attribute["AttributeValues"] == [{"AttributeValue": "none"}]
        assert error(ec2.create_default_subnet, AvailabilityZone=ZONES[0]) == "DefaultVpcDoesNotExist"
        assert error(ec2.create_default_vpc, DryRun=True) == "DryRunOperation"
        made = ec2.create_default_vpc()["Vpc"]
        assert (made["IsDefault"], made["VpcId"] == vpc) == (True, False)
        assert [the_default(ec2)] == ec2.describe_vpcs()["Vpcs"] == [made]
        assert len(ec2.describe_subnets(**by("default-for-az", "true"))["Subnets"]) == 3
        assert error(ec2.create_default_vpc) == "DefaultVpcAlreadyExists"

    aws_api.told(tmp_path, story)


def test_default_subnets_are_made_where_there_is_room(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2 = place.client("ec2")
        vpc = the_default(ec2)["VpcId"]
        taken = {"AvailabilityZone": ZONES[1]}
        assert error(ec2.create_default_subnet, **taken) == "DefaultSubnetAlreadyExistsInAvailabilityZone"
        assert error(ec2.create_default_subnet) == "MissingParameter"
        assert error(ec2.create_default_subnet, AvailabilityZone="eu-central-1z") == "InvalidParameterValue"
        assert error(ec2.create_default_subnet, AvailabilityZone=ZONES[0], Ipv6Native=True) == "UnsupportedOperation"
        for zone in ZONES[:2]:
            (old,) = ec2.describe_subnets(**by("availability-zone", zone))["Subnets"]
            ec2.delete_subnet(SubnetId=old["SubnetId"])
        # One of somebody's own in what was the first's; it is no default one, though its zone has none.
        own = ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.1.0/24", AvailabilityZone=ZONES[0])["Subnet"]
        assert (own["DefaultForAz"], own["MapPublicIpOnLaunch"]) == (False, False)
        first = ec2.create_default_subnet(AvailabilityZone=ZONES[0])["Subnet"]
        second = ec2.create_default_subnet(AvailabilityZoneId="euc1-az2")["Subnet"]
        assert [each["CidrBlock"] for each in (first, second)] == ["172.31.16.0/20", "172.31.48.0/20"]
        assert (second["AvailabilityZone"], second["DefaultForAz"], second["MapPublicIpOnLaunch"]) == (
            ZONES[1],
            True,
            True,
        )
        ec2.delete_subnet(SubnetId=second["SubnetId"])
        ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.128.0/17")
        ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.64.0/18")
        ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.48.0/20")
        assert error(ec2.create_default_subnet, **taken) == "InvalidSubnet.Conflict"

    aws_api.told(tmp_path, story)


def test_a_cluster_runs_in_it(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2, eks, iam = (place.client(service) for service in ("ec2", "eks", "iam"))
        trusted = aws_api.trust("eks.amazonaws.com")
        role = iam.create_role(RoleName="eks", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
        subnets = [one["SubnetId"] for one in ec2.describe_subnets(**by("default-for-az", "true"))["Subnets"]]
        eks.create_cluster(name="shop", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        shown = eks.describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]
        assert shown["vpcId"] == the_default(ec2)["VpcId"]
        assert error(ec2.delete_subnet, SubnetId=subnets[0]) == "DependencyViolation"

    aws_api.told(tmp_path, story)


def test_a_region_that_an_earlier_release_used_has_one_too(tmp_path: Path) -> None:
    """What it kept has no word of defaults, and is read as it was meant."""

    def story(place: aws_api.Place) -> None:
        account = place.account.account.id
        old = {"id": "vpc-0123456789abcdef0", "cidr": "172.31.0.0/16", "tags": {}, "created_at": 1.0}
        inside = {"id": "subnet-0123456789abcdef0", "vpc": old["id"], "cidr": "172.31.0.0/20", "zone": ZONES[0]}
        inside |= {"zone_id": "euc1-az1", "tags": {}, "created_at": 1.0}

        async def keep(store: interface.Store) -> None:
            await store.put(spec.vpc_key(account, REGION, str(old["id"])), json.dumps(old).encode())
            await store.put(spec.subnet_key(account, REGION, str(inside["id"])), json.dumps(inside).encode())

        place.ask(keep)
        ec2 = place.client("ec2")
        found = {vpc["VpcId"]: vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]}
        assert (len(found), found[str(old["id"])]) == (2, False)
        (subnet,) = ec2.describe_subnets(SubnetIds=[inside["id"]])["Subnets"]
        assert (subnet["DefaultForAz"], subnet["MapPublicIpOnLaunch"]) == (False, False)
        assert ec2.describe_vpc_attribute(VpcId=old["id"], Attribute="enableDnsHostnames")["EnableDnsHostnames"] == {
            "Value": True
        }

    aws_api.told(tmp_path, story)
