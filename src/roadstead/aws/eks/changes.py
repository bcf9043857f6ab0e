"""Changes of a cluster, each one an update that can be followed.

One change at a time (EKS: ResourceInUseException), of one kind: access and logging are two requests.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.clusters import nodegroups, spec, updates, versions, views
from roadstead.core import errors
from roadstead.network import spec as network
from roadstead.store import facts, keys, operations, writes

_KINDS: Mapping[str, str] = {
    "resourcesVpcConfig": "EndpointAccessUpdate",
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
    "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
}
"""The type of the update by the member that is changed."""


@calls.operation(
    "eks", "UpdateClusterConfig", again="DescribeUpdate", on=resources.NAMED_CLUSTER, context=resources.CHANGED_CLUSTER
)
async def update_cluster_config(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Change one thing of a cluster."""
    name = asked["name"]
    with store_access.coded(lookups.CODES, clusterName=name):
        spec.check_built(asked)
    members = [member for member in _KINDS if asked.get(member) is not None]
    if len(members) != 1:
        store_access.refuse(
            "InvalidParameterException",
            f"One kind of change at a time, of {', '.join(_KINDS)}; asked for: {', '.join(members) or 'none'}.",
            clusterName=name,
        )
    if asked.get("resourcesVpcConfig", {}).get("securityGroupIds"):
        store_access.refuse("InvalidParameterException", "Changing security groups is not built yet.", clusterName=name)
    subnets = await _subnets(call, asked, name)
    update = updates.asked(
        id=store_access.uuid_of(call, "update"),
        type="VpcConfigUpdate" if subnets else _KINDS[members[0]],
        parameters=_parameters(asked, members[0]),
        created_at=call.now.timestamp(),
    )

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        cluster = _changeable(state, name)
        with store_access.coded(lookups.CODES, clusterName=name):
            wanted = _after(cluster.wanted, asked, members[0], subnets, call.now.date())
        if wanted == cluster.wanted:
            store_access.refuse(
                "InvalidParameterException",
                "Cluster is already at the desired configuration: nothing would change.",
                clusterName=name,
            )
        body = spec.written(replace(wanted, update=update.id))
        held = lookups.held(call, subnets)
        return writes.Put(cluster.state.key, body), updates.UPDATES.begun(cluster.state.key, update), *held

    await store_access.changed(call, spec.key(call.account, call.region, name), change)
    return {"update": views.update(update)}


