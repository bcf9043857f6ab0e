"""AWS's managed policies that clusters and their users name: known by ARN. Data; what they allow comes with IAM's
evaluation.

Source: AWS Managed Policy Reference.
"""

from __future__ import annotations

from collections.abc import Mapping

_PATHS: Mapping[str, str] = {
    "AdministratorAccess": "/",
    "ReadOnlyAccess": "/",
    "PowerUserAccess": "/",
    "IAMReadOnlyAccess": "/",
    "AmazonEKSClusterPolicy": "/",
    "AmazonEKSServicePolicy": "/",
    "AmazonEKSVPCResourceController": "/",
    "AmazonEKSWorkerNodePolicy": "/",
    "AmazonEKSWorkerNodeMinimalPolicy": "/",
    "AmazonEKS_CNI_Policy": "/",
    "AmazonEKSComputePolicy": "/",
    "AmazonEKSBlockStoragePolicy": "/",
    "AmazonEKSLoadBalancingPolicy": "/",
    "AmazonEKSNetworkingPolicy": "/",
    "AmazonEKSFargatePodExecutionRolePolicy": "/",
    "AmazonEC2ContainerRegistryReadOnly": "/",
    "AmazonEC2ContainerRegistryPullOnly": "/",
    "AmazonEC2ContainerRegistryPowerUser": "/",
    "AmazonEC2FullAccess": "/",
    "AmazonEC2ReadOnlyAccess": "/",
    "AmazonS3FullAccess": "/",
    "AmazonS3ReadOnlyAccess": "/",
    "AmazonSSMManagedInstanceCore": "/",
    "AmazonVPCFullAccess": "/",
    "CloudWatchAgentServerPolicy": "/",
    "CloudWatchLogsFullAccess": "/",
    "AWSXRayDaemonWriteAccess": "/",
    "AWSAppMeshEnvoyAccess": "/",
    "AWSCloudMapFullAccess": "/",
    "AmazonEBSCSIDriverPolicy": "/service-role/",
    "AmazonEFSCSIDriverPolicy": "/service-role/",
}

NAMES = tuple(sorted(_PATHS))


def arn(name: str) -> str:
    """Of a policy that is known."""
    return f"arn:aws:iam::aws:policy{_PATHS[name]}{name}"


def path(name: str) -> str:
    """The IAM path of a policy that is known: `/` or `/service-role/`."""
    return _PATHS[name]


def name_of(arn: str) -> str | None:
    """The name of a managed policy by its ARN, `arn:aws:iam::aws:policy/...`; None for one that is not known."""
    prefix = "arn:aws:iam::aws:policy"
    path, _, name = arn.removeprefix(prefix).rpartition("/")
    return name if arn.startswith(prefix) and _PATHS.get(name) == f"{path}/" else None
