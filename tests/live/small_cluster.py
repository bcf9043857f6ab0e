"""A cluster of few nodes for tests that cannot share one with others, made as a customer would, by boto3.

It is in the region's default VPC.
"""

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
    own = [{"Name": "default-for-az", "Values": ["true"]}]
    subnets = [subnet["SubnetId"] for subnet in aws("ec2", "describe_subnets", Filters=own)["Subnets"]]
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
