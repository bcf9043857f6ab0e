"""Cases of what tools only read, of access entries, and of input that EKS refuses. Asked while `peer-two` is there.

Source: the EKS, EC2 and IAM API References; VPC User Guide (what each VPC has by itself).
"""

from __future__ import annotations

from typing import Any

from tests.peer.case import Answer, Case, fault, fits

POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
OF_VPC = [{"Name": "vpc-id", "Values": ["$vpc"]}]
TWO = {"clusterName": "peer-two"}
ENTRY = {**TWO, "principalArn": "$nodes"}
GROUP = {
    **TWO,
    "nodeRole": "$nodes",
    "subnets": ["$subnet_a"],
    "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
}


def empty(name: str, service: str, operation: str, member: str, **asked: Any) -> Case:
    return Case(name, service, operation, asked, Answer({member: []}))


def refused(name: str, **other: Any) -> Case:
    asked = {**GROUP, "nodegroupName": "-".join(name.split()), **other}
    return Case(name, "eks", "create_nodegroup", asked, fault("InvalidParameterException"))


def unknown(name: str, operation: str, *codes: str, status: int = 400, **asked: Any) -> Case:
    return Case(name, "ec2", operation, asked, fault(*codes, status=status))


VPCS = (
    Case(
        "the VPC's own security group",
        "ec2",
        "describe_security_groups",
        {"Filters": OF_VPC},
        Answer({"SecurityGroups[?GroupName=='default'].VpcId | [0]": "$vpc"}),
    ),
    unknown(
        "a security group that there is not",
        "describe_security_groups",
        "InvalidGroup.NotFound",
        GroupIds=["sg-01234567"],
    ),
    Case(
        "the main route table",
        "ec2",
        "describe_route_tables",
        {"Filters": [*OF_VPC, {"Name": "association.main", "Values": ["true"]}]},
        Answer({"length(RouteTables)": 1, "RouteTables[0].Routes[?GatewayId=='local'].State | [0]": "active"}),
    ),
    unknown(
        "a route table that there is not",
        "describe_route_tables",
        "InvalidRouteTableID.NotFound",
        RouteTableIds=["rtb-01234567"],
    ),
    Case(
        "the default network ACL",
        "ec2",
        "describe_network_acls",
        {"Filters": [*OF_VPC, {"Name": "default", "Values": ["true"]}]},
        Answer({"length(NetworkAcls)": 1, "length(NetworkAcls[0].Entries)": 4}),
    ),
    Case(
        "whether there is DNS",
        "ec2",
        "describe_vpc_attribute",
        {"VpcId": "$vpc", "Attribute": "enableDnsSupport"},
        Answer({"EnableDnsSupport.Value": True}),
    ),
    Case(
        "an attribute of a VPC that there is not",
        "ec2",
        "describe_vpc_attribute",
        {"VpcId": "vpc-0123456789abcdef0", "Attribute": "enableDnsSupport"},
        fault("InvalidVpcID.NotFound"),
    ),
    empty(
        "no internet gateway",
        "ec2",
        "describe_internet_gateways",
        "InternetGateways",
        Filters=[{"Name": "attachment.vpc-id", "Values": ["$vpc"]}],
    ),
    empty("no endpoints", "ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=OF_VPC),
    unknown(
        "a volume that there is not", "describe_volumes", "InvalidVolume.NotFound", VolumeIds=["vol-0123456789abcdef0"]
    ),
    unknown("a key that there is not", "describe_key_pairs", "InvalidKeyPair.NotFound", KeyNames=["none"]),
)

IDENTITIES = (
    empty("no policies of a role's own", "iam", "list_role_policies", "PolicyNames", RoleName="peer-nodes"),
    empty(
        "no instance profiles of a role",
        "iam",
        "list_instance_profiles_for_role",
        "InstanceProfiles",
        RoleName="peer-nodes",
    ),
    Case(
        "policies of a role that there is not",
        "iam",
        "list_role_policies",
        {"RoleName": "none"},
        fault("NoSuchEntity", status=404),
    ),
    Case(
        "AWS's policy is shown",
        "iam",
        "get_policy",
        {"PolicyArn": POLICY},
        Answer({"Policy.PolicyName": "AmazonEKSClusterPolicy", "Policy.PolicyId": fits("ANPA[A-Z2-7]{17}")}),
    ),
    Case(
        "a policy that there is not, shown",
        "iam",
        "get_policy",
        {"PolicyArn": f"{POLICY}Nine"},
        fault("NoSuchEntity", status=404),
    ),
    empty("no groups", "iam", "list_groups", "Groups"),
    empty("no providers", "iam", "list_open_id_connect_providers", "OpenIDConnectProviderList"),
    Case(
        "the account's quota of keys",
        "iam",
        "get_account_summary",
        {},
        Answer({"SummaryMap.AccessKeysPerUserQuota": 2}),
    ),
)

CLUSTERS = (
    Case(
        "a cluster's own security group",
        "eks",
        "describe_cluster",
        {"name": "peer-two"},
        Answer({"cluster.resourcesVpcConfig.clusterSecurityGroupId": fits("sg-[0-9a-f]+")}),
        keep={"group": "cluster.resourcesVpcConfig.clusterSecurityGroupId"},
    ),
    Case(
        "it is there",
        "ec2",
        "describe_security_groups",
        {"GroupIds": ["$group"]},
        Answer({"SecurityGroups[0].GroupName": fits("eks-cluster-sg-peer-two-.+")}),
    ),
    empty("no add-ons", "eks", "list_addons", "addons", **TWO),
    Case(
        "an add-on that there is not",
        "eks",
        "describe_addon",
        {**TWO, "addonName": "none"},
        fault("ResourceNotFoundException", status=404),
    ),
    Case(
        "add-ons of a cluster that there is not",
        "eks",
        "list_addons",
        {"clusterName": "none"},
        fault("ResourceNotFoundException", status=404),
    ),
    empty("no Fargate profiles", "eks", "list_fargate_profiles", "fargateProfileNames", **TWO),
    empty("no pod identities", "eks", "list_pod_identity_associations", "associations", **TWO),
    empty("no identity providers", "eks", "list_identity_provider_configs", "identityProviderConfigs", **TWO),
    Case("an access entry", "eks", "create_access_entry", ENTRY, Answer({"accessEntry.type": "STANDARD"})),
    Case(
        "an access entry is shown",
        "eks",
        "describe_access_entry",
        ENTRY,
        Answer({"accessEntry.principalArn": "$nodes"}),
    ),
    Case(
        "an access entry that there is already",
        "eks",
        "create_access_entry",
        ENTRY,
        fault("ResourceInUseException", status=409),
    ),
    Case(
        "a policy for an access entry",
        "eks",
        "associate_access_policy",
        {**ENTRY, "policyArn": VIEW, "accessScope": {"type": "cluster"}},
        Answer({"associatedAccessPolicy.policyArn": VIEW}),
    ),
    refused(
        "a nodegroup with both kinds of maxUnavailable",
        updateConfig={"maxUnavailable": 1, "maxUnavailablePercentage": 9},
    ),
    refused("a nodegroup with more unavailable than at most", updateConfig={"maxUnavailable": 3}),
    refused("a nodegroup with a label that is reserved", labels={"eks.amazonaws.com/nodegroup": "mine"}),
)
