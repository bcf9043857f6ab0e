"""What is shown of roles, users and access keys, in the shapes of IAM's model. Pure."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Mapping
from typing import Any

from roadstead.identity import roles, users


def role(account: str, kept: roles.Role, *, whole: bool = True) -> dict[str, Any]:
    """The model's Role. Lists leave out tags (whole=False): IAM API Reference, ListRoles."""
    shown: dict[str, Any] = {
        "Path": kept.path,
        "RoleName": kept.name,
        "RoleId": kept.id,
        "Arn": roles.arn(account, kept),
        "CreateDate": _moment(kept.created),
        # RFC 3986, as the API Reference says; botocore decodes it.
        "AssumeRolePolicyDocument": urllib.parse.quote(kept.trust, safe=""),
        "MaxSessionDuration": kept.longest_session,
    }
    if kept.description is not None:
        shown["Description"] = kept.description
    if whole:
        # Nobody has assumed one yet.
        shown["RoleLastUsed"] = {}
    if whole and kept.tags:
        shown["Tags"] = tags(kept.tags)
    return shown


def user(account: str, kept: users.User, *, whole: bool = True) -> dict[str, Any]:
    """The model's User. Lists leave out tags (whole=False)."""
    shown: dict[str, Any] = {
        "Path": kept.path,
        "UserName": kept.name,
        "UserId": kept.id,
        "Arn": users.arn(account, kept),
        "CreateDate": _moment(kept.created),
    }
    if whole and kept.tags:
        shown["Tags"] = tags(kept.tags)
    return shown


def access_key(kept: users.AccessKey) -> dict[str, Any]:
    """The model's AccessKeyMetadata. The secret is shown once, by who made it."""
    shown: dict[str, Any] = {"AccessKeyId": kept.id, "Status": kept.status, "CreateDate": _moment(kept.created)}
    return {"UserName": kept.user, **shown} if kept.user != users.ROOT else shown


def tags(wanted: Mapping[str, str]) -> list[dict[str, str]]:
    """In the order of their keys."""
    return [{"Key": key, "Value": value} for key, value in sorted(wanted.items())]


def _moment(at: float) -> dt.datetime:
    """IAM tells seconds and no more."""
    return dt.datetime.fromtimestamp(int(at), dt.UTC)
