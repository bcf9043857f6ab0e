"""Whose command this is: root may act for a person, whose home and files stay theirs."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from roadstead.contract import programs


@dataclass(frozen=True)
class FileOwner:
    """Whose files are written, and where their home is."""

    uid: int
    gid: int
    home: Path
    told: bool = False
    """Root acts for them."""


def owner(environment: Mapping[str, str]) -> FileOwner:
    """From what the launcher told when it went through sudo, else what sudo told, else this process's user.

    Only root is told on whose behalf: to anyone else these words are just environment.
    """
    if os.geteuid() == 0:
        for uid, gid, home in (
            programs.CALLER,
            programs.SUDO_CALLER,
        ):
            told_uid, told_gid = environment.get(uid, ""), environment.get(gid, "")
            if told_uid.isdecimal() and told_gid.isdecimal():
                return FileOwner(int(told_uid), int(told_gid), _home(environment.get(home), int(told_uid)), told=True)
    return FileOwner(os.geteuid(), os.getegid(), _home(environment.get("HOME"), os.geteuid()))


def _home(told: str | None, uid: int) -> Path:
    if told and Path(told).is_absolute():
        return Path(told)
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return Path("/")


@contextlib.contextmanager
def acting(for_whom: FileOwner) -> Iterator[None]:
    """What is done inside is done as them: what they may not write is not written, and what is made is theirs."""
    if not for_whom.told or for_whom.uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    os.setgroups([for_whom.gid])
    os.setegid(for_whom.gid)
    os.seteuid(for_whom.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