@calls.operation(
    "eks", "UpdateClusterVersion", again="DescribeUpdate", on=resources.NAMED_CLUSTER, context=resources.VERSION
)
async def update_cluster_version(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Bring a cluster to the next minor.

    Nodes may be three minors older (Kubernetes' version skew policy), which four offered minors cannot exceed.
    """
    name, version = asked["name"], asked["version"]
    with store_access.coded(lookups.CODES, clusterName=name):
        offered = versions.find(version)
    update = updates.of_version(store_access.uuid_of(call, "update"), offered, call.now.timestamp())
    below = keys.Prefix(call.account, call.region, nodegroups.KIND, name)

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        cluster = _changeable(state, name)
        with store_access.coded(lookups.CODES, clusterName=name):
            versions.check_next(views.version_shown(cluster.wanted.version, cluster.seen), version)
        body = spec.written(replace(cluster.wanted, version=version, update=update.id))
        _, revision = await store_access.listed(call.store, below)
        begun = updates.UPDATES.begun(cluster.state.key, update)
        return writes.Put(cluster.state.key, body), begun, writes.Unchanged(below, revision)

    await store_access.changed(call, spec.key(call.account, call.region, name), change)
    return {"update": views.update(update)}


@calls.operation("eks", "DescribeUpdate", on=resources.UPDATED)
async def describe_update(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Also answers again for the operations that begin updates: their update has its id from their request's."""
    name = asked.get("name") or asked["clusterName"]
    wanted = asked.get("updateId") or store_access.uuid_of(call, "update")
    for update in await _updates(call, {**asked, "name": name}):
        if update.id == wanted:
            return {"update": views.update(update)}
    store_access.refuse("ResourceNotFoundException", f"No update found for ID: {wanted}", clusterName=name)


@calls.operation("eks", "ListUpdates", on=resources.UPDATED)
async def list_updates(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"updateIds": [update.id for update in await _updates(call, asked)]}


async def _updates(call: calls.Call, asked: calls.Asked) -> tuple[operations.Operation, ...]:
    """Of the cluster, or of the nodegroup that is named, oldest first."""
    name = asked["name"]
    for other in ("addonName", "capabilityName"):
        if asked.get(other):
            store_access.refuse("ResourceNotFoundException", f"No {other[:-4]} found for name: {asked[other]}")
    state = (
        (await lookups.nodegroup(call, name, asked["nodegroupName"])).state
        if asked.get("nodegroupName")
        else (await lookups.cluster(call, name)).state
    )
    records = await store_access.records(call.store, updates.UPDATES.prefix(state.key))
    return updates.UPDATES.folded(records, since=state.desired.created)


def _changeable(state: facts.State | None, name: str) -> lookups.Cluster:
    """Raises ResourceInUseException for a cluster that is not ACTIVE."""
    cluster = lookups.as_cluster(state, name)
    if cluster.status != "ACTIVE":
        store_access.refuse(
            "ResourceInUseException",
            f"Cannot perform update as cluster {name} is {cluster.status}, not ACTIVE.",
            clusterName=name,
        )
    return cluster


async def _subnets(call: calls.Call, asked: calls.Asked, name: str) -> tuple[network.Subnet, ...]:
    return await lookups.subnets(call, asked.get("resourcesVpcConfig", {}).get("subnetIds", ()), clusterName=name)


def _after(
    wanted: spec.Cluster, asked: calls.Asked, member: str, subnets: tuple[network.Subnet, ...], day: dt.date
) -> spec.Cluster:
    """The cluster with the change, made on a day. Raises Invalid."""
    value: Any = asked[member]
    match member:
        case "resourcesVpcConfig":
            place = _moved(wanted.place, subnets) if subnets else wanted.place
            return replace(wanted, access=spec.access(wanted.access, asked), place=place)
        case "accessConfig":
            spec.check_mode(wanted.access.mode, value.get("authenticationMode", wanted.access.mode))
            return replace(wanted, access=spec.access(wanted.access, asked))
        case "logging":
            return replace(wanted, logs=spec.logs(wanted.logs, value))
        case "upgradePolicy":
            support = value.get("supportType", wanted.support)
            versions.check_policy(wanted.version, support, day)
            return replace(wanted, support=support)
        case "zonalShiftConfig":
            return replace(wanted, zonal_shift=value.get("enabled", wanted.zonal_shift))
        case "controlPlaneScalingConfig":
            return replace(wanted, tier=value.get("tier", wanted.tier))
        case "deletionProtection":
            return replace(wanted, deletion_protection=value)
        case _:
            raise errors.Invalid(f"{member} of a cluster cannot be changed")


def _moved(place: spec.Place, subnets: tuple[network.Subnet, ...]) -> spec.Place:
    if any(subnet.vpc != place.vpc for subnet in subnets):
        raise errors.Invalid(f"Subnets specified must belong to the cluster's VPC {place.vpc}.")
    zones = tuple(subnet.zone for subnet in subnets)
    if len(set(zones)) < 2:
        raise errors.Invalid(f"Subnets specified must be in at least two different AZs; these are in {zones[0]}.")
    return replace(place, subnets=tuple(subnet.id for subnet in subnets), zones=zones)


def _parameters(asked: calls.Asked, member: str) -> tuple[tuple[str, str], ...]:
    """What was asked for in the words of the model's UpdateParamType."""
    value: Any = asked[member]
    match member:
        case "resourcesVpcConfig":
            names = {
                "endpointPublicAccess": "EndpointPublicAccess",
                "endpointPrivateAccess": "EndpointPrivateAccess",
                "publicAccessCidrs": "PublicAccessCidrs",
                "subnetIds": "Subnets",
            }
            return tuple((type, _said(value[name])) for name, type in names.items() if name in value)
        case "logging":
            return (("ClusterLogging", _said(value)),)
        case "accessConfig":
            return (("AuthenticationMode", value.get("authenticationMode", "")),)
        case "upgradePolicy":
            return (("UpgradePolicy", _said(value)),)
        case "zonalShiftConfig":
            return (("ZonalShiftConfig", _said(value)),)
        case "controlPlaneScalingConfig":
            return (("UpdatedTier", value.get("tier", "")),)
        case _:
            return (("DeletionProtection", _said(value)),)


def _said(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
