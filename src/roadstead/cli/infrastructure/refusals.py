"""What cannot be made, told in one line before anything is: what a config asks for beside what there is.

Pure, but for the room on the machine: that is the service's to sum up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from roadstead.cli import config, service
from roadstead.cli.infrastructure import lookups, parts
from roadstead.core import errors


def check(wanted: config.ClusterConfig, offers: lookups.Offers) -> None:
    """Raises Invalid for a version, a zone or an instance type that there is not."""
    _version(wanted, offers.versions)
    _zones("availabilityZones", wanted.availability_zones or (), offers.zones)
    ours = wanted.availability_zones
    for index, group in enumerate(wanted.managed_node_groups or ()):
        check_nodegroup(group, f"managedNodeGroups[{index}]", offers, ours)


def check_nodegroup(
    group: config.ManagedNodeGroup, where: str, offers: lookups.Offers, of_cluster: Iterable[str] | None
) -> None:
    """Raises Invalid. `of_cluster`: the zones of the cluster's subnets, where they are known."""
    strange = [name for name in lookups.types(group) if name not in offers.types]
    if strange:
        raise errors.Invalid(
            f"{where}: there is no instance type {', '.join(map(repr, strange))}; 'aws ec2 describe-instance-types' "
            "lists them"
        )
    kinds = {offers.types[name] for name in lookups.types(group)}
    if len(kinds) > 1:
        raise errors.Invalid(f"{where}: instance types of one nodegroup have one architecture, not {sorted(kinds)}")
    zones = group.availability_zones or ()
    _zones(f"{where}.availabilityZones", zones, offers.zones)
    outside = sorted(set(zones) - set(of_cluster)) if of_cluster is not None else []
    if outside:
        raise errors.Invalid(f"{where}.availabilityZones: the cluster has no subnets in {', '.join(outside)}")


def _version(wanted: config.ClusterConfig, offered: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Invalid for a version without any support, or without the one that the config wants. As the service does:
    then something would be made already."""
    minor = (wanted.metadata or config.Metadata()).version
    support = {name: each.get("versionStatus") for name, each in offered.items()}
    still = sorted(name for name, status in support.items() if status != "UNSUPPORTED")
    instead = f"this Roadstead offers {', '.join(still)}" if still else "a newer Roadstead has newer versions"
    if minor is None or minor not in offered:
        raise errors.Invalid(f"invalid version, {minor} is not supported: {instead}")
    if support[minor] == "UNSUPPORTED":
        ended = offered[minor]["endOfExtendedSupportDate"]
        raise errors.Invalid(
            f"invalid version, {minor} is not supported: its extended support ended on {ended:%Y-%m-%d}; {instead}"
        )
    policy = (wanted.upgrade_policy or config.UpgradePolicy()).support_type
    if policy == "STANDARD" and support[minor] == "EXTENDED_SUPPORT":
        ended = offered[minor]["endOfStandardSupportDate"]
        raise errors.Invalid(
            f"supportType STANDARD: the standard support of version {minor} ended on {ended:%Y-%m-%d}; use a newer "
            "version, or EXTENDED"
        )


def _zones(where: str, asked: Iterable[str], offered: tuple[str, ...]) -> None:
    for zone in asked:
        if zone not in offered:
            raise errors.Invalid(f"{where}: there is no zone {zone!r} in this region: it has {', '.join(offered)}")


def check_room(api: service.Api, wanted: config.ClusterConfig) -> None:
    """Whether the machine carries the control plane and all nodes, together. Raises client.ServiceError with the sum.

    By itself the service sums up each of them when it is asked for; then the control plane would be there already.
    """
    nodes = sum(group.desired_capacity or 0 for group in wanted.managed_node_groups or ())
    api.call("roadstead", "CheckRoom", controlPlanes=1, nodes=nodes)


def check_vpc(wanted: config.ClusterConfig, there: lookups.Infrastructure) -> None:
    """Whether the VPC that a cut off call has left can be used. Raises Conflict."""
    asked = (wanted.vpc or config.Vpc()).cidr
    for id, cidr in there.vpcs.items():
        if asked is not None and cidr != asked:
            metadata = wanted.metadata or config.Metadata()
            name = metadata.name
            raise errors.Conflict(
                f"an earlier call for {name!r} has left the VPC {id} with {cidr}, not {asked}: take it back by "
                f"'roadstead delete cluster --name={name} --region={metadata.region}'"
            )


def check_name(name: str, there: Mapping[str, Any] | None) -> None:
    """Whether `create cluster` may take this name: nobody has it, or an earlier call of it, that was cut off.

    Raises AlreadyExists in EKS's words, and Conflict for one that is on its way out.
    """
    if there is None:
        return
    status = there.get("status")
    if status == "DELETING":
        raise errors.Conflict(
            f'cluster "{name}" is being deleted: wait for it by "roadstead delete cluster --wait --name={name}"'
        )
    if parts.UNFINISHED not in there.get("tags", {}) or status not in ("CREATING", "ACTIVE", "UPDATING"):
        raise errors.AlreadyExists(
            f'failed to create cluster "{name}": ResourceInUseException: Cluster already exists with name: {name}'
        )
