"""The access policies there are. What each allows in a cluster is for the controllers: roles that they bind to groups.

Source: EKS user guide, "Review access policy permissions". Those for nodes and for AWS's own services are no
customers' and not offered.
"""

from __future__ import annotations

from roadstead.contract import kubernetes

NAMES = kubernetes.POLICIES
ADMIN = kubernetes.CLUSTER_ADMIN
"""What the creator of a cluster has."""

_PREFIX = "arn:aws:eks::aws:cluster-access-policy/"


def arn(name: str) -> str:
    return _PREFIX + name


def name_of(arn: str) -> str | None:
    """The name of a policy by its ARN; None for one that there is not."""
    name = arn.removeprefix(_PREFIX)
    return name if arn.startswith(_PREFIX) and name in NAMES else None
