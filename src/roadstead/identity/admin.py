"""The administrator's first access key, where root finds it: `admin.json` in the state of `serve`.

`serve` has no rights in anybody's home. It leaves here, 0600, what a caller needs, and `roadstead start`, which is
root, writes the profile of the person who called. The folder belongs to the user of `serve`, so root takes nothing
from it but a small plain file.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from roadstead.core import errors
from roadstead.identity import profile

FILE = "admin.json"
_LARGEST = 1 << 20


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """Who the administrator is and where to call. `ca`: PEM of the certificates to trust, None for plain HTTP."""

    account: str
    access_key: str
    secret: str | None
    """None when somebody has deleted that access key."""
    endpoint: str
    region: str
    ca: str | None = None

    def __repr__(self) -> str:
        return f"Admin(account={self.account!r}, access_key={self.access_key!r}, endpoint={self.endpoint!r})"

    def profile(self, ca_bundle: str | None) -> profile.Profile | None:
        """The profile of a caller on this machine; None without a secret. `ca_bundle`: where `ca` was written."""
        if self.secret is None:
            return None
        return profile.Profile(self.endpoint, self.region, self.access_key, self.secret, ca_bundle)


def write(state: Path, admin: Admin) -> None:
    """Leave it in the folder of the store, in one step."""
    fresh = state / f".{FILE}.new"
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as stream:  # noqa: PTH123
        stream.write(msgspec.json.format(msgspec.json.encode(admin)) + b"\n")
        stream.flush()
        os.fsync(file)
    fresh.rename(state / FILE)


def read(state: Path) -> Admin:
    """Raises NotFound when `serve` has not left it yet, Failed for what it cannot have written."""
    path = state / FILE
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise errors.NotFound(f"{path} is not there: serve has not been up yet", file=path) from error
    except OSError as error:
        raise errors.Failed(f"{path} cannot be read: {error.strerror}", file=path) from error
    with open(file, "rb") as stream:  # noqa: PTH123
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise errors.Failed(f"{path} is no small plain file", file=path)
        try:
            return msgspec.json.decode(stream.read(), type=Admin)
        except msgspec.DecodeError as error:
            raise errors.Failed(f"{path} is damaged: restart serve, which writes it anew", file=path) from error
