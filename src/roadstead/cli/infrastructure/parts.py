"""What `create cluster` makes beside the cluster, and `delete cluster` unmakes: VPC, subnets, roles. Pure.

Names, tags and the division of addresses are eksctl's: the VPC is cut in eight, public subnets first. Of eksctl's tags
one is left out, `alpha.eksctl.io/eksctl-version`: what is made here was made by no version of eksctl.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass

from roadstead.cli import config

OWNER = "alpha.eksctl.io/cluster-name"
OLD_OWNER = "eksctl.cluster.k8s.io/v1alpha1/cluster-name"
"""What OWNER was called once; eksctl sets both, and programs look for either."""
OIDC = "alpha.eksctl.io/cluster-oidc-enabled"
"""On what eksctl's stack of the cluster has, not on nodegroups and their role: whether pods have AWS identities."""
UNFINISHED = "roadstead/unfinished"
"""On a cluster while `create cluster` is not done with it; its value is the name of the first nodegroup."""
DRAIN = "roadstead/drain"
"""On a nodegroup, with the value `false`: the service waits for no pods of its nodes."""
INTERNAL = "kubernetes.io/role/internal-elb"
"""On private subnets, so that internal load balancers find them."""
MANAGED = "arn:aws:iam::aws:policy/"
LONGEST_ROLE = 64
"""Characters of a role's name. Source: IAM API Reference, CreateRole."""

CLUSTER_POLICIES = ("AmazonEKSClusterPolicy", "AmazonEKSVPCResourceController")
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS_CNI_Policy",
    "AmazonSSMManagedInstanceCore",
)


@dataclass(frozen=True)
class SubnetPart:
    """A subnet that is to be made. `name`: its tag `Name`."""

    zone: str
    cidr: str
    public: bool
    name: str

    @property
    def role(self) -> str:
        """The tag by which load balancers find their subnets."""
        return "kubernetes.io/role/elb" if self.public else INTERNAL


@dataclass(frozen=True)
class RolePart:
    """A role that is to be made."""

    name: str
    service: str
    """Who may assume it."""
    policies: tuple[str, ...]
    of_cluster: bool = True
    """It is the cluster's own, not its nodes'."""

    @property
    def trust(self) -> str:
        """The trust policy as JSON."""
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
    """Those of the user, then by what the parts of a cluster are found; ours count where both have a key."""
    return {**given, OWNER: cluster, OLD_OWNER: cluster, **more}


def cluster_tags(wanted: config.ClusterConfig, **more: str) -> dict[str, str]:
    """Of the cluster, and of what is made for it but for its nodes."""
    metadata, iam = wanted.metadata or config.Metadata(), wanted.iam or config.Iam()
    oidc = str(bool(iam.with_oidc)).lower()
    return tags(metadata.name or "", metadata.tags or {}, **{OIDC: oidc}, **more)


def subnets(cluster: str, cidr: str, zones: tuple[str, ...]) -> list[SubnetPart]:
    """A public and a private subnet in each zone."""
    pieces = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=3))
    made: list[SubnetPart] = []
    for public in (True, False):
        kind = "Public" if public else "Private"
        for zone in zones:
            place = zone.replace("-", "").upper()
            made.append(SubnetPart(zone, str(pieces[len(made)]), public, f"{stack(cluster)}/Subnet{kind}{place}"))
    return made


def cluster_role(cluster: str, region: str) -> RolePart:
    """The role that EKS takes for the cluster."""
    return RolePart(_role_name(cluster, region, "cluster-ServiceRole"), "eks", CLUSTER_POLICIES)


def node_role(cluster: str, region: str) -> RolePart:
    """One for all nodegroups of a cluster."""
    return RolePart(_role_name(cluster, region, "nodegroup-NodeInstanceRole"), "ec2", NODE_POLICIES, of_cluster=False)


def _role_name(cluster: str, region: str, kind: str) -> str:
    """`eksctl-CLUSTER-KIND-DIGEST`, as CloudFormation has it, whose last part is by chance.

    All regions share an account's roles, and clusters of two regions may share a name: the digest keeps them apart,
    also where a long name is cut.
    """
    digest = hashlib.sha256(f"{region}/{cluster}".encode()).hexdigest()[:8]
    room = LONGEST_ROLE - len(f"eksctl--{kind}-{digest}")
    return f"eksctl-{cluster[:room]}-{kind}-{digest}"


def unplaced_roles(cluster: str) -> tuple[str, str]:
    """What the roles were called by releases that named no region: another region's cluster may have them, too."""
    return f"eksctl-{cluster}-cluster-ServiceRole", f"eksctl-{cluster}-nodegroup-NodeInstanceRole"


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
