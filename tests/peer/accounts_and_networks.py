"""Cases of sts, iam and ec2.

Source of codes: IAM API Reference; EC2 API Reference, "Error codes for the Amazon EC2 API"; botocore's models.
"""

from __future__ import annotations

import json

from tests.peer.case import Answer, Case, fault, fits


def trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


MANAGED = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
NONE = "arn:aws:iam::aws:policy/NoSuchPolicyAnywhere"

SIGNATURES = (
    Case(
        "who am I",
        "sts",
        "get_caller_identity",
        {},
        Answer({"Account": fits(r"\d{12}"), "Arn": fits(r"arn:aws:(iam|sts)::.+"), "UserId": fits(r"[\w:-]+")}),
    ),
    Case(
        "signed with a wrong secret",
        "sts",
        "get_caller_identity",
        {},
        fault("SignatureDoesNotMatch", status=403),
        signed="wrong secret",
    ),
    Case(
        "signed with a key that there is not (sts)",
        "sts",
        "get_caller_identity",
        {},
        fault("InvalidClientTokenId", status=403),
        signed="unknown key",
    ),
    Case(
        "signed with a key that there is not (eks)",
        "eks",
        "list_clusters",
        {},
        fault("UnrecognizedClientException", status=403),
        signed="unknown key",
    ),
)

IDENTITIES = (
    Case(
        "a role",
        "iam",
        "create_role",
        {"RoleName": "peer-eks", "AssumeRolePolicyDocument": trust("eks.amazonaws.com")},
        Answer({"Role.RoleName": "peer-eks", "Role.Path": "/", "Role.RoleId": fits(r"AROA\w{12,}")}),
        keep={"role": "Role.Arn"},
    ),
    Case(
        "a role of nodes",
        "iam",
        "create_role",
        {"RoleName": "peer-nodes", "AssumeRolePolicyDocument": trust("ec2.amazonaws.com")},
        Answer({"Role.RoleName": "peer-nodes"}),
        keep={"nodes": "Role.Arn"},
    ),
    Case(
        "a role that there is already",
        "iam",
        "create_role",
        {"RoleName": "peer-eks", "AssumeRolePolicyDocument": trust("eks.amazonaws.com")},
        fault("EntityAlreadyExists", status=409),
    ),
    Case(
        "a role with half a policy",
        "iam",
        "create_role",
        {"RoleName": "half", "AssumeRolePolicyDocument": '{"Statement": ['},
        fault("MalformedPolicyDocument"),
    ),
    Case(
        "a role is shown, its policy decoded",
        "iam",
        "get_role",
        {"RoleName": "peer-eks"},
        Answer({"Role.Arn": "$role", "Role.AssumeRolePolicyDocument.Statement[0].Effect": "Allow"}),
    ),
    Case("a role that there is not", "iam", "get_role", {"RoleName": "none"}, fault("NoSuchEntity", status=404)),
    Case("a role's name with a space", "iam", "get_role", {"RoleName": "a b"}, fault("ValidationError")),
    Case("waiting for a role", "iam", "role_exists", {"RoleName": "peer-eks"}, Answer(), how="wait"),
    Case(
        "all roles, in pages of one",
        "iam",
        "list_roles",
        {"MaxItems": 1},
        Answer({"Roles[?starts_with(RoleName, 'peer-')].RoleName | sort(@)": ["peer-eks", "peer-nodes"]}),
        how="pages",
    ),
    Case(
        "AWS's policy for a role", "iam", "attach_role_policy", {"RoleName": "peer-eks", "PolicyArn": MANAGED}, Answer()
    ),
    Case(
        "a policy that there is not",
        "iam",
        "attach_role_policy",
        {"RoleName": "peer-eks", "PolicyArn": NONE},
        fault("NoSuchEntity", status=404),
    ),
    Case(
        "policies of a role",
        "iam",
        "list_attached_role_policies",
        {"RoleName": "peer-eks"},
        Answer({"AttachedPolicies[].PolicyArn": [MANAGED]}),
    ),
    Case(
        "deleting a role that has a policy",
        "iam",
        "delete_role",
        {"RoleName": "peer-eks"},
        fault("DeleteConflict", status=409),
    ),
    Case("a user", "iam", "create_user", {"UserName": "peer"}, Answer({"User.UserName": "peer"})),
    Case(
        "a user's key",
        "iam",
        "create_access_key",
        {"UserName": "peer"},
        Answer({"AccessKey.AccessKeyId": fits("AKIA[A-Z2-7]{16}"), "AccessKey.Status": "Active"}),
    ),
    Case("a second key", "iam", "create_access_key", {"UserName": "peer"}, Answer()),
    Case("a third key", "iam", "create_access_key", {"UserName": "peer"}, fault("LimitExceeded", status=409)),
)

