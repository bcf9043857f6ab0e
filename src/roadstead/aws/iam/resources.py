"""What the operations of IAM are about, and the condition keys that they supply.

ARNs have the paths of what there is, and names as they were made: roles are found by names in whatever case, and a
policy of `role/Admin` is to hold for who asks for `admin`. Source: Service Authorization Reference, "AWS Identity and
Access Management"; IAM User Guide, "Tagging IAM resources" (who sets tags on what is made has to be allowed to tag it).
"""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.aws import calls
from roadstead.aws.authorization import context, resources
from roadstead.aws.iam import lookups
from roadstead.core import errors
from roadstead.identity import roles, users

ANYTHING = resources.ANYTHING
_ARN = "arn:aws:iam::{account}:"

GROUP = resources.template("group", f"{_ARN}group/{{GroupName}}")
INSTANCE_PROFILE = resources.template("instance-profile", f"{_ARN}instance-profile/{{InstanceProfileName}}")
OPENID_PROVIDER = resources.template("oidc-provider", "{OpenIDConnectProviderArn}")
POLICY = resources.template("policy", "{PolicyArn}")
SAML_PROVIDER = resources.template("saml-provider", "{SAMLProviderArn}")
SERVER_CERTIFICATE = resources.template("server-certificate", f"{_ARN}server-certificate/{{ServerCertificateName}}")


async def _role(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    name = asked["RoleName"]
    try:
        state = await call.store.get(roles.key(call.account, name))
    except errors.Invalid:
        state = None
    if state is None:
        return (f"arn:aws:iam::{call.account}:role/{name}",)
    return (roles.ROLES.arn_of(state.desired),)


async def _user(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    """The one that is named, or who calls."""
    name = asked.get("UserName") or lookups.caller(call)
    if name == users.ROOT:
        return (f"arn:aws:iam::{call.account}:root",)
    try:
        state = await call.store.get(users.user_key(call.account, name))
    except errors.Invalid:
        state = None
    if state is None:
        return (f"arn:aws:iam::{call.account}:user/{name}",)
    return (users.USERS.arn_of(state.desired),)


async def _new_role(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    return (f"arn:aws:iam::{call.account}:role{asked.get('Path', '/')}{asked['RoleName']}",)


async def _new_user(call: calls.Call, asked: calls.Asked) -> tuple[str, ...]:
    return (f"arn:aws:iam::{call.account}:user{asked.get('Path', '/')}{asked['UserName']}",)


ROLE = calls.Resource(("role",), ("RoleName",), _role)
NEW_ROLE = calls.Resource(("role",), ("RoleName", "Path"), _new_role)
USER = calls.Resource(("user",), ("UserName",), _user)
NEW_USER = calls.Resource(("user",), ("UserName", "Path"), _new_user)

POLICY_ARN = (context.member("iam:PolicyARN", "PolicyArn"),)
NEW = (context.tags("Tags"), context.member("iam:PermissionsBoundary", "PermissionsBoundary"))
"""Of a role or a user that is made."""


async def may_tag(call: calls.Call, action: str, arn: str, tags: Mapping[str, str]) -> None:
    """Raises Denied unless the caller may set these tags, if there are any, on what is made."""
    if tags:
        await call.may(action, arn, context=dict(context.of_tags(tags)))
