"""What `create cluster` makes beside the cluster, and `delete cluster` unmakes: VPC, subnets, roles. Pure.

Names, tags and the division of addresses are eksctl's: the VPC is cut in eight, public subnets first.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass

from roadstead.cli import config

OWNER = "alpha.eksctl.io/cluster-name"
UNFINISHED = "roadstead/unfinished"
"""On a cluster while `create cluster` is not done with it; its value is the name of the first nodegroup."""
DRAIN = "roadstead/drain"
"""On a nodegroup, with the value `false`: the service waits for no pods of its nodes."""
INTERNAL = "kubernetes.io/role/internal-elb"
"""On private subnets, so that internal load balancers find them."""
MANAGED = "arn:aws:iam::aws:policy/"

CLUSTER_POLICIES = ("AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController")
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS_CNI_Policy",
    "AmazonSSMManagedInstanceCore",
)


@dataclass(frozen=True)
class Subnet:
    zone: str
    cidr: str
    public: bool
    name: str

    @property
    def role(self) -> str:
        """The tag by which load balancers find their subnets."""
        return "kubernetes.io/role/elb" if self.public else INTERNAL


@dataclass(frozen=True)
class Role:
    name: str
    service: str
    """Who may assume it."""
    policies: tuple[str, ...]

    @property
    def trust(self) -> str:
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": f"{self.service}.amazonaws.com"},
                        "Action": ["sts:AssumeRole", "sts:TagSession"],
                    }
                ],
            }
        )


def stack(cluster: str) -> str:
    """What the names of the parts begin with: eksctl's name for the cluster's stack."""
    return f"eksctl-{cluster}-cluster"


def tags(cluster: str, given: Mapping[str, str], **more: str) -> dict[str, str]:
    return {**given, OWNER: cluster, **more}


def subnets(cluster: str, cidr: str, zones: tuple[str, ...]) -> list[Subnet]:
    """A public and a private subnet in each zone."""
    pieces = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=3))
    made: list[Subnet] = []
    for public in (True, False):
        kind = "Public" if public else "Private"
        for zone in zones:
            place = zone.replace("-", "").upper()
            made.append(Subnet(zone, str(pieces[len(made)]), public, f"{stack(cluster)}/Subnet{kind}{place}"))
    return made


def cluster_role(cluster: str) -> Role:
    return Role(f"{stack(cluster)}-ServiceRole", "eks", CLUSTER_POLICIES)


def node_role(cluster: str) -> Role:
    """One for all nodegroups of a cluster."""
    return Role(f"eksctl-{cluster}-nodegroup-NodeInstanceRole", "ec2", NODE_POLICIES)


def chosen(group: config.ManagedNodeGroup, found: Mapping[str, tuple[str, bool]]) -> list[str]:
    """The subnets of a nodegroup: those it names, else of its zones, public unless it is for private networking.

    `found` has zone and public-or-not by the subnet's id.
    """
    if group.subnets:
        return list(group.subnets)
    zones = group.availability_zones or tuple({zone for zone, _ in found.values()})
    fitting = {id: public for id, (zone, public) in found.items() if zone in zones}
    right = [id for id, public in fitting.items() if public != bool(group.private_networking)]
    return right or list(fitting)
