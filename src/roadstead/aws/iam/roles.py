"""Roles, and which of AWS's managed policies they have."""

from __future__ import annotations

import msgspec

from roadstead.aws import calls, store_access
from roadstead.aws.iam import lookups, resources, views
from roadstead.core import errors
from roadstead.identity import names, policies, roles
from roadstead.store import facts, keys, writes


@calls.operation("iam", "CreateRole", on=resources.NEW_ROLE, context=resources.NEW)
async def create_role(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    with store_access.coded({errors.Invalid: "MalformedPolicyDocument"}):
        roles.check_trust(asked["AssumeRolePolicyDocument"])
    if asked.get("PermissionsBoundary"):
        store_access.refuse("InvalidInput", "PermissionsBoundary is not built yet: leave it out.")
    role = roles.Role(
        name=asked["RoleName"],
        id=names.unique_id("AROA"),
        trust=asked["AssumeRolePolicyDocument"],
        created=call.now.timestamp(),
        path=asked.get("Path", "/"),
        description=asked.get("Description"),
        longest_session=asked.get("MaxSessionDuration", 3600),
        tags=lookups.tags(asked),
    )
    await resources.may_tag(call, "iam:TagRole", roles.arn(call.account, role), role.tags)
    await lookups.added(call, roles.ROLE, role.name, roles.put(call.account, role, writes.Absent()))
    return {"Role": views.role(call.account, role)}


@calls.operation("iam", "GetRole", on=resources.ROLE)
async def get_role(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"Role": views.role(call.account, await lookups.role(call, asked["RoleName"]))}


@calls.operation("iam", "ListRoles", on=resources.ANYTHING)
async def list_roles(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    below = asked.get("PathPrefix", "/")
    states = await store_access.everything(call.store, keys.Prefix(call.account, keys.GLOBAL, roles.ROLE))
    there = [role for role in (roles.read(state.desired.body) for state in states) if role.path.startswith(below)]
    return {"Roles": [views.role(call.account, role, whole=False) for role in there], "IsTruncated": False}


@calls.operation("iam", "ListRoleTags", on=resources.ROLE)
async def list_role_tags(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"Tags": views.tags((await lookups.role(call, asked["RoleName"])).tags), "IsTruncated": False}


@calls.operation("iam", "DeleteRole", on=resources.ROLE)
async def delete_role(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Only without policies."""
    key = roles.key(call.account, asked["RoleName"])
    state = await call.store.get(key)
    role = lookups.as_role(state, asked["RoleName"])
    if role.policies:
        store_access.refuse("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    assert state is not None
    with store_access.coded({errors.NotFound: "NoSuchEntity", errors.Conflict: "ConcurrentModification"}):
        await call.store.commit(writes.Delete(key, writes.At(state.desired.generation)))
    return {}


@calls.operation("iam", "AttachRolePolicy", on=resources.ROLE, context=resources.POLICY_ARN)
async def attach_role_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Attaching twice is as good as once."""
    arn = asked["PolicyArn"]
    if not arn.startswith("arn:"):
        store_access.refuse("ValidationError", f"ARN {arn} is not valid.")
    if policies.name_of(arn) is None:
        store_access.refuse("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        role = lookups.as_role(state, asked["RoleName"])
        if arn in role.policies:
            return ()
        if len(role.policies) >= roles.MOST_POLICIES:
            store_access.refuse("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {roles.MOST_POLICIES}")
        return (roles.put(call.account, msgspec.structs.replace(role, policies=(*role.policies, arn))),)

    await store_access.changed(call, roles.key(call.account, asked["RoleName"]), change)
    return {}


@calls.operation("iam", "DetachRolePolicy", on=resources.ROLE, context=resources.POLICY_ARN)
async def detach_role_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    arn = asked["PolicyArn"]

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        role = lookups.as_role(state, asked["RoleName"])
        if arn not in role.policies:
            store_access.refuse("NoSuchEntity", f"Policy {arn} was not found.")
        left = tuple(policy for policy in role.policies if policy != arn)
        return (roles.put(call.account, msgspec.structs.replace(role, policies=left)),)

    await store_access.changed(call, roles.key(call.account, asked["RoleName"]), change)
    return {}


@calls.operation("iam", "ListAttachedRolePolicies", on=resources.ROLE)
async def list_attached_role_policies(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    role = await lookups.role(call, asked["RoleName"])
    shown = [{"PolicyName": policies.name_of(arn) or arn, "PolicyArn": arn} for arn in role.policies]
    return {"AttachedPolicies": shown, "IsTruncated": False}
