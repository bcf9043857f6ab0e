"""Nodegroups: create, describe, list, delete, change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.aws.eks.admission import capacity, labels
from roadstead.clusters import nodegroups, spec, updates, views
from roadstead.clusters.capacity import sums
from roadstead.core import errors
from roadstead.store import facts, keys, writes

_CHANGES = ("scalingConfig", "labels", "taints", "updateConfig", "nodeRepairConfig")
"""The members of a change."""


@calls.operation("eks", "CreateNodegroup", again="DescribeNodegroup", on=resources.CLUSTER, context=resources.TAGS)
async def create_nodegroup(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Ask for a nodegroup of an ACTIVE cluster."""
    name, of = asked["nodegroupName"], asked["clusterName"]
    about = {"clusterName": of, "nodegroupName": name}
    with store_access.coded(lookups.CODES, **about):
        labels.check_name(name)
        labels.check_labels(asked.get("labels", {}))
        labels.check_taints(asked.get("taints", ()))
        labels.check_count(len(asked.get("taints", ())))
    cluster = await lookups.cluster(call, of)
    key = nodegroups.key(call.account, call.region, of, name)
    if await call.store.get(key) is not None:
        store_access.refuse(
            "ResourceInUseException", f"NodeGroup already exists with name {name} and cluster name {of}", **about
        )
    if cluster.status not in ("ACTIVE", "UPDATING"):
        store_access.refuse(
            "InvalidRequestException", f"Cluster '{of}' is not in ACTIVE status: it is {cluster.status}.", **about
        )
    tags = store_access.tags_after({}, asked.get("tags", {}), code="InvalidParameterException")
    await resources.may_tag(call, nodegroups.NODEGROUPS, key, tags)
    role = await lookups.role(call, asked["nodeRole"], "ec2.amazonaws.com", **about)
    subnets = await lookups.subnets(call, asked["subnets"], **about)
    strangers = [subnet.id for subnet in subnets if subnet.vpc != cluster.wanted.place.vpc]
    if strangers or not subnets:
        said = (
            f"Subnets must be of the cluster's VPC {cluster.wanted.place.vpc}; these are not: {', '.join(strangers)}."
        )
        store_access.refuse("InvalidParameterException", said if strangers else "Subnets must not be empty.", **about)
    with store_access.coded(lookups.CODES, **about):
        wanted = nodegroups.filled(
            asked,
            vpc=cluster.wanted.place.vpc,
            zones=tuple(subnet.zone for subnet in subnets),
            version=views.version_shown(cluster.wanted.version, cluster.seen),
            created_at=call.now.timestamp(),
        )
    last = await store_access.quota(call, nodegroups.NODEGROUPS, of, code="ResourceLimitExceededException", **about)
    await capacity.for_nodes(call, key, wanted, **about)
    transaction: tuple[writes.Write, ...] = (
        writes.Put(key, nodegroups.written(wanted), writes.Absent()),
        # The cluster as it was looked at: not one that is being deleted since.
        writes.Require(cluster.state.key, writes.At(cluster.state.desired.generation)),
        role,
        *lookups.held(call, subnets),
        *last,
    )

    async def take(guard: capacity.Guard) -> None:
        with store_access.coded({errors.AlreadyExists: "ResourceInUseException"}, **about):
            await call.store.commit(*transaction, *guard)

    await capacity.taken(call, sums.Load(nodes=wanted.scaling.desired), take, **about)
    return {"nodegroup": views.nodegroup((await lookups.nodegroup(call, of, name)).state)}


