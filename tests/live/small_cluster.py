"""A cluster of few nodes for tests that cannot share one with others, made as a customer would, by boto3."""

from __future__ import annotations

import json
from typing import Any

from tests.live import service as services
from tests.live import shared


def make(cluster: shared.Cluster, version: str | None = None, nodes: int = 1) -> None:
    """A cluster with these nodes, all Ready, and what it has from the start available."""
    aws = cluster.service.aws
    asked: dict[str, Any] = {} if version is None else {"version": version}

    def role(name: str, service: str) -> str:
        allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        arn: str = aws("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        return arn

    roles = role("cluster", "eks.amazonaws.com"), role("node", "ec2.amazonaws.com")
    vpc = aws("ec2", "create_vpc", CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    subnets = []
    for number, letter in enumerate("abc"):
        where = {"CidrBlock": f"192.168.{32 * number}.0/19", "AvailabilityZone": f"{services.REGION}{letter}"}
        subnets.append(aws("ec2", "create_subnet", VpcId=vpc, **where)["Subnet"]["SubnetId"])
    aws("eks", "create_cluster", name=shared.NAME, roleArn=roles[0], resourcesVpcConfig={"subnetIds": subnets}, **asked)
    services.until("the cluster is active", lambda: cluster.described["status"] == "ACTIVE", 90)
    group = {"clusterName": shared.NAME, "nodegroupName": shared.GROUP}
    size = {"minSize": nodes, "maxSize": nodes, "desiredSize": nodes}
    aws("eks", "create_nodegroup", nodeRole=roles[1], subnets=subnets, scalingConfig=size, **group)

    def made() -> bool:
        return bool(aws("eks", "describe_nodegroup", **group)["nodegroup"]["status"] == "ACTIVE")

    services.until("the nodegroup is active", made, 90)
    hosts = cluster.service.agent.client.wanted()["hosts"]
    cluster.id = next(host for host in hosts if host.endswith(".edge")).removesuffix(".edge")
    cluster.log_in()
    cluster.until_well(90)
