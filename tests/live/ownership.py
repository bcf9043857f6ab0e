"""Whose each path of an instance is, and with which mode: one table, and a walk that holds all of them against it.

A path that no row names is a finding, too. What a host writes to its own disk is the host's, and is not walked.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roadstead.contract import programs
from roadstead.contract.messages.sections import catalog
from roadstead.core import instance
from roadstead.machine import installation
from roadstead.machine.supervision import tree

ROOT, SERVE, PORTER, HOST = "root", programs.USER, programs.PORTER_USER, "a host's"
SUPPLIER = programs.ENGINES_USER
_DIGEST = "[0-9a-f]{64}"
_ID = "[a-z0-9.-]+"


@dataclass(frozen=True)
class Row:
    """`path`: a pattern of what is below the folder, whole. Folders of a pattern end with a slash."""

    path: str
    user: str
    group: str
    modes: tuple[int, ...]
    walked: bool = True
    """What is in it is looked at, too."""


def row(path: str, modes: int | tuple[int, ...], user: str = ROOT, group: str = "", *, walked: bool = True) -> Row:
    return Row(path, user, group or user, (modes,) if isinstance(modes, int) else modes, walked)


_PRIVATE = (0o600, 0o400, 0o700)

STATE = (
    row("", 0o711),
    row(r"desired\.db(-wal|-shm)?", 0o600),
    row(r"(instance|allotments|forwarding-before)\.json", 0o600),
    row(r"settings\.json", 0o644),
    row(r"registries-[0-9a-f]{16}\.json", 0o640, ROOT, SERVE),
    row("serve/", 0o700, SERVE),
    row("serve/.*/", 0o700, SERVE),
    # Archives of images are written as for anybody; their folder is serve's.
    row("serve/images/[^/]+", (0o600, 0o644), SERVE),
    row("serve/.*", 0o600, SERVE),
    row("porter/", 0o2750, SERVE, PORTER),
    *(
        row(rf"porter/(\.{one.name}\.json\.new|{one.name}\.json)", (0o640, 0o600), SERVE, PORTER)
        for one in catalog.SECTIONS
    ),
    row("blobs/", 0o700),
    row(f"blobs/({_DIGEST}|\\..*\\.new)", (0o600, 0o555)),
    # In every host, read-only; programs of others.
    row("engines/", 0o755),
    row("engines/[^/]+/", 0o755),
    row("engines/[^/]+/[^/]+", 0o555),
    row("stores/", 0o700, walked=False),
    row("hosts/", 0o700),
    row(f"hosts/{_ID}/", 0o700),
    row(f"hosts/{_ID}/(disk|root)/", 0o755, HOST, walked=False),
    row(f"hosts/{_ID}/lent/", 0o700),
    row(f"hosts/{_ID}/lent/.*", _PRIVATE),
    row(rf"hosts/{_ID}/(disk\.img|store|pods\.json)", 0o600),
    # runc gives it to who writes to it.
    row(rf"hosts/{_ID}/host\.log", 0o600, HOST, ROOT),
)
RUN = (
    row("", 0o711),
    row(r"agent\.(lock|pid)|tree\.lock", 0o600),
    row(r"agent\.sock", 0o660, ROOT, SERVE),
    row(r"listeners\.sock", 0o660, ROOT, PORTER),
    # The two porters ask each other there whether they answer.
    row("porter/", 0o700, PORTER),
    row(r"porter/porter(-2)?\.sock", 0o700, PORTER),
    row("supplier/", 0o2750, SUPPLIER, SERVE),
    # For whoever comes to its folder; the lock is the group's to read from the second start on.
    row(r"supplier/socket(\.lock)?", (0o666, 0o777, 0o600, 0o644, 0o640), SUPPLIER, SERVE),
    row("tree/", 0o700, walked=False),
    row("(netns|stores)/", 0o700, walked=False),
    row("runc/", (0o700, 0o711), walked=False),
    # What nodes are shown, each behind a folder of its own; empty once a node has it.
    row("shown/", 0o711, walked=False),
    row("shapes/", 0o700),
    row("shapes/.*/", 0o755),
    row("shapes/.*", 0o644),
    row("hosts/", 0o700),
    row(f"hosts/{_ID}/", 0o700),
    # Behind that folder is what the host's own user has to see, by mounts, and what runc writes.
    row(f"hosts/{_ID}/(bundle|service|files|pods)/", (0o755, 0o700), walked=False),
    row(f"hosts/{_ID}/[^/]+", (0o600, 0o644)),
)
LOG = (
    row("", 0o700),
    row(r"tree\.log", 0o600),
    row("(agent|serve|porter|porter-2|supplier)/", 0o700),
    row("(agent|serve|porter|porter-2|supplier)/.*", (0o600, 0o700)),
    row("hosts/", (0o700, 0o755)),
    row(f"hosts/{_ID}/", 0o755, HOST, walked=False),
)
PROGRAMS = (
    row("", 0o755),
    row(r"\.lock", 0o600),
    # Everybody may read the code that services run, root alone may change it.
    row("[0-9a-f]{16}/", 0o755),
    row("[0-9a-f]{16}/.*/", 0o755),
    row("[0-9a-f]{16}/.*", (0o644, 0o755)),
)
CACHE = (
    row("", 0o755, SUPPLIER),
    row("locks/", 0o700, SUPPLIER),
    row(r"locks/.*|incoming\.lock", 0o600, SUPPLIER),
    row("engines/", 0o755, SUPPLIER),
    row("engines/([^/]+/){1,4}", 0o755, SUPPLIER),
    row("engines/([^/]+/){4}manifest.json", 0o644, SUPPLIER),
    row("engines/([^/]+/){4}[^/]+", 0o555, SUPPLIER),
    row("(work|incoming|[a-z.-]+)/", (0o700, 0o755), SUPPLIER, walked=False),
)


def wrong(places: instance.Instance) -> list[str]:
    """Everything of an instance, and of what all have, that is not as the table says."""
    tables = ((places.state, STATE), (places.run, RUN), (places.log, LOG), (installation.ROOT, PROGRAMS))
    found = [line for top, rows in (*tables, (tree.CACHE, CACHE)) if top.exists() for line in _walk(top, rows)]
    for above in (instance.STATE_ROOT, instance.RUN_ROOT, instance.LOG_ROOT):
        found += _differences(above, above.lstat(), row("", 0o711))
    return found


def _walk(top: Path, rows: tuple[Row, ...]) -> Iterator[str]:
    waiting = [top]
    while waiting:
        path = waiting.pop()
        try:
            facts = path.lstat()
        except FileNotFoundError:
            # It was there a moment ago: nothing stands still.
            continue
        if stat.S_ISLNK(facts.st_mode):
            # A link has no mode; what it leads to is looked at where it is.
            continue
        folder = stat.S_ISDIR(facts.st_mode)
        name = "" if path == top else f"{path.relative_to(top)}{'/' if folder else ''}"
        known = next((each for each in rows if re.fullmatch(each.path, name)), None)
        if known is None:
            yield f"{path}: no row of the table names it"
            continue
        yield from _differences(path, facts, known)
        if folder and known.walked:
            waiting += path.iterdir()


def _differences(path: Path, facts: os.stat_result, known: Row) -> Iterator[str]:
    mode = stat.S_IMODE(facts.st_mode)
    if mode not in known.modes:
        yield f"{path}: mode {mode:o} instead of {' or '.join(f'{each:o}' for each in known.modes)}"
    for what, name, id in (("user", known.user, facts.st_uid), ("group", known.group, facts.st_gid)):
        # Each unprivileged host has a number of its own, nodes are root's.
        right = id == 0 or id >= 1_900_000_000 if name == HOST else id == _number(what, name)
        if not right:
            yield f"{path}: {what} {id} instead of {name}"


def _number(what: str, name: str) -> int:
    return pwd.getpwnam(name).pw_uid if what == "user" else grp.getgrnam(name).gr_gid
