"""The AWS profile of the person who called, from what serve left for root."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.contract import programs
from roadstead.core import errors
from roadstead.identity import admin as admins
from roadstead.identity import homes, profile
from roadstead.machine import caller


@dataclass(frozen=True)
class WrittenProfile:
    """What became of it, as a human reads it. `warning`: it could not be, and why."""

    text: str
    warning: bool = False


def write(who: caller.CallingUser, admin: admins.Admin) -> WrittenProfile:
    """Set the profile `roadstead` in a person's home; other profiles stay as they are.

    A home that cannot be written to is a warning: the services run all the same.
    """
    owner = homes.Owner(who.home, who.uid, who.gid)
    if admin.secret is None:
        return WrittenProfile(
            "no AWS profile is written: the administrator's first access key was deleted", warning=True
        )
    try:
        bundle = None if admin.ca is None else str(homes.place(owner, programs.CA, admin.ca))
        wanted = admin.profile(bundle)
        assert wanted is not None
        changed = homes.write(owner, wanted)
    except (errors.Error, OSError) as error:
        return WrittenProfile(f"the AWS profile was not written: {error}", warning=True)
    return WrittenProfile(
        f"{profile.NAME} in {who.home / homes.FOLDER} {'was written' if changed else 'is as it should be'}"
    )
