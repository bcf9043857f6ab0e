"""The account as a whole: what it has of everything, and what it may have."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.iam import resources
from roadstead.aws.iam import users as keys_of
from roadstead.identity import roles, users
from roadstead.store import keys

_QUOTAS = {
    "AccessKeysPerUserQuota": keys_of.MOST_KEYS,
    "AttachedPoliciesPerRoleQuota": roles.MOST_POLICIES,
    "AssumeRolePolicySizeQuota": roles.LONGEST_TRUST,
}
"""Those that are kept here."""
_NONE = (
    *("Groups", "Policies", "PolicyVersionsInUse", "InstanceProfiles", "Providers", "ServerCertificates"),
    *("MFADevices", "MFADevicesInUse", "AccountMFAEnabled", "AccountPasswordPresent"),
    "AccountSigningCertificatesPresent",
)
"""What no account here has. Policies: of its own."""


@calls.operation("iam", "GetAccountSummary", on=resources.ANYTHING)
async def get_account_summary(call: calls.Call, _: calls.Asked) -> calls.Answer:
    counted = {
        name: len(await store_access.everything(call.store, keys.Prefix(call.account, keys.GLOBAL, kind)))
        for name, kind in (("Roles", roles.ROLE), ("Users", users.USER))
    }
    states = await store_access.everything(call.store, keys.Prefix(call.account, keys.GLOBAL, users.ACCESS_KEY))
    of_root = any(users.read_access_key(state.desired.body).user == users.ROOT for state in states)
    present = {"AccountAccessKeysPresent": int(of_root)}
    return {"SummaryMap": {**counted, **dict.fromkeys(_NONE, 0), **present, **_QUOTAS}}


@calls.operation("iam", "ListAccountAliases", answers="empty", on=resources.ANYTHING)
async def list_account_aliases(_: calls.Call, __: calls.Asked) -> calls.Answer:
    return {"AccountAliases": [], "IsTruncated": False}


@calls.operation("iam", "GetAccountPasswordPolicy", answers="empty", on=resources.ANYTHING)
async def get_account_password_policy(call: calls.Call, _: calls.Asked) -> calls.Answer:
    """Nobody has a password."""
    store_access.refuse(
        "NoSuchEntity", f"The account policy with name PasswordPolicy of {call.account} cannot be found."
    )