NETWORKS = (
    Case(
        "a VPC",
        "ec2",
        "create_vpc",
        {"CidrBlock": "10.7.0.0/16"},
        Answer({"Vpc.CidrBlock": "10.7.0.0/16", "Vpc.IsDefault": False}),
        keep={"vpc": "Vpc.VpcId"},
    ),
    Case("a VPC of /8", "ec2", "create_vpc", {"CidrBlock": "10.0.0.0/8"}, fault("InvalidVpc.Range")),
    Case("a VPC of no network", "ec2", "create_vpc", {}, fault("MissingParameter", "InvalidParameterValue")),
    Case(
        "a VPC, only asked whether",
        "ec2",
        "create_vpc",
        {"CidrBlock": "10.8.0.0/16", "DryRun": True},
        fault("DryRunOperation", status=412),
    ),
    Case("waiting for a VPC", "ec2", "vpc_available", {"VpcIds": ["$vpc"]}, Answer(), how="wait"),
    Case(
        "a VPC of another region",
        "ec2",
        "describe_vpcs",
        {"VpcIds": ["$vpc"]},
        fault("InvalidVpcID.NotFound"),
        region="us-east-1",
    ),
    *(
        Case(
            f"a subnet in zone {zone}",
            "ec2",
            "create_subnet",
            {
                "VpcId": "$vpc",
                "CidrBlock": f"10.7.{number}.0/24",
                "AvailabilityZone": f"eu-central-1{zone}",
                "TagSpecifications": [
                    {"ResourceType": "subnet", "Tags": [{"Key": "tier", "Value": f"private-{zone}"}]}
                ],
            },
            Answer({"Subnet.AvailableIpAddressCount": 251, "Subnet.AvailabilityZone": f"eu-central-1{zone}"}),
            keep={f"subnet_{zone}": "Subnet.SubnetId"},
        )
        for number, zone in enumerate("abc")
    ),
    Case(
        "a subnet over another",
        "ec2",
        "create_subnet",
        {"VpcId": "$vpc", "CidrBlock": "10.7.0.128/25"},
        fault("InvalidSubnet.Conflict"),
    ),
    Case(
        "a subnet outside its VPC",
        "ec2",
        "create_subnet",
        {"VpcId": "$vpc", "CidrBlock": "10.9.0.0/24"},
        fault("InvalidSubnet.Range"),
    ),
    Case(
        "a subnet of a VPC that there is not",
        "ec2",
        "create_subnet",
        {"VpcId": "vpc-0123456789abcdef0", "CidrBlock": "10.7.9.0/24"},
        fault("InvalidVpcID.NotFound"),
    ),
    Case(
        "subnets by VPC and tag with a star",
        "ec2",
        "describe_subnets",
        {"Filters": [{"Name": "vpc-id", "Values": ["$vpc"]}, {"Name": "tag:tier", "Values": ["*-b"]}]},
        Answer({"Subnets[].SubnetId": ["$subnet_b"]}),
    ),
    Case(
        "a filter that there is not",
        "ec2",
        "describe_subnets",
        {"Filters": [{"Name": "colour", "Values": ["blue"]}]},
        fault("InvalidParameterValue"),
    ),
    Case(
        "a page of too many",
        "ec2",
        "describe_vpcs",
        {"MaxResults": 9999},
        fault("InvalidParameterValue", "InvalidMaxResults"),
    ),
    Case(
        "a page after a page that there was not",
        "ec2",
        "describe_subnets",
        {"MaxResults": 5, "NextToken": "next"},
        fault("InvalidNextToken", "InvalidParameterValue"),
    ),
    Case("deleting a VPC that has subnets", "ec2", "delete_vpc", {"VpcId": "$vpc"}, fault("DependencyViolation")),
    Case(
        "zones of the region",
        "ec2",
        "describe_availability_zones",
        {},
        Answer({"AvailabilityZones[].ZoneName | sort(@)": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]}),
    ),
    Case(
        "an instance type",
        "ec2",
        "describe_instance_types",
        {"InstanceTypes": ["t3.medium"]},
        Answer({"InstanceTypes[0].VCpuInfo.DefaultVCpus": 2, "InstanceTypes[0].MemoryInfo.SizeInMiB": 4096}),
    ),
    Case(
        "an instance type of a rarer family",
        "ec2",
        "describe_instance_types",
        {"InstanceTypes": ["x1e.32xlarge"]},
        Answer({"InstanceTypes[0].VCpuInfo.DefaultVCpus": 128}),
        lacking=True,
    ),
    Case(
        "an instance type that there is not",
        "ec2",
        "describe_instance_types",
        {"InstanceTypes": ["t99.huge"]},
        fault("InvalidInstanceType"),
    ),
    Case(
        "where an instance type is offered",
        "ec2",
        "describe_instance_type_offerings",
        {"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": ["m5.large"]}]},
        Answer({"InstanceTypeOfferings[].Location | sort(@)": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]}),
    ),
)
