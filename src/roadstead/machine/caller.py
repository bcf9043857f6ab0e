"""Whose command this is, and for which Roadstead: root may act for a person, whose home and files stay theirs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from roadstead.contract import programs

instance_option = click.option(
    "--instance",
    "instance_id",
    default="main",
    envvar="ROADSTEAD_INSTANCE",
    show_default=True,
    help="Which Roadstead on this machine.",
)
"""Of every command that asks one of several on a machine."""


@dataclass(frozen=True)
class CallingUser:
    """The person who gave the command. Files written for them (kubeconfig, AWS profile) are given to `uid:gid`."""

    uid: int
    gid: int
    home: Path


def caller(environment: Mapping[str, str], passwd: Mapping[int, pwd.struct_passwd] | None = None) -> CallingUser:
    """From what the launcher told when it went through sudo, else what sudo itself told, else this process's user.

    Only root is told on whose behalf: to anyone else these words are just environment.
    """
    entries = passwd if passwd is not None else {entry.pw_uid: entry for entry in pwd.getpwall()}
    own = os.geteuid()
    if own == 0:
        for uid, gid, home in (
            programs.CALLER,
            programs.SUDO_CALLER,
        ):
            told_uid, told_gid = environment.get(uid, ""), environment.get(gid, "")
            if told_uid.isdecimal() and told_gid.isdecimal():
                return _of(int(told_uid), int(told_gid), environment.get(home), entries)
    return _of(own, os.getegid(), environment.get("HOME"), entries)


def _of(uid: int, gid: int, home: str | None, entries: Mapping[int, pwd.struct_passwd]) -> CallingUser:
    if home and Path(home).is_absolute():
        return CallingUser(uid, gid, Path(home))
    return CallingUser(uid, gid, Path(entries[uid].pw_dir if uid in entries else "/"))
