"""The service folders of the root tree, as data. Pure.

s6's rules (https://skarnet.org/software/s6/servicedir.html): `run` is the program; with `notification-fd` s6 waits for
a newline on that descriptor before it calls the service ready; `log/run` reads what the service prints.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from roadstead.core import instance

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOTIFICATION_FD = 3
LOG_FILES = 10
LOG_FILE_BYTES = 1_000_000

File = tuple[str, int]
"""Content and mode."""


@dataclass(frozen=True)
class Service:
    """One process of the tree. Its environment is `environment` and a PATH, nothing of whoever started the tree."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """None: root."""
    notifies: bool = True
    """It writes a newline to the descriptor in ROADSTEAD_NOTIFY_FD when it is ready."""


def agent(places: instance.Instance, python: Path) -> Service:
    """The agent of an instance, run by the interpreter of an installed environment."""
    command = [str(python), "-m", "roadstead.agent.main", "--instance", places.id]
    if places.machine_netns is not None:
        command += ["--machine-netns", str(places.machine_netns)]
    return Service("agent", tuple(command))


def folder(places: instance.Instance) -> Path:
    """The scan folder of an instance's root tree."""
    return places.run / "tree"


def log_folder(places: instance.Instance, service: str) -> Path:
    return places.log / service


def files(services: Iterable[Service], places: instance.Instance) -> dict[PurePosixPath, File]:
    """Every file of the tree by its path below the scan folder."""
    made: dict[PurePosixPath, File] = {}
    for service in services:
        root = PurePosixPath(service.name)
        made[root / "run"] = (_run(service), 0o755)
        if service.notifies:
            made[root / "notification-fd"] = (f"{NOTIFICATION_FD}\n", 0o644)
        made[root / "log" / "run"] = (_log_run(service, log_folder(places, service.name)), 0o755)
    return made


def _run(service: Service) -> str:
    environment = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/", **service.environment}
    if service.notifies:
        environment["ROADSTEAD_NOTIFY_FD"] = str(NOTIFICATION_FD)
    words = ["env", "-i", *(f"{name}={value}" for name, value in sorted(environment.items())), *service.command]
    return f"#!/bin/sh\nexec 2>&1\ncd /\numask 022\nexec {_as_user(service)}{shlex.join(words)}\n"


def _log_run(service: Service, log: Path) -> str:
    words = ["s6-log", "-b", "--", f"n{LOG_FILES}", f"s{LOG_FILE_BYTES}", "T", str(log)]
    return f"#!/bin/sh\ncd /\nexec {_as_user(service)}{shlex.join(words)}\n"


def _as_user(service: Service) -> str:
    return "" if service.user is None else f"s6-setuidgid {shlex.quote(service.user)} "
