"""Every operation that does anything is asked, and its answer has all that it has to have (`unit.whole_answers`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api, whole_answers
from tests.wire.customer import QUICK, Customer, told

from roadstead.aws import registry
from roadstead.serve import main

POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
GROUP = {"clusterName": "shop", "nodegroupName": "workers"}


def networks(customer: Customer) -> None:
    ec2, vpc, subnet = customer.ec2, customer.vpc, customer.subnets[0]
    ec2.describe_vpcs()
    ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")
    ec2.describe_subnets()
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "b"}])
    ec2.describe_tags()
    ec2.delete_tags(Resources=[vpc])
    ec2.describe_regions()
    ec2.describe_availability_zones()
    ec2.describe_instance_types()
    ec2.describe_instance_type_offerings()
    ec2.describe_security_groups()
    ec2.describe_security_group_rules()
    ec2.get_security_groups_for_vpc(VpcId=vpc)
    ec2.describe_route_tables()
    ec2.describe_nat_gateways()
    ec2.describe_dhcp_options()
    ec2.describe_network_acls()
    ec2.describe_account_attributes()
    other = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.delete_subnet(SubnetId=ec2.create_subnet(VpcId=other, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"])
    ec2.modify_vpc_attribute(VpcId=other, EnableDnsHostnames={"Value": True})
    ec2.delete_vpc(VpcId=other)
    (own,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    for each in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [own["VpcId"]]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=each["SubnetId"])
    ec2.create_default_subnet(AvailabilityZone=f"{aws_api.REGION}a")
    (made,) = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [own["VpcId"]]}])["Subnets"]
    ec2.delete_subnet(SubnetId=made["SubnetId"])
    ec2.delete_vpc(VpcId=own["VpcId"])
    ec2.create_default_vpc()


def people(iam: Any, ours: str) -> None:
    """ours: the name of a role that is there."""
    iam.attach_role_policy(RoleName=ours, PolicyArn=POLICY)
    iam.get_role(RoleName=ours)
    iam.list_roles()
    iam.list_role_tags(RoleName=ours)
    assert iam.list_attached_role_policies(RoleName=ours)["AttachedPolicies"]
    iam.list_policies()
    iam.get_policy(PolicyArn=POLICY)
    iam.list_policy_versions(PolicyArn=POLICY)
    assert iam.list_entities_for_policy(PolicyArn=POLICY)["PolicyRoles"]
    iam.detach_role_policy(RoleName=ours, PolicyArn=POLICY)
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=aws_api.trust("ec2.amazonaws.com"))
    iam.delete_role(RoleName="other")
    iam.create_user(UserName="ann")
    iam.get_user(UserName="ann")
    iam.list_users()
    iam.list_user_tags(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    assert iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
    iam.delete_access_key(UserName="ann", AccessKeyId=key)
    iam.delete_user(UserName="ann")
    iam.get_account_summary()


def entries(eks: Any, ann: str) -> None:
    one = {"clusterName": "shop", "principalArn": ann}
    eks.list_access_policies()
    eks.create_access_entry(**one)
    eks.describe_access_entry(**one)
    eks.update_access_entry(**one, kubernetesGroups=["devs"])
    eks.associate_access_policy(**one, policyArn=VIEW, accessScope={"type": "cluster"})
    assert eks.list_associated_access_policies(**one)["associatedAccessPolicies"]
    eks.disassociate_access_policy(**one, policyArn=VIEW)
    eks.list_access_entries(clusterName="shop")
    eks.delete_access_entry(**one)


def clusters(customer: Customer) -> None:
    eks = customer.eks
    eks.describe_cluster_versions()
    asked = customer.cluster(version="1.36", accessConfig={"authenticationMode": "API"})
    made = eks.create_cluster(**asked)["cluster"]
    eks.describe_cluster(name="shop")
    eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
    shown = eks.describe_cluster(name="shop")["cluster"]
    # Who has waited for it reads these without asking.
    assert shown["endpoint"].startswith("https://")
    assert shown["certificateAuthority"]["data"]
    eks.list_clusters()
    for authority in eks.list_certificate_authorities(clusterName="shop")["certificateAuthorities"]:
        assert authority["id"]
    eks.tag_resource(resourceArn=made["arn"], tags={"a": "b"})
    eks.list_tags_for_resource(resourceArn=made["arn"])
    eks.untag_resource(resourceArn=made["arn"], tagKeys=["a"])
    nodes(customer)
    insights(eks)
    update = eks.update_cluster_version(name="shop", version="1.37")["update"]["id"]
    eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
    eks.describe_update(name="shop", updateId=update)
    eks.update_cluster_config(name="shop", upgradePolicy={"supportType": "STANDARD"})
    eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
    eks.list_updates(name="shop")
    assert eks.start_insights_refresh(clusterName="shop")["message"]
    eks.describe_insights_refresh(clusterName="shop")
    for insight in eks.list_insights(clusterName="shop")["insights"]:
        assert eks.describe_insight(clusterName="shop", id=insight["id"])["insight"]["resources"] == []


def insights(eks: Any) -> None:
    assert eks.start_insights_refresh(clusterName="shop")["status"]
    eks.describe_insights_refresh(clusterName="shop")
    (first, *_) = eks.list_insights(clusterName="shop")["insights"]
    assert eks.describe_insight(clusterName="shop", id=first["id"])["insight"]["recommendation"]


def nodes(customer: Customer) -> None:
    eks, ec2 = customer.eks, customer.ec2
    eks.create_nodegroup(**customer.nodes(1, taints=[{"key": "a", "effect": "NO_SCHEDULE"}]))
    eks.get_waiter("nodegroup_active").wait(**GROUP, WaiterConfig=QUICK)
    eks.describe_nodegroup(**GROUP)
    eks.list_nodegroups(clusterName="shop")
    assert ec2.describe_instances()["Reservations"]
    assert ec2.describe_instance_status()["InstanceStatuses"]
    ec2.describe_network_interfaces()
    eks.update_nodegroup_config(**GROUP, labels={"addOrUpdateLabels": {"a": "b"}})
    eks.get_waiter("nodegroup_active").wait(**GROUP, WaiterConfig=QUICK)


def gone(customer: Customer) -> None:
    eks = customer.eks
    eks.delete_nodegroup(**GROUP)
    eks.get_waiter("nodegroup_deleted").wait(**GROUP, WaiterConfig=QUICK)
    eks.delete_cluster(name="shop")
    eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=QUICK)


UNASKED = {
    "DescribeCertificateAuthority": "the simulated authority is no certificate",
    "GetStatus": "a serve that has started says what it is",
}
"""Those that this test cannot ask, and why."""


def test_every_answer_of_every_operation_is_whole(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        own = customer.place.client("roadstead")
        networks(customer)
        people(customer.place.client("iam"), customer.roles[0]["RoleName"])
        customer.place.client("sts").get_caller_identity()
        clusters(customer)
        entries(customer.eks, customer.place.client("iam").create_user(UserName="bob")["User"]["Arn"])
        own.check_room()
        own.list_events()
        own.list_cluster_parts(clusterName="shop")
        gone(customer)
        assert wanted - customer.place.answered == set()

    bound = registry.build(main.SERVICES).bound.items()
    wanted = {name for name, one in bound if registry.column(one) == "behaves" and name[1] not in UNASKED}
    told(tmp_path, story)


@pytest.mark.parametrize(
    ("service", "operation", "answer", "missing"),
    [
        ("eks", "ListClusters", {}, ["clusters"]),
        ("eks", "ListClusters", {"clusters": []}, []),
        ("iam", "ListRoles", {"Roles": [{"Path": "/"}]}, ["IsTruncated", "Roles.0.Arn"]),
        ("ec2", "DescribeInstanceTypes", {"InstanceTypes": [{"EbsInfo": {}}]}, ["InstanceTypes.0.PlacementGroupInfo"]),
        ("eks", "DescribeCluster", {"cluster": {"identity": {}}}, ["cluster.identity.oidc", "cluster.health"]),
    ],
)
def test_what_is_missing_is_found(service: str, operation: str, answer: dict[str, Any], missing: list[str]) -> None:
    model = botocore.session.Session().get_service_model(service).operation_model(operation)
    found = whole_answers.lacking(model, answer)
    assert set(missing) <= set(found)
    assert bool(missing) == bool(found)
