"""Clusters: create, describe, list, delete.

Source of codes and sentences: EKS API Reference, and what EKS is known to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.aws.eks.admission import capacity
from roadstead.clusters import nodegroups, spec, views
from roadstead.clusters.access import entries
from roadstead.clusters.capacity import sums
from roadstead.clusters.insights import kept as insights
from roadstead.core import errors
from roadstead.network import defaults
from roadstead.network import spec as network
from roadstead.store import facts, keys, writes

FEWEST_ZONES = 2


@calls.operation("eks", "CreateCluster", again="DescribeCluster", on=resources.ANYTHING, context=resources.NEW_CLUSTER)
async def create_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Ask for a cluster. The answer is sent as soon as it is kept."""
    name = asked["name"]
    key = spec.key(call.account, call.region, name)
    if await call.store.get(key) is not None:
        store_access.refuse("ResourceInUseException", f"Cluster already exists with name: {name}", clusterName=name)
    asked_tags = store_access.tags_after({}, asked.get("tags", {}), code="InvalidParameterException")
    await resources.may_tag(call, spec.CLUSTERS, key, asked_tags)
    role = await lookups.role(call, asked["roleArn"], "eks.amazonaws.com", clusterName=name)
    subnets = await lookups.subnets(call, asked["resourcesVpcConfig"].get("subnetIds", ()), clusterName=name)
    place = await _place(call, subnets, name)
    _check_groups(asked["resourcesVpcConfig"].get("securityGroupIds", ()), place, name)
    with store_access.coded(lookups.CODES, clusterName=name):
        wanted = spec.filled({**asked, "tags": asked_tags}, place, call.now.timestamp(), call.caller.arn)
    last = await store_access.quota(call, spec.CLUSTERS, code="ResourceLimitExceededException", clusterName=name)
    await capacity.for_control_plane(call, subnets, clusterName=name)
    transaction: tuple[writes.Write, ...] = (
        writes.Put(key, spec.written(wanted), writes.Absent()),
        *_entry_of_creator(call, wanted),
        *await capacity.hidden(call, wanted),
        role,
        *lookups.held(call, subnets),
        *last,
    )

    async def take(guard: capacity.Guard) -> None:
        with store_access.coded({errors.AlreadyExists: "ResourceInUseException"}, clusterName=name):
            await call.store.commit(*transaction, *guard)

    await capacity.taken(call, sums.Load(control_planes=1), take, clusterName=name)
    return {"cluster": views.cluster(await _kept(call, key))}


@calls.operation("eks", "DescribeCluster", on=resources.NAMED_CLUSTER)
async def describe_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"cluster": views.cluster((await lookups.cluster(call, asked["name"])).state)}


@calls.operation("eks", "ListClusters", on=resources.ANYTHING)
async def list_clusters(call: calls.Call, _: calls.Asked) -> calls.Answer:
    states = await store_access.everything(call.store, keys.Prefix(call.account, call.region, spec.KIND))
    return {"clusters": sorted(state.key.names[0] for state in states)}


@calls.operation("eks", "DeleteCluster", on=resources.NAMED_CLUSTER)
async def delete_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Ask for a cluster to be deleted, in whatever state it is. Asking twice is as good."""
    name = asked["name"]
    below = keys.Prefix(call.account, call.region, nodegroups.KIND, name)
    allowed = entries.below(call.account, call.region, name)

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        cluster = lookups.as_cluster(state, name)
        states, revision = await store_access.listed(call.store, below)
        if cluster.wanted.deleting:
            return ()
        if cluster.wanted.deletion_protection:
            store_access.refuse(
                "InvalidRequestException",
                f"Cluster {name} has deletion protection: switch it off with UpdateClusterConfig first.",
                clusterName=name,
            )
        if states:
            store_access.refuse("ResourceInUseException", "Cluster has nodegroups attached", clusterName=name)
        body = spec.written(replace(cluster.wanted, deleting=True))
        entered, since = await store_access.listed(call.store, allowed)
        gone = (writes.Delete(state.key) for state in entered)
        unchanged = writes.Unchanged(below, revision), writes.Unchanged(allowed, since)
        seen = writes.Delete(insights.key(call.account, call.region, name))
        return writes.Put(cluster.state.key, body), seen, *gone, *unchanged

    state = await store_access.changed(call, spec.key(call.account, call.region, name), change)
    return {"cluster": views.cluster(state)}


def _entry_of_creator(call: calls.Call, wanted: spec.Cluster) -> tuple[writes.Put, ...]:
    """Also where the API shows no entries: who asked for a cluster can always come in."""
    if not wanted.access.creator_is_admin:
        return ()
    entry = entries.of_creator(call.caller.arn, call.caller.user_id, call.now.timestamp())
    key = entries.key(call.account, call.region, wanted.name, entry.principal)
    return (writes.Put(key, entries.written(entry)),)


def _check_groups(ids: Sequence[str], place: spec.Place, name: str) -> None:
    """Raises InvalidParameterException for all but the VPC's own: to say yes to others would be to say yes to rules
    that nobody keeps."""
    own = defaults.default_group_id(place.vpc)
    for id in ids:
        if id != own:
            said = f"The security group '{id}' does not exist in {place.vpc}, or is a cluster's: {own} may be given"
            store_access.refuse("InvalidParameterException", said, clusterName=name)


async def _place(call: calls.Call, subnets: Sequence[network.Subnet], name: str) -> spec.Place:
    """Where the subnets are. Raises InvalidParameterException for too few, or for those of several VPCs."""
    zones = sorted({subnet.zone for subnet in subnets})
    if len(zones) < FEWEST_ZONES:
        store_access.refuse(
            "InvalidParameterException",
            f"Subnets specified must be in at least two different AZs; these are in {', '.join(zones) or 'none'}.",
            clusterName=name,
        )
    vpcs = {subnet.vpc for subnet in subnets}
    if len(vpcs) > 1:
        store_access.refuse(
            "InvalidParameterException",
            f"Subnets specified must belong to the same VPC; these are of {', '.join(sorted(vpcs))}.",
            clusterName=name,
        )
    vpc = await call.store.get(network.vpc_key(call.account, call.region, vpcs.pop()))
    if vpc is None:
        raise errors.Conflict(f"the VPC of subnet {subnets[0].id} is being deleted")
    wanted = network.read_vpc(vpc.desired.body)
    return spec.Place(
        vpc=wanted.id,
        vpc_cidr=wanted.cidr,
        subnets=tuple(subnet.id for subnet in subnets),
        zones=tuple(subnet.zone for subnet in subnets),
    )


async def _kept(call: calls.Call, key: keys.Key) -> facts.State:
    state = await call.store.get(key)
    if state is None:
        raise errors.Conflict(f"{key} was deleted as soon as it was made")
    return state
