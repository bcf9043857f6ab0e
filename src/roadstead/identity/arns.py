"""ARNs of what IAM has: with the path that a user or a role has been given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from roadstead.store import facts, keys

_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):(?P<word>[a-z]+)/(?:[!-~]+/)?(?P<name>[\w+=,.@-]{1,64})")


class Named(Protocol):
    """What has a name and a path, `/` or `/teams/shop/`."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...


@dataclass(frozen=True)
class PathArn:
    """See store.kinds.Arn: `arn:aws:iam::ACCOUNT:WORD/PATH/NAME`. An ARN with another path names another."""

    word: str
    """`user`, `role`."""
    read: Callable[[bytes], Named]
    key: Callable[[str, str], keys.Key]
    """Of an account and a name."""

    def written(self, account: str, named: Named) -> str:
        """`named.path` begins and ends with `/`."""
        return f"arn:aws:iam::{account}:{self.word}{named.path}{named.name}"

    def of(self, desired: facts.Desired) -> str:
        return self.written(desired.key.account, self.read(desired.body))

    def shared(self, key: keys.Key) -> str:
        """Without the path, which those of one name need not share."""
        return f"arn:aws:iam::{key.account}:{self.word}/{key.names[0]}"

    def place(self, arn: str) -> keys.Key | None:
        found = _ARN.fullmatch(arn)
        return self.key(found["account"], found["name"]) if found and found["word"] == self.word else None
