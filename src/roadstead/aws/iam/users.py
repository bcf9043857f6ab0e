"""Users and their access keys."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.iam import lookups, resources, views
from roadstead.core import errors
from roadstead.identity import names, users
from roadstead.store import keys, writes

MOST_KEYS = 2
"""Access keys of a user: IAM's quota."""


@calls.operation("iam", "CreateUser", on=resources.NEW_USER, context=resources.NEW)
async def create_user(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    if asked.get("PermissionsBoundary"):
        store_access.refuse("InvalidInput", "PermissionsBoundary is not built yet: leave it out.")
    user = users.User(
        name=asked["UserName"],
        id=names.unique_id("AIDA"),
        created=call.now.timestamp(),
        path=asked.get("Path", "/"),
        tags=lookups.tags(asked),
    )
    await resources.may_tag(call, "iam:TagUser", users.arn(call.account, user), user.tags)
    await lookups.added(call, users.USER, user.name, users.put_user(call.account, user, writes.Absent()))
    return {"User": views.user(call.account, user)}


@calls.operation("iam", "GetUser", on=resources.USER)
async def get_user(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The one that is named, or who calls."""
    name = asked.get("UserName") or lookups.caller(call)
    if name == users.ROOT:
        root = {"Path": "/", "UserId": call.account, "Arn": call.caller.arn, "UserName": "root", "CreateDate": call.now}
        return {"User": root}
    return {"User": views.user(call.account, await lookups.user(call, name))}


@calls.operation("iam", "ListUsers", on=resources.ANYTHING)
async def list_users(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    below = asked.get("PathPrefix", "/")
    states = await store_access.everything(call.store, keys.Prefix(call.account, keys.GLOBAL, users.USER))
    there = [user for user in (users.read_user(state.desired.body) for state in states) if user.path.startswith(below)]
    return {"Users": [views.user(call.account, user, whole=False) for user in there], "IsTruncated": False}


@calls.operation("iam", "ListUserTags", on=resources.USER)
async def list_user_tags(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    return {"Tags": views.tags((await lookups.user(call, asked["UserName"])).tags), "IsTruncated": False}


@calls.operation("iam", "DeleteUser", on=resources.USER)
async def delete_user(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Only without access keys."""
    name = asked["UserName"]
    key = users.user_key(call.account, name)
    lookups.as_user(await call.store.get(key), name)
    owned, revision = await _keys_of(call, name)
    if owned:
        store_access.refuse("DeleteConflict", "Cannot delete entity, must delete access keys first.")
    with store_access.coded({errors.NotFound: "NoSuchEntity", errors.Conflict: "ConcurrentModification"}):
        await call.store.commit(writes.Delete(key, writes.Present()), writes.Unchanged(_all_keys(call), revision))
    return {}


@calls.operation("iam", "CreateAccessKey", on=resources.USER)
async def create_access_key(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The one answer that has the secret."""
    name = asked.get("UserName") or lookups.caller(call)
    needed: tuple[writes.Write, ...] = ()
    if name != users.ROOT:
        place = users.user_key(call.account, name)
        lookups.as_user(await call.store.get(place), name)
        needed = (writes.Require(place, writes.Present()),)
    key, secret, made = users.new_access_key(call.account, name, call.now.timestamp())
    await _kept_within_quota(call, name, (*made, *needed))
    shown = {"UserName": "root", **views.access_key(key), "SecretAccessKey": secret}
    return {"AccessKey": shown}


@calls.operation("iam", "ListAccessKeys", on=resources.USER)
async def list_access_keys(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    name = asked.get("UserName") or lookups.caller(call)
    if name != users.ROOT:
        await lookups.user(call, name)
    owned, _ = await _keys_of(call, name)
    return {"AccessKeyMetadata": [views.access_key(key) for key in owned], "IsTruncated": False}


@calls.operation("iam", "DeleteAccessKey", on=resources.USER)
async def delete_access_key(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The key and its secret, at once."""
    name, id = asked.get("UserName") or lookups.caller(call), asked["AccessKeyId"]
    place = users.access_key_key(call.account, id)
    state = await call.store.get(place)
    if state is None or users.read_access_key(state.desired.body).user != name:
        store_access.refuse("NoSuchEntity", f"The Access Key with id {id} cannot be found.")
    with store_access.coded({errors.NotFound: "NoSuchEntity"}):
        await call.store.commit(writes.Delete(place, writes.Present()), writes.DeleteSecret(place))
    return {}


async def _kept_within_quota(call: calls.Call, name: str, made: tuple[writes.Write, ...]) -> None:
    """Commit a new access key, unless its user has as many as may be; looked at anew when another one came between."""
    for _ in range(store_access.TRIES):
        owned, revision = await _keys_of(call, name)
        if len(owned) >= MOST_KEYS:
            store_access.refuse("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {MOST_KEYS}")
        try:
            with store_access.coded({errors.NotFound: "NoSuchEntity"}):
                await call.store.commit(*made, writes.Unchanged(_all_keys(call), revision))
        except errors.Conflict:
            continue
        return
    raise errors.Busy("many access keys are being made: try again")


def _all_keys(call: calls.Call) -> keys.Prefix:
    return keys.Prefix(call.account, keys.GLOBAL, users.ACCESS_KEY)


async def _keys_of(call: calls.Call, name: str) -> tuple[list[users.AccessKey], int]:
    """A user's keys, oldest first, and the revision of the list."""
    states, revision = await store_access.listed(call.store, _all_keys(call))
    there = [users.read_access_key(state.desired.body) for state in states]
    return sorted((key for key in there if key.user == name), key=lambda key: (key.created, key.id)), revision
