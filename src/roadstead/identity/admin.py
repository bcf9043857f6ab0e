"""The administrator's first access key, where root finds it: `admin.json` in the state of `serve`.

`serve` has no rights in anybody's home. It leaves here, 0600, what a caller needs, and `roadstead start`, which is
root, writes the profile of the person who called. The folder belongs to the user of `serve`, so root takes nothing
from it but a small plain file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from roadstead.core import errors
from roadstead.core.files import atomic, left
from roadstead.identity import profile

FILE = "admin.json"
_LARGEST = 1 << 17

# `\Z`, as `$` lets a newline pass. What stands here goes on into files of the person who called.
_Account = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{12}\Z")]
_AccessKey = Annotated[str, msgspec.Meta(pattern=r"\A[A-Z0-9]{16,128}\Z")]
_Secret = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9/+=]{16,128}\Z")]
_Endpoint = Annotated[
    str, msgspec.Meta(pattern=r"\Ahttps?://([0-9.]{7,15}|\[[0-9A-Za-z:.%_-]{2,60}\]):[0-9]{1,5}\Z", max_length=90)
]
_Region = Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{2}(-[a-z]{1,12}){1,3}-[0-9]{1,2}\Z")]
_Certificates = Annotated[
    str, msgspec.Meta(pattern=r"\A-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/= \n-]*\Z", max_length=1 << 16)
]


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """Who the administrator is and where to call. `ca`: PEM of the certificates to trust, None for plain HTTP."""

    account: _Account
    access_key: _AccessKey
    secret: _Secret | None
    """None when somebody has deleted that access key."""
    endpoint: _Endpoint
    region: _Region
    ca: _Certificates | None = None

    def __repr__(self) -> str:
        return f"Admin(account={self.account!r}, access_key={self.access_key!r}, endpoint={self.endpoint!r})"

    def at(self, endpoint: str, region: str) -> Admin:
        """The same, asked where root has started it, and not where its file leads to."""
        return msgspec.structs.replace(self, endpoint=endpoint, region=region)

    def profile(self, ca_bundle: str | None) -> profile.Profile | None:
        """The profile of a caller on this machine; None without a secret. `ca_bundle`: where `ca` was written."""
        if self.secret is None:
            return None
        return profile.Profile(self.endpoint, self.region, self.access_key, self.secret, ca_bundle)


def write(state: Path, admin: Admin) -> None:
    """Leave it in the folder of the store, in one step."""
    atomic.write(state / FILE, msgspec.json.format(msgspec.json.encode(admin)) + b"\n", 0o600)


def read(state: Path) -> Admin:
    """Raises NotFound when `serve` has not left it yet, Failed for what it cannot have written."""
    try:
        return left.decode(state / FILE, _LARGEST, Admin)
    except errors.NotFound as error:
        raise errors.NotFound(f"{error}: serve has not been up yet", **error.facts) from error
    except errors.Failed as error:
        raise errors.Failed(f"{error}: restart serve, which writes it anew", **error.facts) from error
