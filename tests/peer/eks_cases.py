"""Cases of eks, and of what the services of Roadstead do not have yet.

Source: EKS API Reference (the errors of each operation, and what it says of states); botocore's model.
"""

from __future__ import annotations

import json
from typing import Any

from tests.peer.case import Answer, Case, fault, fits

VPC = {"subnetIds": ["$subnet_a", "$subnet_b"]}
GROUP = {"clusterName": "peer", "nodegroupName": "workers"}
NODES = {**GROUP, "nodeRole": "$nodes", "subnets": ["$subnet_a", "$subnet_b"]}
ONCE = {"name": "peer", "roleArn": "$role", "resourcesVpcConfig": VPC, "clientRequestToken": "once", "tags": {"a": "1"}}

BY_API = {"authenticationMode": "API_AND_CONFIG_MAP"}

OWN = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "eks:*", "Resource": "*"}})

TEMPLATE = json.dumps({"Resources": {"Network": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}}})


def create(name: str, **other: Any) -> dict[str, Any]:
    return {"name": name, "roleArn": "$role", "resourcesVpcConfig": VPC, **other}


def refused(name: str, cluster: str, **other: Any) -> Case:
    return Case(name, "eks", "create_cluster", create(cluster, **other), fault("InvalidParameterException"))


CLUSTERS = (
    Case(
        "a cluster is CREATING",
        "eks",
        "create_cluster",
        ONCE,
        Answer({"cluster.status": "CREATING", "cluster.arn": fits(r"arn:aws:eks:eu-central-1:\d{12}:cluster/peer")}),
        keep={"cluster": "cluster.arn"},
    ),
    Case("asked again with the same token", "eks", "create_cluster", ONCE, Answer({"cluster.arn": "$cluster"})),
    Case(
        "asked again with another token",
        "eks",
        "create_cluster",
        create("peer"),
        fault("ResourceInUseException", status=409),
    ),
    refused(
        "a cluster with a role that there is not",
        "no-role",
        roleArn="arn:aws:iam::123456789012:role/none",
    ),
    refused("a cluster in one zone", "one-zone", resourcesVpcConfig={"subnetIds": ["$subnet_a"]}),
    refused(
        "a cluster in subnets that there are not",
        "no-subnets",
        resourcesVpcConfig={"subnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]},
    ),
    refused("a cluster of version 1.9", "old-version", version="1.9"),
    Case(
        "a cluster named -",
        "eks",
        "create_cluster",
        create("-"),
        fault("InvalidParameterException", "ValidationException"),
    ),
    Case("waiting for a cluster", "eks", "cluster_active", {"name": "peer"}, Answer(), how="wait"),
    Case(
        "a cluster is shown",
        "eks",
        "describe_cluster",
        {"name": "peer"},
        Answer(
            {
                "cluster.status": "ACTIVE",
                "cluster.endpoint": fits("https://.+"),
                "cluster.resourcesVpcConfig.vpcId": "$vpc",
                "cluster.resourcesVpcConfig.endpointPublicAccess": True,
                "cluster.accessConfig.authenticationMode": fits("API|CONFIG_MAP|API_AND_CONFIG_MAP"),
                "cluster.health.issues": [],
            }
        ),
    ),
    Case(
        "a cluster that there is not",
        "eks",
        "describe_cluster",
        {"name": "none"},
        fault("ResourceNotFoundException", status=404),
    ),
    Case("a second cluster", "eks", "create_cluster", create("peer-two", accessConfig=BY_API), Answer()),
    Case("waiting for it", "eks", "cluster_active", {"name": "peer-two"}, Answer(), how="wait"),
    Case(
        "all clusters, in pages of one",
        "eks",
        "list_clusters",
        {"maxResults": 1},
        Answer({"clusters[?starts_with(@, 'peer')]": ["peer", "peer-two"]}),
        how="pages",
    ),
    Case(
        "a page of clusters after none",
        "eks",
        "list_clusters",
        {"nextToken": "next"},
        fault("InvalidParameterException"),
    ),
    Case("tagging a cluster", "eks", "tag_resource", {"resourceArn": "$cluster", "tags": {"b": "2"}}, Answer()),
    Case(
        "its tags", "eks", "list_tags_for_resource", {"resourceArn": "$cluster"}, Answer({"tags": {"a": "1", "b": "2"}})
    ),
    Case(
        "tagging what there is not",
        "eks",
        "tag_resource",
        {"resourceArn": "arn:aws:eks:eu-central-1:123456789012:cluster/none", "tags": {"b": "2"}},
        fault("NotFoundException", status=404),
    ),
    Case(
        "versions, one of them the default",
        "eks",
        "describe_cluster_versions",
        {},
        Answer({"length(clusterVersions[?defaultVersion])": 1}),
    ),
    Case(
        "a change is an update",
        "eks",
        "update_cluster_config",
        {"name": "peer", "resourcesVpcConfig": {"endpointPrivateAccess": True}},
        Answer({"update.status": "InProgress", "update.type": "EndpointAccessUpdate"}),
        keep={"update": "update.id"},
    ),
    Case("waiting for its end", "eks", "cluster_active", {"name": "peer"}, Answer(), how="wait"),
    Case(
        "an update is shown",
        "eks",
        "describe_update",
        {"name": "peer", "updateId": "$update"},
        Answer({"update.status": "Successful", "update.errors": []}),
    ),
    Case("all updates", "eks", "list_updates", {"name": "peer"}, Answer({"updateIds": ["$update"]}), how="pages"),
    Case(
        "an older version",
        "eks",
        "update_cluster_version",
        {"name": "peer", "version": "1.10"},
        fault("InvalidParameterException"),
    ),
)

NODEGROUPS = (
    Case(
        "a nodegroup is CREATING",
        "eks",
        "create_nodegroup",
        {**NODES, "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2}},
        Answer({"nodegroup.status": "CREATING", "nodegroup.scalingConfig.desiredSize": 2}),
    ),
    Case(
        "a nodegroup that there is already",
        "eks",
        "create_nodegroup",
        {**NODES},
        fault("ResourceInUseException", status=409),
    ),
    Case(
        "a nodegroup of a cluster that there is not",
        "eks",
        "create_nodegroup",
        {**NODES, "clusterName": "none"},
        fault("ResourceNotFoundException", status=404),
    ),
    Case(
        "a nodegroup with more at least than at most",
        "eks",
        "create_nodegroup",
        {
            **NODES,
            "clusterName": "peer-two",
            "nodegroupName": "odd",
            "scalingConfig": {"minSize": 3, "maxSize": 1, "desiredSize": 2},
        },
        fault("InvalidParameterException"),
    ),
    Case("waiting for a nodegroup", "eks", "nodegroup_active", {**GROUP}, Answer(), how="wait"),
    Case(
        "its nodes are instances",
        "ec2",
        "describe_instances",
        {"Filters": [{"Name": "tag:eks:nodegroup-name", "Values": ["workers"]}]},
        Answer({"length(Reservations[].Instances[])": 2}),
    ),
    Case(
        "deleting a subnet with a cluster in it",
        "ec2",
        "delete_subnet",
        {"SubnetId": "$subnet_a"},
        fault("DependencyViolation"),
    ),
    Case(
        "deleting a cluster with nodegroups",
        "eks",
        "delete_cluster",
        {"name": "peer"},
        fault("ResourceInUseException", status=409),
    ),
    Case(
        "another size is an update",
        "eks",
        "update_nodegroup_config",
        {**GROUP, "scalingConfig": {"desiredSize": 3}},
        Answer({"update.type": "ConfigUpdate", "update.status": "InProgress"}),
    ),
    Case("waiting for the size", "eks", "nodegroup_active", {**GROUP}, Answer(), how="wait"),
    Case(
        "the size is shown", "eks", "describe_nodegroup", {**GROUP}, Answer({"nodegroup.scalingConfig.desiredSize": 3})
    ),
    Case("deleting a nodegroup", "eks", "delete_nodegroup", {**GROUP}, Answer({"nodegroup.status": "DELETING"})),
    Case("waiting for its end, too", "eks", "nodegroup_deleted", {**GROUP}, Answer(), how="wait"),
    Case("deleting a cluster", "eks", "delete_cluster", {"name": "peer"}, Answer({"cluster.status": "DELETING"})),
    Case("waiting until it is gone", "eks", "cluster_deleted", {"name": "peer"}, Answer(), how="wait"),
)


def unbuilt(name: str, service: str, operation: str, **asked: Any) -> Case:
    return Case(name, service, operation, asked, Answer(), lacking=True)


UNBUILT = (
    unbuilt("an add-on", "eks", "create_addon", clusterName="peer-two", addonName="coredns"),
    unbuilt(
        "a Fargate profile",
        "eks",
        "create_fargate_profile",
        clusterName="peer-two",
        fargateProfileName="f",
        podExecutionRoleArn="$role",
        selectors=[{"namespace": "default"}],
    ),
    unbuilt("a security group", "ec2", "create_security_group", GroupName="own", Description="mine", VpcId="$vpc"),
    unbuilt("an internet gateway", "ec2", "create_internet_gateway"),
    unbuilt("a policy of one's own", "iam", "create_policy", PolicyName="own", PolicyDocument=OWN),
    unbuilt("an instance profile", "iam", "create_instance_profile", InstanceProfileName="peer"),
    unbuilt("a role for an hour", "sts", "assume_role", RoleArn="$role", RoleSessionName="peer"),
    unbuilt("a log group", "logs", "create_log_group", logGroupName="/peer"),
    unbuilt("a load balancer", "elbv2", "create_load_balancer", Name="peer", Subnets=["$subnet_b", "$subnet_c"]),
    unbuilt("a stack", "cloudformation", "create_stack", StackName="peer", TemplateBody=TEMPLATE),
)
