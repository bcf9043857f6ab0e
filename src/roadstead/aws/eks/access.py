"""Access entries: who may come in to a cluster's API servers, with which names, groups and access policies.

Source of codes and sentences: EKS API Reference, and what EKS is known to answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.clusters.access import entries, policies, views
from roadstead.core import errors
from roadstead.identity import roles, users
from roadstead.store import facts, keys, writes


@calls.operation(
    "eks", "CreateAccessEntry", again="DescribeAccessEntry", on=resources.CLUSTER, context=resources.NEW_ENTRY
)
async def create_access_entry(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    name, arn = asked["clusterName"], asked["principalArn"]
    type = asked.get("type", entries.STANDARD)
    if type not in entries.TYPES:
        store_access.refuse("InvalidParameterException", f"The type {type!r} is none of {', '.join(entries.TYPES)}.")
    if type != entries.STANDARD:
        said = f"Access entries of type {type} are not built: nodes come in by credentials of their own."
        store_access.refuse("InvalidParameterException", said, clusterName=name)
    now = call.now.timestamp()
    with store_access.coded(lookups.CODES, clusterName=name):
        username = asked.get("username") or entries.default_username(arn)
        entry = entries.Entry(
            principal=arn,
            principal_id="",
            username=entries.checked_username(username, entries.principal(arn)),
            groups=entries.checked_groups(asked.get("kubernetesGroups", ())),
            tags=store_access.tags_after({}, asked.get("tags", {}), code="InvalidParameterException"),
            created_at=now,
            modified_at=now,
        )
    await resources.may_tag(call, entries.ENTRIES, _key(call, name, arn), entry.tags)

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        if state is not None:
            store_access.refuse(
                "ResourceInUseException",
                "The specified access entry resource is already in use on this cluster.",
                clusterName=name,
            )
        id, needed = await _principal(call, arn)
        full = await store_access.quota(
            call, entries.ENTRIES, name, code="ResourceLimitExceededException", clusterName=name
        )
        return writes.Put(_key(call, name, arn), entries.written(replace(entry, principal_id=id))), *needed, *full

    return {"accessEntry": views.entry(await _changed(call, asked, change))}


@calls.operation("eks", "DescribeAccessEntry", on=resources.ACCESS_ENTRY)
async def describe_access_entry(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"accessEntry": views.entry(await _there(call, asked))}


@calls.operation("eks", "ListAccessEntries", on=resources.CLUSTER)
async def list_access_entries(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await _cluster(call, asked["clusterName"])
    policy = asked.get("associatedPolicyArn")
    wanted = None if policy is None else _policy(policy)
    states = await store_access.everything(call.store, entries.below(call.account, call.region, asked["clusterName"]))
    there = [entries.read(state.desired.body) for state in states]
    shown = [entry for entry in there if wanted is None or any(one.policy == wanted for one in entry.policies)]
    return {"accessEntries": sorted(entry.principal for entry in shown)}


@calls.operation("eks", "UpdateAccessEntry", again="DescribeAccessEntry", on=resources.ACCESS_ENTRY)
async def update_access_entry(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """What is left out stays."""

    def after(entry: entries.Entry) -> entries.Entry:
        with store_access.coded(lookups.CODES, clusterName=asked["clusterName"]):
            username = asked.get("username")
            if username is not None:
                of = entries.principal(entry.principal)
                entry = replace(entry, username=entries.checked_username(username, of))
            if asked.get("kubernetesGroups") is not None:
                entry = replace(entry, groups=entries.checked_groups(asked["kubernetesGroups"]))
        return entry

    return {"accessEntry": views.entry(await _rewritten(call, asked, after))}


@calls.operation("eks", "DeleteAccessEntry", on=resources.ACCESS_ENTRY)
async def delete_access_entry(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    state = await _there(call, asked)
    with store_access.coded({errors.NotFound: "ResourceNotFoundException"}):
        await call.store.commit(writes.Delete(state.key, writes.Present()))
    return {}


@calls.operation("eks", "AssociateAccessPolicy", on=resources.ACCESS_ENTRY, context=resources.NEW_POLICY)
async def associate_access_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Asking again is as good as once."""
    policy, scope = _policy(asked["policyArn"]), asked["accessScope"]
    if scope.get("type", "cluster") != "cluster":
        store_access.refuse(
            "InvalidParameterException",
            "An access policy for single namespaces is not built yet: bind a kubernetes group of the access entry to "
            "a role in the namespace instead.",
        )
    if scope.get("namespaces"):
        store_access.refuse("InvalidParameterException", "An access scope of type cluster has no namespaces.")
    now = call.now.timestamp()

    def after(entry: entries.Entry) -> entries.Entry:
        before = next((one for one in entry.policies if one.policy == policy), None)
        since = now if before is None else before.associated_at
        made = entries.Associated(policy=policy, associated_at=since, modified_at=now)
        return replace(entry, policies=(*(one for one in entry.policies if one.policy != policy), made))

    entry = entries.read((await _rewritten(call, asked, after)).desired.body)
    made = next((one for one in entry.policies if one.policy == policy), None)
    if made is None:
        raise errors.Conflict(f"{policy} was taken from {entry.principal} as soon as it was given")
    named = {"clusterName": asked["clusterName"], "principalArn": entry.principal}
    return {**named, "associatedAccessPolicy": views.associated(made)}


