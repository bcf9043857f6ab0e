"""What tools only read: what each VPC has by itself, what a region lists, and lists of what there never is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api
from tests.wire.customer import QUICK, Customer, told

from roadstead.aws import registry
from roadstead.aws.ec2 import absent
from roadstead.aws.ec2.vpc import absent as vpc_absent
from roadstead.aws.ec2.vpc import groups, interfaces, routes, settings
from roadstead.clusters.allocation import ipam, names
from roadstead.contract import naming
from roadstead.core import addresses
from roadstead.serve import main
from roadstead.store import interface, writes

REGION = aws_api.REGION
MODULES = (absent, vpc_absent, groups, interfaces, routes, settings)
OPERATIONS = registry.build([registry.Service(MODULES)], known=("ec2",)).bound
NEVER: dict[str, Any] = {
    "EnableTerminationProtection": True,
    "RoleName": "eks",
    "UserName": "admin",
    "clusterName": "shop",
    "PolicyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
    "identityProviderConfig": {"type": "oidc", "name": "none"},
    "OpenIDConnectProviderArn": "arn:aws:iam::123456789012:oidc-provider/none",
    "SAMLProviderArn": "arn:aws:iam::123456789012:saml-provider/none",
}
"""What the operations that list what there never is are asked for, where they have to be: other texts are `none`."""


def call_of(client: Any, operation: str) -> Callable[..., Any]:
    return getattr(client, botocore.xform_name(operation))  # type: ignore[no-any-return]


def error(call: Callable[..., Any], **asked: Any) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**asked)
    return str(caught.value.response["Error"]["Code"])


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def test_a_vpc_is_as_it_works_here(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        ec2, vpc = customer.ec2, customer.vpc
        other = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        (table,) = ec2.describe_route_tables(**by("vpc-id", vpc))["RouteTables"]
        (gateway,) = ec2.describe_nat_gateways(Filter=[{"Name": "vpc-id", "Values": [vpc]}])["NatGateways"]
        assert [(route["DestinationCidrBlock"], route.get("GatewayId")) for route in table["Routes"]] == [
            ("192.168.0.0/16", "local"),
            ("0.0.0.0/0", None),
        ]
        assert table["Routes"][1]["NatGatewayId"] == gateway["NatGatewayId"]
        assert (gateway["State"], gateway["AvailabilityMode"]) == ("available", "regional")
        assert [each["Main"] for each in table["Associations"]] == [True]
        (acl,) = ec2.describe_network_acls(**by("vpc-id", vpc))["NetworkAcls"]
        assert sorted(each["SubnetId"] for each in acl["Associations"]) == sorted(customer.subnets)
        assert {(entry["RuleNumber"], entry["RuleAction"]) for entry in acl["Entries"]} == {
            (100, "allow"),
            (32767, "deny"),
        }
        values = {}
        for name in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics"):
            answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
            values[name] = answer[f"{name[0].upper()}{name[1:]}"]["Value"]
        assert list(values.values()) == [True, False, False]
        options = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"]
        (shown,) = ec2.describe_dhcp_options(DhcpOptionsIds=[options])["DhcpOptions"]
        found = {each["Key"]: each["Values"][0]["Value"] for each in shown["DhcpConfigurations"]}
        # The domain that porter answers for.
        assert naming.node("10.0.0.4", REGION).endswith(f".{found['domain-name']}")
        # Ids are of their VPC alone, and the same whenever one looks.
        tables = ec2.describe_route_tables()["RouteTables"]
        (own,) = ec2.describe_vpcs(**by("is-default", "true"))["Vpcs"]
        assert {each["VpcId"] for each in tables} == {vpc, other, own["VpcId"]}
        assert len({each["RouteTableId"] for each in tables}) == 3
        assert table in tables
        assert [each["VpcId"] for each in ec2.describe_vpcs(**by("cidr-block", "10.0.0.0/16"))["Vpcs"]] == [other]
        assert ec2.describe_internet_gateways(**by("attachment.vpc-id", vpc))["InternetGateways"] == []

    told(tmp_path, story)


def test_security_groups_say_what_holds(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        ec2 = customer.ec2
        customer.active()
        of_vpc = by("vpc-id", customer.vpc)
        (default,) = ec2.describe_security_groups(
            Filters=[*by("group-name", "default")["Filters"], *of_vpc["Filters"]]
        )["SecurityGroups"]
        config = customer.eks.describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]
        (own,) = ec2.describe_security_groups(GroupIds=[config["clusterSecurityGroupId"]])["SecurityGroups"]
        assert {"Key": "aws:eks:cluster-name", "Value": "shop"} in own["Tags"]
        assert ec2.describe_security_groups(**by("tag:kubernetes.io/cluster/shop", "owned"))["SecurityGroups"] == [own]
        for group in (default, own):
            # Whatever is in the VPC speaks with whatever else is, other clusters too.
            (inside,) = group["IpPermissions"]
            assert (inside["IpProtocol"], inside["IpRanges"]) == ("-1", [{"CidrIp": "192.168.0.0/16"}])
            (outside,) = group["IpPermissionsEgress"]
            assert (outside["IpProtocol"], outside["IpRanges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}])
            rules = ec2.describe_security_group_rules(**by("group-id", group["GroupId"]))["SecurityGroupRules"]
            assert [(rule["IsEgress"], rule["CidrIpv4"]) for rule in rules] == [
                (False, "192.168.0.0/16"),
                (True, "0.0.0.0/0"),
            ]
        listed = ec2.get_security_groups_for_vpc(VpcId=customer.vpc)["SecurityGroupForVpcs"]
        assert {group["GroupId"] for group in listed} == {default["GroupId"], own["GroupId"]}
        assert error(ec2.create_security_group, GroupName="a", Description="b") == "UnsupportedOperation"
        # A namesake that is made later is another.
        customer.eks.delete_cluster(name="shop")
        customer.eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=QUICK)
        assert ec2.describe_security_groups(**of_vpc)["SecurityGroups"] == [default]
        made = customer.eks.create_cluster(**customer.cluster())["cluster"]["resourcesVpcConfig"]
        assert made["clusterSecurityGroupId"] != own["GroupId"]

    told(tmp_path, story)


def test_a_cluster_may_be_given_the_group_of_its_vpc_and_no_other(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        other = customer.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        found = {
            group["VpcId"]: group["GroupId"] for group in customer.ec2.describe_security_groups()["SecurityGroups"]
        }
        asked = customer.cluster()
        for strange in (found[other], "sg-0"):
            asked["resourcesVpcConfig"]["securityGroupIds"] = [strange]
            code, said = customer.refused(customer.eks.create_cluster, **asked)
            assert (code, f"'{strange}' does not exist" in said) == ("InvalidParameterException", True), said
        asked["resourcesVpcConfig"]["securityGroupIds"] = [found[customer.vpc]]
        made = customer.eks.create_cluster(**asked)["cluster"]["resourcesVpcConfig"]
        assert made["securityGroupIds"] == [found[customer.vpc]]

    told(tmp_path, story)


def test_interfaces_are_those_of_what_has_addresses(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        config = customer.eks.describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]
        account = customer.place.account.account.id

        async def allot(store: interface.Store) -> str:
            (state,) = (await interface.everything(store, kind="cluster")).items
            id = names.cluster(state.key, state.desired.created)
            node = f"{id}.i-0123456789abcdef0"
            held = {"192.168.0.4": id, "192.168.0.5": node, "192.168.31.240/28": node, "192.168.0.6": "c-gone"}
            body = ipam.written(ipam.VpcAddresses(held))
            await store.put(ipam.key(account, REGION, customer.vpc), body, writes.Absent())
            return id

        customer.place.ask(allot)
        plane, node = customer.ec2.describe_network_interfaces()["NetworkInterfaces"]
        assert (plane["PrivateIpAddress"], plane["RequesterManaged"]) == ("192.168.0.4", True)
        assert (node["PrivateIpAddress"], node["RequesterManaged"]) == ("192.168.0.5", False)
        assert node["Attachment"]["InstanceId"] == "i-0123456789abcdef0"
        assert node["Ipv4Prefixes"] == [{"Ipv4Prefix": "192.168.31.240/28"}]
        assert node["MacAddress"] == addresses.mac("192.168.0.5")
        assert {each["SubnetId"] for each in (plane, node)} == {customer.subnets[0]}
        assert [group["GroupId"] for group in node["Groups"]] == [config["clusterSecurityGroupId"]]
        chosen = customer.ec2.describe_network_interfaces(**by("attachment.instance-id", "i-0123456789abcdef0"))
        assert chosen["NetworkInterfaces"] == [node]

    told(tmp_path, story)


def test_nodes_are_in_their_clusters_group_and_are_well(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        customer.eks.create_nodegroup(**customer.nodes(2))
        where = {"clusterName": "shop", "nodegroupName": "workers"}
        customer.eks.get_waiter("nodegroup_active").wait(**where, WaiterConfig=QUICK)
        group = customer.eks.describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
        assert customer.eks.describe_nodegroup(**where)["nodegroup"]["resources"] == {"autoScalingGroups": []}
        found = [each["Instances"][0] for each in customer.ec2.describe_instances()["Reservations"]]
        assert [[each["GroupId"] for each in instance["SecurityGroups"]] for instance in found] == [[group]] * 2
        ids = [instance["InstanceId"] for instance in found]
        customer.ec2.get_waiter("instance_status_ok").wait(InstanceIds=ids, WaiterConfig=QUICK)
        customer.ec2.get_waiter("system_status_ok").wait(InstanceIds=ids, WaiterConfig=QUICK)
        for type, known in (("instance", ids), ("security-group", [group])):
            tags = customer.ec2.describe_tags(**by("resource-type", type))["Tags"]
            assert {tag["ResourceId"] for tag in tags} == set(known)
        gone = error(customer.ec2.describe_instance_status, InstanceIds=["i-0123456789abcdef0"])
        assert gone == "InvalidInstanceID.NotFound"

    told(tmp_path, story)


def test_policies_that_roles_may_have(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        iam = customer.place.client("iam")
        arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
        iam.attach_role_policy(RoleName="eks", PolicyArn=arn)
        iam.get_waiter("policy_exists").wait(PolicyArn=arn, WaiterConfig=QUICK)
        policy = iam.get_policy(PolicyArn=arn)["Policy"]
        assert (policy["PolicyName"], policy["AttachmentCount"]) == ("AmazonEKSClusterPolicy", 1)
        pages = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 7})
        listed = [each for page in pages for each in page["Policies"]]
        assert policy in listed
        assert len({each["Arn"] for each in listed}) == len(listed) > 7
        assert [each["Arn"] for each in iam.list_policies(OnlyAttached=True)["Policies"]] == [arn]
        assert iam.list_policies(Scope="Local")["Policies"] == []
        assert [role["RoleName"] for role in iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]] == ["eks"]
        assert iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="User")["PolicyRoles"] == []
        summary = iam.get_account_summary()["SummaryMap"]
        assert (summary["Roles"], summary["Users"], summary["AccessKeysPerUserQuota"]) == (2, 1, 2)
        assert error(iam.get_policy, PolicyArn=f"{arn}Nine") == "NoSuchEntity"
        assert error(iam.list_role_policies, RoleName="nobody") == "NoSuchEntity"
        assert error(iam.list_groups_for_user, UserName="nobody") == "NoSuchEntity"

    told(tmp_path, story)


def test_a_cluster_has_the_authority_that_clients_are_told_of(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.eks.create_cluster(**customer.cluster())
        customer.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        shown = customer.eks.describe_cluster(name="shop")["cluster"]
        (listed,) = customer.eks.list_certificate_authorities(clusterName="shop")["certificateAuthorities"]
        assert (listed["signingStatus"], listed["createdAt"]) == ("IN_USE", shown["createdAt"])
        asked = {"clusterName": "shop", "certificateAuthorityId": listed["id"]}
        whole = customer.eks.describe_certificate_authority(**asked)["certificateAuthority"]
        assert whole["data"] == shown["certificateAuthority"]["data"]
        assert whole["validity"]["notBefore"] < whole["validity"]["notAfter"]
        strange = {**asked, "certificateAuthorityId": "none"}
        assert error(customer.eks.describe_certificate_authority, **strange) == "ResourceNotFoundException"

    told(tmp_path, story)


def test_clusters_that_there_are_not_list_nothing(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        for operation in ("list_addons", "list_fargate_profiles", "list_insights", "list_pod_identity_associations"):
            assert error(getattr(customer.eks, operation), clusterName="shop") == "ResourceNotFoundException"
        customer.active()
        customer.eks.get_waiter("addon_deleted").wait(clusterName="shop", addonName="vpc-cni", WaiterConfig=QUICK)
        profile = {"clusterName": "shop", "fargateProfileName": "fp"}
        customer.eks.get_waiter("fargate_profile_deleted").wait(**profile, WaiterConfig=QUICK)

    told(tmp_path, story)


def test_all_that_there_never_is_is_answered_to_boto3(tmp_path: Path) -> None:
    """Lists are empty, page by page too; what is named is not found, by an error that clients know."""

    def story(customer: Customer) -> None:
        customer.active()
        bound = registry.build(main.SERVICES).bound
        asked_of = [one for one in bound.values() if registry.column(one) == "answers empty"]
        assert len(asked_of) > 90
        clients = {service: customer.place.client(service) for service in ("ec2", "eks", "iam", "cloudformation")}
        for one in asked_of:
            name = one.operation.name
            client = clients[one.service.name]
            required = one.operation.input.required if one.operation.input else ()
            asked = {member: NEVER.get(member, "none") for member in required}
            if name in ("DescribeStaleSecurityGroups", "DescribeSecurityGroupReferences"):
                asked = stale(customer) if "Stale" in name else {"GroupId": [default(customer)]}
            try:
                answer = call_of(client, name)(**asked)
            except botocore.exceptions.ClientError as refused:
                code = refused.response["Error"]["Code"]
                if one.service.name == "cloudformation" and code in ("ValidationError", "ChangeSetNotFound"):
                    continue
                assert code in ("NoSuchEntity", "ResourceNotFoundException"), (name, code)
                assert not name.startswith("List") or "Group" in name or "Tags" in name, name
                continue
            answer.pop("ResponseMetadata")
            assert [value for value in answer.values() if value not in ([], False)] == [], name
            if client.can_paginate(botocore.xform_name(name)):
                pages = list(client.get_paginator(botocore.xform_name(name)).paginate(**asked))
                assert len(pages) == 1, name

    told(tmp_path, story)


def default(customer: Customer) -> str:
    found = customer.ec2.describe_security_groups(**by("group-name", "default"))
    return str(found["SecurityGroups"][0]["GroupId"])


def stale(customer: Customer) -> dict[str, Any]:
    return {"VpcId": customer.vpc}


MISSING: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("DescribeSecurityGroups", {"GroupIds": ["sg-01234567"]}, "InvalidGroup.NotFound"),
    ("DescribeSecurityGroups", {"GroupNames": ["x"]}, "InvalidGroup.NotFound"),
    ("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["sgr-12345678"]}, "InvalidSecurityGroupRuleId.NotFound"),
    ("DescribeRouteTables", {"RouteTableIds": ["rtb-01234567"]}, "InvalidRouteTableID.NotFound"),
    ("DescribeNatGateways", {"NatGatewayIds": ["nat-12345678"]}, "NatGatewayNotFound"),
    ("DescribeNetworkAcls", {"NetworkAclIds": ["acl-12345678"]}, "InvalidNetworkAclID.NotFound"),
    ("DescribeDhcpOptions", {"DhcpOptionsIds": ["dopt-12345678"]}, "InvalidDhcpOptionID.NotFound"),
    (
        "DescribeNetworkInterfaces",
        {"NetworkInterfaceIds": ["eni-01234567"]},
        "InvalidNetworkInterfaceID.NotFound",
    ),
    (
        "DescribeVpcAttribute",
        {"VpcId": "vpc-01234567", "Attribute": "enableDnsSupport"},
        "InvalidVpcID.NotFound",
    ),
    (
        "DescribeInternetGateways",
        {"InternetGatewayIds": ["igw-01234567"]},
        "InvalidInternetGatewayID.NotFound",
    ),
    ("DescribeVpcEndpoints", {"VpcEndpointIds": ["vpce-12345678"]}, "InvalidVpcEndpointId.NotFound"),
    ("DescribeAddresses", {"AllocationIds": ["eipalloc-0"]}, "InvalidAllocationID.NotFound"),
    ("DescribeAddresses", {"PublicIps": ["192.0.2.1"]}, "InvalidAddress.NotFound"),
    ("DescribeKeyPairs", {"KeyNames": ["me"]}, "InvalidKeyPair.NotFound"),
    ("DescribeImages", {"ImageIds": ["ami-01234567"]}, "InvalidAMIID.NotFound"),
    ("DescribeVolumes", {"VolumeIds": ["vol-12345678"]}, "InvalidVolume.NotFound"),
    ("DescribeLaunchTemplates", {"LaunchTemplateIds": ["lt-01234567"]}, "InvalidLaunchTemplateId.NotFound"),
    (
        "DescribeLaunchTemplateVersions",
        {"LaunchTemplateName": "none"},
        "InvalidLaunchTemplateName.NotFoundException",
    ),
    ("DescribeVpcs", {"VpcIds": ["vpc-0"]}, "InvalidVpcID.Malformed"),
    ("DescribeSubnets", {"SubnetIds": ["subnet-01234567", "shop"]}, "InvalidSubnetID.Malformed"),
    ("DescribeInstances", {"InstanceIds": ["i-0"]}, "InvalidInstanceID.Malformed"),
    ("DescribeSecurityGroups", {"GroupIds": ["default"]}, "InvalidGroupId.Malformed"),
    ("DescribeRouteTables", {"RouteTableIds": ["vpc-01234567"]}, "InvalidRouteTableId.Malformed"),
    ("DescribeImages", {"ImageIds": ["ami-0"]}, "InvalidAMIID.Malformed"),
    ("DeleteVpc", {"VpcId": "vpc"}, "InvalidVpcID.Malformed"),
    ("DeleteSubnet", {"SubnetId": "subnet-0123456z"}, "InvalidSubnetID.Malformed"),
    ("CreateSubnet", {"VpcId": "shop", "CidrBlock": "10.0.0.0/24"}, "InvalidVpcID.Malformed"),
    ("DescribeVpcAttribute", {"VpcId": "vpc-01234567", "Attribute": "x"}, "InvalidParameterValue"),
)


def test_what_clients_read_without_asking_is_there(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        made = customer.eks.create_cluster(**customer.cluster())["cluster"]
        assert made["certificateAuthority"] == {}
        role = customer.place.client("iam").get_role(RoleName=customer.roles[0]["RoleName"])["Role"]
        assert (role["RoleLastUsed"], role["MaxSessionDuration"]) == ({}, 3600)
        everything = customer.eks.describe_cluster_versions()["clusterVersions"]
        assert customer.eks.describe_cluster_versions(clusterType="")["clusterVersions"] == everything != []

    told(tmp_path, story)


def test_a_dry_run_would_have_been_and_types_that_there_are_not(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            customer.ec2.describe_vpcs(DryRun=True)
        response = caught.value.response
        assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("DryRunOperation", 412)
        assert error(customer.ec2.describe_instance_types, InstanceTypes=["m5.huge"]) == "InvalidInstanceType"

    told(tmp_path, story)


def test_what_is_named_and_is_not_there(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2 = place.client("ec2")
        for operation, asked, code in MISSING:
            assert error(call_of(ec2, operation), **asked) == code, operation

    aws_api.told(tmp_path, story)
