"""What is there of a cluster and for it: asked before anything is made, and again before it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadstead.cli import config, service
from roadstead.cli.infrastructure import parts, together
from roadstead.wire import client


@dataclass(frozen=True)
class Infrastructure:
    """What was made for a cluster of a region, as far as it is there: by its tag, and roles by their names."""

    vpcs: Mapping[str, str] = field(default_factory=dict)
    """The range of addresses by the id; of subnets too."""
    subnets: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    """The ARN by the name."""

    @property
    def there(self) -> bool:
        """Whether anything is."""
        return bool(self.vpcs or self.subnets or self.roles)


@dataclass(frozen=True)
class Offers:
    """What the service has to offer, as far as a config asks for it."""

    zones: tuple[str, ...] = ()
    versions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By the minor, as DescribeClusterVersions tells them; those without support, too."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Instance types, those asked for that there are, with their architectures."""


def infrastructure(api: service.Api, cluster: str) -> Infrastructure:
    """Of the cluster of the region that is asked: what its namesake in another region has is none of its."""
    mine = [{"Name": f"tag:{parts.OWNER}", "Values": [cluster]}]
    roles = (parts.cluster_role(cluster, api.region), parts.node_role(cluster, api.region))
    asks: tuple[Callable[[], Any], ...] = (
        lambda: api.call("ec2", "DescribeVpcs", Filters=mine).get("Vpcs", []),
        lambda: api.call("ec2", "DescribeSubnets", Filters=mine).get("Subnets", []),
        *(lambda name=role.name: role_arn(api, name) for role in roles),
    )
    vpcs, subnets, *arns = together.together(*asks)
    return Infrastructure(
        {each["VpcId"]: each["CidrBlock"] for each in vpcs},
        {each["SubnetId"]: each["CidrBlock"] for each in subnets},
        {role.name: arn for role, arn in zip(roles, arns, strict=True) if arn is not None},
    )


def role_arn(api: service.Api, name: str) -> str | None:
    """None: there is no such role. Raises ServiceError for all else."""
    try:
        arn: str = api.call("iam", "GetRole", RoleName=name)["Role"]["Arn"]
    except client.ServiceError as error:
        if is_missing(error):
            return None
        raise
    return arn


def is_missing(error: client.ServiceError) -> bool:
    """Whether the service says that what was named is not there. Each of its services has a word of its own."""
    code = error.fault.code
    return code.startswith(("NoSuchEntity", "ResourceNotFound")) or code.endswith(".NotFound")


def cluster(api: service.Api, name: str) -> dict[str, Any] | None:
    """The cluster as DescribeCluster tells it; None when there is none."""
    try:
        found: dict[str, Any] = api.call("eks", "DescribeCluster", name=name)["cluster"]
    except client.ServiceError as error:
        if is_missing(error):
            return None
        raise
    return found


def offers(api: service.Api, groups: Sequence[config.ManagedNodeGroup]) -> Offers:
    """What there is to choose from."""
    asked = sorted({name for group in groups for name in types(group)})
    wanted = [{"Name": "instance-type", "Values": asked}]

    def sizes() -> dict[str, str]:
        if not asked:
            return {}
        found = api.call("ec2", "DescribeInstanceTypes", Filters=wanted).get("InstanceTypes", [])
        # Some have i386 before x86_64.
        return {each["InstanceType"]: each["ProcessorInfo"]["SupportedArchitectures"][-1] for each in found}

    asks: tuple[Callable[[], Any], ...] = (
        lambda: api.call("ec2", "DescribeAvailabilityZones").get("AvailabilityZones", []),
        lambda: api.call("eks", "DescribeClusterVersions", includeAll=True).get("clusterVersions", []),
        sizes,
    )
    zones, versions, found = together.together(*asks)
    return Offers(tuple(each["ZoneName"] for each in zones), {each["clusterVersion"]: each for each in versions}, found)


def types(group: config.ManagedNodeGroup) -> tuple[str, ...]:
    """The instance types that a nodegroup may have."""
    return group.instance_types or ((group.instance_type,) if group.instance_type else ())


def subnets(api: service.Api, ids: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Zone and public-or-not of each subnet by its id. One is public when load balancers to the world find it."""
    described = api.call("ec2", "DescribeSubnets", SubnetIds=list(ids)).get("Subnets", [])
    tags = {each["SubnetId"]: {tag["Key"] for tag in each.get("Tags", [])} for each in described}
    return {
        each["SubnetId"]: (each["AvailabilityZone"], parts.INTERNAL not in tags[each["SubnetId"]]) for each in described
    }


def nodes(api: service.Api, cluster: str, nodegroup: str) -> list[str]:
    """The names of a nodegroup's running nodes."""
    of = [
        {"Name": "tag:eks:cluster-name", "Values": [cluster]},
        {"Name": "tag:eks:nodegroup-name", "Values": [nodegroup]},
        {"Name": "instance-state-name", "Values": ["running"]},
    ]
    found = api.call("ec2", "DescribeInstances", Filters=of).get("Reservations", [])
    named = [instance for each in found for instance in each.get("Instances", [])]
    return sorted(each.get("PrivateDnsName") or each["InstanceId"] for each in named)