@calls.operation("eks", "DisassociateAccessPolicy", on=resources.ACCESS_ENTRY, context=resources.POLICY)
async def disassociate_access_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    policy = _policy(asked["policyArn"])

    def after(entry: entries.Entry) -> entries.Entry:
        left = tuple(one for one in entry.policies if one.policy != policy)
        if left == entry.policies:
            said = f"The access policy {asked['policyArn']} is not associated with the principal {entry.principal}."
            store_access.refuse("ResourceNotFoundException", said, clusterName=asked["clusterName"])
        return replace(entry, policies=left)

    await _rewritten(call, asked, after)
    return {}


@calls.operation("eks", "ListAssociatedAccessPolicies", on=resources.ACCESS_ENTRY)
async def list_associated_access_policies(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    entry = entries.read((await _there(call, asked)).desired.body)
    shown = sorted(entry.policies, key=lambda one: one.policy)
    return {
        "clusterName": asked["clusterName"],
        "principalArn": entry.principal,
        "associatedAccessPolicies": [views.associated(one) for one in shown],
    }


@calls.operation("eks", "ListAccessPolicies", on=resources.ANYTHING)
async def list_access_policies(_: calls.Call, __: calls.Asked) -> calls.Answer:
    return {"accessPolicies": [{"name": name, "arn": policies.arn(name)} for name in sorted(policies.NAMES)]}


_Change = Callable[[facts.State | None], Awaitable[tuple[writes.Write, ...]]]


async def _changed(call: calls.Call, asked: calls.Asked, change: _Change) -> facts.State:
    """The entry after a change that holds on to the cluster: one that is being deleted gets no new entries."""
    name = asked["clusterName"]

    async def held(state: facts.State | None) -> tuple[writes.Write, ...]:
        cluster = await _cluster(call, name)
        if cluster.wanted.deleting:
            store_access.refuse("InvalidRequestException", f"Cluster {name} is being deleted.", clusterName=name)
        transaction = await change(state)
        return *transaction, writes.Require(cluster.state.key, writes.At(cluster.state.desired.generation))

    return await store_access.changed(call, _key(call, name, asked["principalArn"]), held)


async def _rewritten(
    call: calls.Call, asked: calls.Asked, after: Callable[[entries.Entry], entries.Entry]
) -> facts.State:
    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        if state is None:
            _unknown(asked["clusterName"])
        wanted = replace(after(entries.read(state.desired.body)), modified_at=call.now.timestamp())
        return (writes.Put(state.key, entries.written(wanted)),)

    return await _changed(call, asked, change)


async def _cluster(call: calls.Call, name: str) -> lookups.Cluster:
    """Raises InvalidRequestException for a cluster whose users are in its aws-auth ConfigMap alone."""
    cluster = await lookups.cluster(call, name)
    if cluster.wanted.access.mode == "CONFIG_MAP":
        store_access.refuse(
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
            clusterName=name,
        )
    return cluster


async def _there(call: calls.Call, asked: calls.Asked) -> facts.State:
    name = asked["clusterName"]
    await _cluster(call, name)
    state = await call.store.get(_key(call, name, asked["principalArn"]))
    if state is None:
        _unknown(name)
    return state


def _unknown(cluster: str) -> NoReturn:
    store_access.refuse(
        "ResourceNotFoundException",
        "The specified principalArn could not be found. You can view your available access entries with "
        "'list-access-entries'.",
        clusterName=cluster,
    )


async def _principal(call: calls.Call, arn: str) -> tuple[str, tuple[writes.Require, ...]]:
    """The id of a principal of this account, and what a transaction that needs it holds on to."""
    with store_access.coded(lookups.CODES):
        named = entries.principal(arn)
    if named.account == call.account:
        if named.kind == "root":
            return named.account, ()
        of_user = named.kind == "user"
        key = users.user_key(call.account, named.name) if of_user else roles.key(call.account, named.name)
        state = await call.store.get(key)
        if state is not None and of_user:
            user = users.read_user(state.desired.body)
            if users.arn(call.account, user) == arn:
                return user.id, (writes.Require(key, writes.Present()),)
        elif state is not None:
            role = roles.read(state.desired.body)
            if roles.arn(call.account, role) == arn:
                return role.id, (writes.Require(key, writes.Present()),)
    store_access.refuse("InvalidParameterException", f"The specified principalArn is invalid: there is no {arn}.")


def _policy(arn: str) -> str:
    """The name of an access policy. Raises ResourceNotFoundException."""
    name = policies.name_of(arn)
    if name is None:
        store_access.refuse("ResourceNotFoundException", f"The specified policyArn could not be found: {arn}.")
    return name


def _key(call: calls.Call, cluster: str, principal: str) -> keys.Key:
    return entries.key(call.account, call.region, cluster, principal)
