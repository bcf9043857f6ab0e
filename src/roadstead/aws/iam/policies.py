"""AWS's managed policies: those that roles here may have, by name. What they allow is not known here yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.iam import resources
from roadstead.identity import names, policies, roles
from roadstead.store import keys

_VERSION = "v1"


@calls.operation("iam", "ListPolicies", on=resources.ANYTHING)
async def list_policies(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """An account here has none of its own."""
    below, attached = asked.get("PathPrefix", "/"), asked.get("OnlyAttached", False)
    none = asked.get("Scope") == "Local" or asked.get("PolicyUsageFilter") == "PermissionsBoundary"
    there = await _roles(call)
    shown = [_policy(name, there) for name in policies.NAMES if not none and policies.path(name).startswith(below)]
    return {"Policies": [one for one in shown if one["AttachmentCount"] or not attached], "IsTruncated": False}


@calls.operation("iam", "GetPolicy", on=resources.POLICY)
async def get_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"Policy": _policy(_known(asked), await _roles(call))}


@calls.operation("iam", "ListPolicyVersions", on=resources.POLICY)
async def list_policy_versions(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """One, whatever AWS has."""
    _known(asked)
    return {"Versions": [{"VersionId": _VERSION, "IsDefaultVersion": True}], "IsTruncated": False}


@calls.operation("iam", "ListPolicyTags", answers="empty", on=resources.POLICY)
async def list_policy_tags(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """AWS's own policies have no tags."""
    _known(asked)
    return {"Tags": [], "IsTruncated": False}


@calls.operation("iam", "ListEntitiesForPolicy", on=resources.POLICY)
async def list_entities_for_policy(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Roles: nothing else has policies here."""
    arn = policies.arn(_known(asked))
    none = asked.get("EntityFilter", "Role") != "Role" or asked.get("PolicyUsageFilter") == "PermissionsBoundary"
    below = asked.get("PathPrefix", "/")
    found = [role for role in await _roles(call) if not none and arn in role.policies and role.path.startswith(below)]
    shown = [{"RoleName": role.name, "RoleId": role.id} for role in found]
    return {"PolicyRoles": shown, "PolicyUsers": [], "PolicyGroups": [], "IsTruncated": False}


async def _roles(call: calls.Call) -> list[roles.Role]:
    states = await store_access.everything(call.store, keys.Prefix(call.account, keys.GLOBAL, roles.ROLE))
    return [roles.read(state.desired.body) for state in states]


def _known(asked: calls.Asked) -> str:
    """The policy's name. Raises NoSuchEntity."""
    name = policies.name_of(asked["PolicyArn"])
    if name is None:
        store_access.refuse("NoSuchEntity", f"Policy {asked['PolicyArn']} was not found.")
    return name


def _policy(name: str, there: Iterable[roles.Role]) -> dict[str, Any]:
    """The model's Policy."""
    arn = policies.arn(name)
    return {
        "PolicyName": name,
        "PolicyId": names.derived_id("ANPA", name),
        "Arn": arn,
        "Path": policies.path(name),
        "DefaultVersionId": _VERSION,
        "AttachmentCount": sum(arn in role.policies for role in there),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
    }
