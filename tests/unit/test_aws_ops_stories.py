"""Operations as real boto3 calls them: VPC, subnets, roles, cluster, nodegroup; waiters, paginators, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api

QUICK = {"Delay": 0.01, "MaxAttempts": 500}


def code(call: Callable[..., Any], **asked: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**asked)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    return str(caught.value.response["Error"]["Code"])


def network(place: aws_api.Place) -> tuple[str, list[str]]:
    """A VPC with two subnets."""
    ec2 = place.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"192.168.{32 * n}.0/19", AvailabilityZone=f"eu-central-1{zone}")
        for n, zone in enumerate("ab")
    ]
    return vpc, [subnet["Subnet"]["SubnetId"] for subnet in made]


def roles(place: aws_api.Place) -> tuple[str, str]:
    """The ARNs of roles of a cluster and of nodes."""
    iam = place.client("iam")
    return tuple(
        iam.create_role(RoleName=service, AssumeRolePolicyDocument=aws_api.trust(f"{service}.amazonaws.com"))["Role"][
            "Arn"
        ]
        for service in ("eks", "ec2")
    )


def cluster(place: aws_api.Place, **more: Any) -> tuple[Any, dict[str, Any], list[str], str]:
    """A cluster `shop`, asked for: the client, the answer, the subnets, the role of nodes."""
    _, subnets = network(place)
    of_cluster, of_nodes = roles(place)
    eks = place.client("eks")
    made = eks.create_cluster(name="shop", roleArn=of_cluster, resourcesVpcConfig={"subnetIds": subnets}, **more)[
        "cluster"
    ]
    return eks, made, subnets, of_nodes


def test_the_life_of_a_cluster_with_nodes(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        eks, made, subnets, of_nodes = cluster(place, version="1.36", tags={"team": "blue"})
        assert (made["status"], made["version"], made["tags"]) == ("CREATING", "1.36", {"team": "blue"})
        assert made["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "10.100.0.0/16"
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        shown = eks.describe_cluster(name="shop")["cluster"]
        assert shown["endpoint"].startswith("https://")
        group = {"clusterName": "shop", "nodegroupName": "workers"}
        scaling = {"minSize": 1, "maxSize": 5, "desiredSize": 3}
        eks.create_nodegroup(**group, subnets=subnets, nodeRole=of_nodes, scalingConfig=scaling)
        eks.get_waiter("nodegroup_active").wait(**group, WaiterConfig=QUICK)
        ec2 = place.client("ec2")
        filters = [{"Name": "tag:eks:nodegroup-name", "Values": ["work*"]}]
        found = ec2.describe_instances(Filters=filters)["Reservations"]
        assert [one["Instances"][0]["State"]["Name"] for one in found] == ["running"] * 3
        assert code(eks.delete_cluster, name="shop") == "ResourceInUseException"
        assert code(ec2.delete_subnet, SubnetId=subnets[0]) == "DependencyViolation"
        eks.delete_nodegroup(**group)
        eks.get_waiter("nodegroup_deleted").wait(**group, WaiterConfig=QUICK)
        assert eks.delete_cluster(name="shop")["cluster"]["status"] == "DELETING"
        eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=QUICK)
        assert eks.list_clusters()["clusters"] == []
        told = place.client("roadstead").get_paginator("list_events").paginate().build_full_result()["events"]
        reasons = [event["reason"] for event in told if event["reason"] in ("Ready", "Deleted")]
        assert reasons == ["Ready", "Ready", "Deleted", "Deleted"]

    assert aws_api.told(tmp_path, story).present() == []


def test_updates_are_followed_and_one_at_a_time(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        eks, made, _, _ = cluster(place, version="1.36")
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        assert code(eks.update_cluster_version, name="shop", version="1.35") == "InvalidParameterException"
        first = eks.update_cluster_version(name="shop", version="1.37")["update"]
        assert (first["type"], first["status"]) == ("VersionUpdate", "InProgress")
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        assert eks.describe_cluster(name="shop")["cluster"]["version"] == "1.37"
        on = {"endpointPrivateAccess": True}
        second = eks.update_cluster_config(name="shop", resourcesVpcConfig=on)["update"]
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        assert code(eks.update_cluster_config, name="shop", resourcesVpcConfig=on) == "InvalidParameterException"
        pages = eks.get_paginator("list_updates").paginate(name="shop", PaginationConfig={"PageSize": 1})
        assert [page["updateIds"] for page in pages] == [[first["id"]], [second["id"]]]
        for update in (first, second):
            shown = eks.describe_update(name="shop", updateId=update["id"])["update"]
            assert (shown["status"], shown["errors"]) == ("Successful", [])
        assert code(eks.describe_update, name="shop", updateId="none") == "ResourceNotFoundException"
        eks.tag_resource(resourceArn=made["arn"], tags={"a": "1", "b": "2"})
        eks.untag_resource(resourceArn=made["arn"], tagKeys=["a"])
        assert eks.list_tags_for_resource(resourceArn=made["arn"])["tags"] == {"b": "2"}

    aws_api.told(tmp_path, story)


def test_a_cluster_that_cannot_be_made_fails_and_can_be_deleted(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        eks, _, _, _ = cluster(place, version="1.36")
        with pytest.raises(botocore.exceptions.WaiterError, match="FAILED"):
            eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        assert "no engine" in str(eks.describe_cluster(name="shop")["cluster"]["health"]["issues"])
        eks.delete_cluster(name="shop")
        eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=QUICK)

    aws_api.told(tmp_path, story, refuses=frozenset({"1.36.3"}))


def test_what_a_cluster_cannot_be(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        eks, made, subnets, of_nodes = cluster(place)
        good = {"name": "two", "roleArn": made["roleArn"], "resourcesVpcConfig": {"subnetIds": subnets}}
        bad: list[dict[str, Any]] = [
            {"roleArn": of_nodes},
            {"roleArn": "arn:aws:iam::111111111111:role/other"},
            {"version": "1.9"},
            {"resourcesVpcConfig": {"subnetIds": subnets[:1]}},
            {"resourcesVpcConfig": {"subnetIds": ["subnet-none"]}},
            {"kubernetesNetworkConfig": {"serviceIpv4Cidr": "192.168.1.0/24"}},
            {"computeConfig": {"enabled": True}},
        ]
        assert {code(eks.create_cluster, **{**good, **one}) for one in bad} == {"InvalidParameterException"}
        assert code(eks.create_cluster, **{**good, "name": "shop"}) == "ResourceInUseException"
        assert code(eks.describe_cluster, name="two") == "ResourceNotFoundException"
        assert place.client("eks", "us-east-1").list_clusters()["clusters"] == []

    aws_api.told(tmp_path, story)


def test_networks(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2 = place.client("ec2")
        assert code(ec2.create_vpc, CidrBlock="10.0.0.0/8") == "InvalidVpc.Range"
        assert code(ec2.create_vpc, CidrBlock="ten") == "InvalidParameterValue"
        assert code(ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True) == "DryRunOperation"
        vpc, subnets = network(place)
        ec2.get_waiter("vpc_available").wait(VpcIds=[vpc], WaiterConfig=QUICK)
        ec2.get_waiter("subnet_available").wait(SubnetIds=subnets, WaiterConfig=QUICK)
        assert code(ec2.create_subnet, VpcId=vpc, CidrBlock="192.168.8.0/24") == "InvalidSubnet.Conflict"
        assert code(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/24") == "InvalidSubnet.Range"
        assert code(ec2.describe_vpcs, VpcIds=["vpc-01234567"]) == "InvalidVpcID.NotFound"
        assert code(ec2.describe_vpcs, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidParameterValue"
        ec2.create_tags(Resources=[vpc, subnets[0]], Tags=[{"Key": "Name", "Value": "blue"}])
        named = [{"Name": "tag:Name", "Values": ["b?ue"]}]
        assert [one["SubnetId"] for one in ec2.describe_subnets(Filters=named)["Subnets"]] == [subnets[0]]
        assert ec2.describe_subnets(SubnetIds=subnets[1:])["Subnets"][0]["AvailableIpAddressCount"] == 8187
        assert {tag["ResourceId"] for tag in ec2.describe_tags()["Tags"]} == {vpc, subnets[0]}
        zones = ec2.describe_availability_zones()["AvailabilityZones"]
        assert [zone["ZoneId"] for zone in zones] == ["euc1-az1", "euc1-az2", "euc1-az3"]
        offers = ec2.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone",
            Filters=[{"Name": "instance-type", "Values": ["m5.*large"]}],
            PaginationConfig={"PageSize": 5},
        )
        assert len([offer for page in offers for offer in page["InstanceTypeOfferings"]]) == 24
        assert ec2.describe_instance_types(InstanceTypes=["m5.large"])["InstanceTypes"][0]["MemoryInfo"] == {
            "SizeInMiB": 8192
        }
        assert code(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
        for subnet in subnets:
            ec2.delete_subnet(SubnetId=subnet)
        ec2.delete_vpc(VpcId=vpc)
        assert [one["IsDefault"] for one in ec2.describe_vpcs()["Vpcs"]] == [True]

    aws_api.told(tmp_path, story)


def test_roles_users_and_keys(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        iam = place.client("iam")
        of_cluster, _ = roles(place)
        document = aws_api.trust("eks.amazonaws.com")
        assert code(iam.create_role, RoleName="EKS", AssumeRolePolicyDocument=document) == "EntityAlreadyExists"
        assert code(iam.create_role, RoleName="bad", AssumeRolePolicyDocument="{}") == "MalformedPolicyDocument"
        assert iam.get_role(RoleName="eks")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Effect"] == "Allow"
        policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        iam.attach_role_policy(RoleName="eks", PolicyArn=policy)
        listed = iam.list_attached_role_policies(RoleName="eks")["AttachedPolicies"]
        assert listed == [{"PolicyName": "AmazonEKSClusterPolicy", "PolicyArn": policy}]
        assert code(iam.delete_role, RoleName="eks") == "DeleteConflict"
        iam.detach_role_policy(RoleName="eks", PolicyArn=policy)
        pages = iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1})
        assert [role["Arn"] for page in pages for role in page["Roles"]][1] == of_cluster
        iam.delete_role(RoleName="eks")
        assert code(iam.get_role, RoleName="eks") == "NoSuchEntity"
        iam.create_user(UserName="eve")
        key = iam.create_access_key(UserName="eve")["AccessKey"]
        assert len(key["SecretAccessKey"]) == 40
        assert code(iam.delete_user, UserName="eve") == "DeleteConflict"
        iam.delete_access_key(UserName="eve", AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName="eve")
        who = place.client("sts").get_caller_identity()
        assert who["Arn"] == f"arn:aws:iam::{place.account.account.id}:user/admin"

    aws_api.told(tmp_path, story)