@calls.operation("eks", "DescribeNodegroup", on=resources.NODEGROUP)
async def describe_nodegroup(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    group = await lookups.nodegroup(call, asked["clusterName"], asked["nodegroupName"])
    return {"nodegroup": views.nodegroup(group.state)}


@calls.operation("eks", "ListNodegroups", on=resources.CLUSTER)
async def list_nodegroups(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    cluster = await lookups.cluster(call, asked["clusterName"])
    below = keys.Prefix(call.account, call.region, nodegroups.KIND, cluster.wanted.name)
    return {"nodegroups": sorted(state.key.names[1] for state in await store_access.everything(call.store, below))}


@calls.operation("eks", "DeleteNodegroup", on=resources.NODEGROUP)
async def delete_nodegroup(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Ask for a nodegroup to be deleted, in whatever state it is. Asking twice is as good."""
    name, of = asked["nodegroupName"], asked["clusterName"]
    await lookups.cluster(call, of)

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        group = lookups.as_nodegroup(state, of, name)
        if group.wanted.deleting:
            return ()
        return (writes.Put(group.state.key, nodegroups.written(replace(group.wanted, deleting=True))),)

    state = await store_access.changed(call, nodegroups.key(call.account, call.region, of, name), change)
    return {"nodegroup": views.nodegroup(state)}


@calls.operation("eks", "UpdateNodegroupConfig", again="DescribeUpdate", on=resources.NODEGROUP)
async def update_nodegroup_config(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Change size, labels, taints, or how it is updated and repaired: one update."""
    name, of = asked["nodegroupName"], asked["clusterName"]
    about = {"clusterName": of, "nodegroupName": name}
    if asked.get("warmPoolConfig"):
        store_access.refuse("InvalidParameterException", "warmPoolConfig is not built yet: leave it out", **about)
    if not any(_parts(asked)):
        store_access.refuse(
            "InvalidParameterException", f"Nothing to update: give one of {', '.join(_CHANGES)}.", **about
        )
    await lookups.cluster(call, of)
    update = updates.asked(
        id=store_access.uuid_of(call, "update"),
        type="ConfigUpdate",
        parameters=_parameters(asked),
        created_at=call.now.timestamp(),
    )

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        group = lookups.as_nodegroup(state, of, name)
        if group.status not in ("ACTIVE", "DEGRADED"):
            store_access.refuse(
                "ResourceInUseException",
                f"Nodegroup cannot be updated as it is currently not in Active State: it is {group.status}.",
                **about,
            )
        with store_access.coded(lookups.CODES, **about):
            wanted = _after(group.wanted, asked)
        more = max(0, wanted.scaling.desired - group.wanted.scaling.desired)
        if more:
            await capacity.for_nodes(call, group.state.key, wanted, **about)
        changed = replace(wanted, update=update.id, modified_at=call.now.timestamp())
        return (
            *await capacity.on_machine(call, sums.Load(nodes=more), **about),
            writes.Put(group.state.key, nodegroups.written(changed)),
            updates.UPDATES.begun(group.state.key, update),
            writes.Require(spec.key(call.account, call.region, of), writes.Present()),
        )

    await store_access.changed(call, nodegroups.key(call.account, call.region, of, name), change)
    return {"update": views.update(update)}


def _parts(asked: calls.Asked) -> Iterable[object]:
    """What is asked for; an empty part asks for nothing."""
    for member in _CHANGES:
        part = asked.get(member, {})
        yield from (value if isinstance(value, list | dict) else value is not None for value in part.values())


def _after(wanted: nodegroups.Nodegroup, asked: calls.Asked) -> nodegroups.Nodegroup:
    """The nodegroup with the change. Raises Invalid."""
    size = nodegroups.scaling(wanted.scaling, asked.get("scalingConfig", {}))
    tagged, taints = asked.get("labels", {}), asked.get("taints", {})
    labels.check_labels(tagged.get("addOrUpdateLabels", {}))
    labels.check_taints(taints.get("addOrUpdateTaints", ()))
    labels.check_change(tagged, taints)
    tainted = _taints(wanted.taints, taints.get("addOrUpdateTaints", ()), taints.get("removeTaints", ()))
    labels.check_count(len(tainted))
    removed = set(tagged.get("removeLabels", ()))
    return replace(
        wanted,
        scaling=size,
        most=max(wanted.most, size.desired),
        labels={
            key: value
            for key, value in {**wanted.labels, **tagged.get("addOrUpdateLabels", {})}.items()
            if key not in removed
        },
        taints=tainted,
        update_config=_update_config(wanted, asked.get("updateConfig", {}), size),
        repair=nodegroups.repair(wanted.repair, asked.get("nodeRepairConfig", {})),
    )


def _update_config(
    wanted: nodegroups.Nodegroup, asked: Mapping[str, Any], size: nodegroups.Scaling
) -> Mapping[str, Any]:
    """Looked at only where it may have become wrong."""
    if not asked and size.maximum >= wanted.scaling.maximum:
        return wanted.update_config
    return nodegroups.update_config(wanted.update_config, asked, size.maximum)


def _taints(
    before: tuple[nodegroups.Taint, ...], put: Iterable[Mapping[str, str]], remove: Iterable[Mapping[str, str]]
) -> tuple[nodegroups.Taint, ...]:
    """Taints are told apart by key and effect, as Kubernetes does."""
    after = {(taint.key, taint.effect): taint for taint in before}
    after.update({(taint.key, taint.effect): taint for taint in map(nodegroups.taint, put)})
    for gone in map(nodegroups.taint, remove):
        after.pop((gone.key, gone.effect), None)
    return tuple(after.values())


def _parameters(asked: calls.Asked) -> tuple[tuple[str, str], ...]:
    """What was asked for in the words of the model's UpdateParamType."""
    size, tagged, taints = asked.get("scalingConfig", {}), asked.get("labels", {}), asked.get("taints", {})
    update, repair = asked.get("updateConfig", {}), asked.get("nodeRepairConfig", {})
    found: tuple[tuple[str, Any], ...] = (
        ("MinSize", size.get("minSize")),
        ("MaxSize", size.get("maxSize")),
        ("DesiredSize", size.get("desiredSize")),
        ("LabelsToAdd", tagged.get("addOrUpdateLabels")),
        ("LabelsToRemove", tagged.get("removeLabels")),
        ("TaintsToAdd", taints.get("addOrUpdateTaints")),
        ("TaintsToRemove", taints.get("removeTaints")),
        ("MaxUnavailable", update.get("maxUnavailable")),
        ("MaxUnavailablePercentage", update.get("maxUnavailablePercentage")),
        ("UpdateStrategy", update.get("updateStrategy")),
        ("NodeRepairConfig", repair or None),
    )
    return tuple(
        (type, value if isinstance(value, str) else json.dumps(value)) for type, value in found if value is not None
    )
