"""What IAM has and there never is here: groups, policies written into roles and users, instance profiles, providers,
passwords, certificates. Lists are empty, and what is named does not exist; whose they would be has to be there.
"""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.iam import lookups, resources
from roadstead.identity import users


def _none(name: str, member: str, *, pages: bool = True) -> calls.Handler:
    """The operation `name`, which answers an empty `member`."""

    async def operation(_: calls.Call, __: calls.Asked) -> calls.Answer:
        return {member: [], "IsTruncated": False} if pages else {member: []}

    return calls.operation("iam", name, answers="empty", on=resources.ANYTHING)(operation)


def _of_role(name: str, member: str) -> calls.Handler:
    """As _none, of a role that has to be there."""

    async def operation(call: calls.Call, asked: calls.Asked) -> calls.Answer:
        await lookups.role(call, asked["RoleName"])
        return {member: [], "IsTruncated": False}

    return calls.operation("iam", name, answers="empty", on=resources.ROLE)(operation)


def _of_user(name: str, member: str) -> calls.Handler:
    """As _none, of the user that is named, or of who calls."""

    async def operation(call: calls.Call, asked: calls.Asked) -> calls.Answer:
        user = asked.get("UserName") or lookups.caller(call)
        if user != users.ROOT:
            await lookups.user(call, user)
        return {member: [], "IsTruncated": False}

    return calls.operation("iam", name, answers="empty", on=resources.USER)(operation)


_OPENID = ("OpenIDConnectProviderArn", "OpenID Connect provider", resources.OPENID_PROVIDER)


def _missing(name: str, member: str, what: str, on: calls.Resource) -> calls.Handler:
    """The operation `name`, which finds nothing by the name in `member`. Its role or its user is looked for first."""

    async def operation(call: calls.Call, asked: calls.Asked) -> calls.Answer:
        for owner, look in (("RoleName", lookups.role), ("UserName", lookups.user)):
            if owner in asked:
                await look(call, asked[owner])
        store_access.refuse("NoSuchEntity", f"The {what} with name {asked.get(member, '')} cannot be found.")

    return calls.operation("iam", name, answers="empty", on=on)(operation)


list_groups = _none("ListGroups", "Groups")
list_instance_profiles = _none("ListInstanceProfiles", "InstanceProfiles")
list_open_id_connect_providers = _none("ListOpenIDConnectProviders", "OpenIDConnectProviderList", pages=False)
list_saml_providers = _none("ListSAMLProviders", "SAMLProviderList", pages=False)
list_server_certificates = _none("ListServerCertificates", "ServerCertificateMetadataList")
list_virtual_mfa_devices = _none("ListVirtualMFADevices", "VirtualMFADevices")

list_role_policies = _of_role("ListRolePolicies", "PolicyNames")
list_instance_profiles_for_role = _of_role("ListInstanceProfilesForRole", "InstanceProfiles")

list_user_policies = _of_user("ListUserPolicies", "PolicyNames")
list_attached_user_policies = _of_user("ListAttachedUserPolicies", "AttachedPolicies")
list_groups_for_user = _of_user("ListGroupsForUser", "Groups")
list_mfa_devices = _of_user("ListMFADevices", "MFADevices")
list_ssh_public_keys = _of_user("ListSSHPublicKeys", "SSHPublicKeys")
list_signing_certificates = _of_user("ListSigningCertificates", "Certificates")
list_service_specific_credentials = _of_user("ListServiceSpecificCredentials", "ServiceSpecificCredentials")

get_role_policy = _missing("GetRolePolicy", "PolicyName", "role policy", resources.ROLE)
get_user_policy = _missing("GetUserPolicy", "PolicyName", "user policy", resources.USER)
get_login_profile = _missing("GetLoginProfile", "UserName", "login profile of the user", resources.USER)
get_group = _missing("GetGroup", "GroupName", "group", resources.GROUP)
get_group_policy = _missing("GetGroupPolicy", "GroupName", "group", resources.GROUP)
list_group_policies = _missing("ListGroupPolicies", "GroupName", "group", resources.GROUP)
list_attached_group_policies = _missing("ListAttachedGroupPolicies", "GroupName", "group", resources.GROUP)
get_instance_profile = _missing(
    "GetInstanceProfile", "InstanceProfileName", "instance profile", resources.INSTANCE_PROFILE
)
list_instance_profile_tags = _missing(
    "ListInstanceProfileTags", "InstanceProfileName", "instance profile", resources.INSTANCE_PROFILE
)
get_open_id_connect_provider = _missing("GetOpenIDConnectProvider", *_OPENID)
list_open_id_connect_provider_tags = _missing("ListOpenIDConnectProviderTags", *_OPENID)
get_saml_provider = _missing("GetSAMLProvider", "SAMLProviderArn", "SAML provider", resources.SAML_PROVIDER)
get_server_certificate = _missing(
    "GetServerCertificate", "ServerCertificateName", "server certificate", resources.SERVER_CERTIFICATE
)
