"""An access entry as it is wanted, and what may be in one.

Source of the rules: EKS user guide, "Create access entries"; EKS API Reference, CreateAccessEntry. An entry belongs to
the principal that had the ARN when it was made: one of the same name that is made later does not inherit it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roadstead.clusters.access import policies
from roadstead.contract import kubernetes
from roadstead.core import errors
from roadstead.store import facts, keys, kinds

KIND = "access-entry"
STANDARD = "STANDARD"
TYPES = (STANDARD, "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX")
_LONGEST = 1024
"""Characters of a name."""
_MOST_GROUPS = 100
_PRINCIPAL = re.compile(
    r"arn:aws:iam::(?P<account>\d{12}):(?P<what>root|(?:user|role)/(?:[!-~]+/)?(?P<name>[\w+=,.@-]{1,64}))"
)
_ARN = re.compile(r"arn:aws:eks:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):access-entry/(?P<cluster>[^/]+)/.+")


@dataclass(frozen=True, kw_only=True)
class Associated:
    """An access policy that a principal has on the whole cluster. Times: seconds since 1970."""

    policy: str
    """Its name."""
    associated_at: float
    modified_at: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The desired state of an access entry. Times: seconds since 1970."""

    principal: str
    """The ARN."""
    principal_id: str
    """AIDA..., AROA..., or the account of a root."""
    username: str
    groups: tuple[str, ...] = ()
    type: str = STANDARD
    policies: tuple[Associated, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: float
    modified_at: float


@dataclass(frozen=True)
class Principal:
    """What an ARN names: `kind` is root, user or role."""

    account: str
    kind: str
    name: str


class EntryArn:
    """`arn:aws:eks:REGION:ACCOUNT:access-entry/CLUSTER/user/ACCOUNT/NAME/ID`: the principal's path is not in it."""

    def of(self, desired: facts.Desired) -> str:
        return f"{self.shared(desired.key)}/{kinds.own_id(desired)}"

    def shared(self, key: keys.Key) -> str:
        cluster, of = key.names
        named = principal(of)
        who = "/".join(part for part in (named.kind, named.account, named.name) if part)
        return f"arn:aws:eks:{key.region}:{key.account}:access-entry/{cluster}/{who}"

    def place(self, arn: str) -> keys.Prefix | None:
        found = _ARN.fullmatch(arn)
        return found and keys.Prefix(found["account"], found["region"], KIND, found["cluster"])


ENTRIES = kinds.Kind(KIND, Entry, service="eks", arn=EntryArn(), quota=200)
"""No more than go with their cluster in one transaction."""
key, below, read, written = ENTRIES.key, ENTRIES.below, ENTRIES.read, ENTRIES.written


def of_creator(arn: str, id: str, now: float) -> Entry:
    """The entry that a cluster begins with: who asked for it administers it."""
    admin = Associated(policy=policies.ADMIN, associated_at=now, modified_at=now)
    return Entry(
        principal=arn,
        principal_id=id,
        username=default_username(arn),
        policies=(admin,),
        created_at=now,
        modified_at=now,
    )


def principal(arn: str) -> Principal:
    """What an ARN names. Raises Invalid for what can have no entry: sessions, groups, anything that is not IAM's."""
    found = _PRINCIPAL.fullmatch(arn)
    if found is None:
        raise errors.Invalid(
            f"The principalArn {arn!r} is invalid: it must be the ARN of an IAM user or an IAM role, not of a session.",
            principalArn=arn,
        )
    return Principal(found["account"], found["what"].partition("/")[0], found["name"] or "")


def default_username(arn: str) -> str:
    """As EKS makes it: users are called by their ARNs, who takes a role by the session's."""
    found = principal(arn)
    if found.kind != "role":
        return arn
    return f"arn:aws:sts::{found.account}:assumed-role/{found.name}/{{{{SessionName}}}}"


def checked_username(username: str, of: Principal) -> str:
    """Raises Invalid."""
    for prefix in kubernetes.RESERVED:
        if username.lower().startswith(prefix):
            raise errors.Invalid(f"The username must not begin with {prefix}")
    if not username or len(username) > _LONGEST or not username.isprintable():
        raise errors.Invalid(f"The username must have 1 to {_LONGEST} characters that can be printed.")
    if "{{" in username and of.kind != "role":
        raise errors.Invalid("The username of a user cannot have parameters such as {{SessionName}}: roles' can.")
    return username


def checked_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """In their order, each once. Raises Invalid."""
    each = tuple(dict.fromkeys(groups))
    if len(each) > _MOST_GROUPS:
        raise errors.Invalid(f"{len(each)} kubernetes groups: an access entry has at most {_MOST_GROUPS}.")
    for name in each:
        for prefix in kubernetes.RESERVED:
            if name.lower().startswith(prefix):
                raise errors.Invalid(
                    f"The kubernetes group name {name} is invalid, it cannot start with {prefix}", group=name
                )
        if not name or len(name) > _LONGEST or not name.isprintable():
            raise errors.Invalid(
                f"The kubernetes group name {name!r} is invalid: 1 to {_LONGEST} printable characters."
            )
    return each
