"""The service folders of the root tree, as data. Pure.

s6's rules (https://skarnet.org/software/s6/servicedir.html): `run` is the program; with `notification-fd` s6 waits for
a newline on that descriptor before it calls the service ready; `log/run` reads what the service prints.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from roadstead.contract import programs
from roadstead.core import instance, program
from roadstead.machine.supervision import settings

CACHE = Path("/var/cache/roadstead")
"""The engines of the services, and what is built of them; of that user, for all to read."""
NOTIFICATION_FD = 3
PORTERS = ("porter", "porter-2")
"""Two, on the same sockets. The first is the one of earlier releases: what runs is followed, and its log goes on."""
NAMES = ("agent", "serve", *PORTERS, "supplier")
"""Of all services, as they are shown."""
_QUESTIONS = 8
"""That the supplier works on side by side; others wait."""
LOG_FILES = 10
LOG_FILE_BYTES = 1_000_000

File = tuple[str, int]
"""Content and mode."""


@dataclass(frozen=True)
class TreeService:
    """One process of the tree. Its environment is `environment` and a PATH, nothing of whoever started the tree."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """None: root."""
    netns: Path | None = None
    """The network namespace it runs in; None: that of the tree."""
    folders: tuple[tuple[Path, int], ...] = ()
    """Folders of `user`, and their modes; made before it is started."""
    rooms: tuple[tuple[Path, str], ...] = ()
    """Folders of `user` that those of a group may enter, too, and what is made there is that group's (2750)."""
    notifies: bool = True
    """It writes a newline to the descriptor in `program.NOTIFY` when it is ready."""
    stop: str = ""
    """The signal that ends it; empty: SIGTERM."""
    umask: int = 0o077


@dataclass(frozen=True)
class Ids:
    """The user ids of programs.USER and of programs.PORTER_USER."""

    serve: int
    porter: int


def services(places: instance.Instance, python: Path, kept: settings.TreeSettings, ids: Ids) -> tuple[TreeService, ...]:
    """All of an instance, in the order in which they are waited for.

    The second porter comes first: where there was only one, it answers before that one is restarted.
    """
    return (
        agent(places, python, ids, kept),
        serve(places, python, kept, ids),
        *(porter(places, python, name) for name in reversed(PORTERS)),
        supplier(places, python),
    )


def agent(
    places: instance.Instance,
    python: Path,
    ids: Ids | None = None,
    kept: settings.TreeSettings = settings.TreeSettings(),  # noqa: B008 - it is frozen
) -> TreeService:
    """The agent of an instance, run by the interpreter of an installed environment; who else than root may call it,
    and what of the machine those may ask for."""
    command = [str(python), "-m", "roadstead.agent.main", "--instance", places.id]
    if places.machine_netns is not None:
        command += ["--machine-netns", str(places.machine_netns)]
    if ids is not None:
        command += ["--allow-uid", str(ids.serve), "--listener-uid", str(ids.porter)]
    command += ["--engines", str(CACHE), "--engines-user", programs.ENGINES_USER]
    usual = settings.TreeSettings()
    for name in ("endpoint_ports", "machine_networks", "machine_ports"):
        if getattr(kept, name) != getattr(usual, name):
            command += [f"--{name.replace('_', '-')}", getattr(kept, name)]
    if kept.advertise_address is not None:
        command += ["--publish-address", kept.advertise_address]
    command += [word for flag, number in _left(kept) for word in (flag, str(number))]
    if kept.node_users != usual.node_users:
        command += ["--node-users", kept.node_users]
    return TreeService("agent", tuple(command))


def _left(kept: settings.TreeSettings) -> list[tuple[str, int]]:
    """What hosts leave to the machine, as the agent takes it: bytes, and processes."""
    asked = (
        ("--keep-memory", kept.keep_memory, 1 << 20),
        ("--keep-processes", kept.keep_processes, 1),
        ("--keep-disk", kept.keep_disk, 1 << 20),
    )
    return [(flag, number * unit) for flag, number, unit in asked if number is not None]


def serve(places: instance.Instance, python: Path, kept: settings.TreeSettings, ids: Ids) -> TreeService:
    """The AWS APIs and what works for them."""
    command = [
        *(str(python), "-m", "roadstead.serve.main", "--instance", places.id, "--state", str(serve_state(places))),
        *("--address", kept.address, "--port", str(kept.port), "--region", kept.region),
        *("--agent", str(places.socket), "--engines", str(CACHE), "--supplier", str(supply(places))),
        *("--sections", str(sections(places)), "--porter-uid", str(ids.porter)),
    ]
    if kept.advertise_address is not None:
        command += ["--advertise-address", kept.advertise_address]
    if kept.endpoint_ports != settings.TreeSettings().endpoint_ports:
        command += ["--endpoint-ports", kept.endpoint_ports]
    if kept.registries is not None:
        command += ["--registries", str(places.state / kept.registries)]
    return TreeService(
        "serve",
        tuple(command),
        {programs.CACHE: str(CACHE)},
        user=programs.USER,
        netns=places.machine_netns,
        folders=((serve_state(places), 0o700),),
        rooms=((sections(places), programs.PORTER_USER),),
    )


def porter(places: instance.Instance, python: Path, name: str) -> TreeService:
    """What answers running clusters, beside another one. It reads what serve wrote for it, and nothing else; its own is
    the folder in which the two ask each other whether they answer.
    """
    (peer,) = (other for other in PORTERS if other != name)
    words = (
        *("-m", "roadstead.porter.main", "--instance", places.id, "--sections", str(sections(places))),
        *("--health", str(health(places, name)), "--peer", str(health(places, peer))),
    )
    return TreeService(
        name,
        (str(python), *words),
        user=programs.PORTER_USER,
        netns=places.machine_netns,
        folders=((health(places, name).parent, 0o700),),
    )


def supplier(places: instance.Instance, python: Path) -> TreeService:
    """Who gets and builds engines for serve: a process for each question, none while nobody asks.

    Its home is the cache: what builds engines keeps its own caches there. SIGQUIT tells s6-ipcserverd to end what it
    has started, too (https://skarnet.org/software/s6/s6-ipcserverd.html). `-1` makes it say on its standard output that
    it listens; what answers has the connection there.
    """
    listens = ("s6-ipcserver", "-1", "-c", str(_QUESTIONS), "-a", "0666", "--", str(supply(places)))
    says_ready = ("sh", "-c", f'exec "$@" >&{NOTIFICATION_FD} {NOTIFICATION_FD}>&-', "sh")
    return TreeService(
        "supplier",
        (*says_ready, *listens, str(python), "-m", "roadstead.supplier", "--engines", str(CACHE)),
        {"HOME": str(CACHE)},
        user=programs.ENGINES_USER,
        netns=places.machine_netns,
        folders=((CACHE, 0o755),),
        rooms=((supply(places).parent, programs.USER),),
        stop="SIGQUIT",
        # Engines are for all to read.
        umask=0o022,
    )


def serve_state(places: instance.Instance) -> Path:
    """The store."""
    return places.state / "serve"


def sections(places: instance.Instance) -> Path:
    """The folder of what serve writes for porter, so that porter answers while serve is down."""
    return places.state / "porter"


def health(places: instance.Instance, porter: str) -> Path:
    """The socket at which a porter is asked by the other whether it answers."""
    return places.run / "porter" / f"{porter}.sock"


def supply(places: instance.Instance) -> Path:
    """The supplier's socket: for serve's group alone, by the folder that it is in."""
    return places.run / "supplier" / "socket"


def folder(places: instance.Instance) -> Path:
    """The scan folder of an instance's root tree."""
    return places.run / "tree"


def log_folder(places: instance.Instance, service: str) -> Path:
    """Of s6-log: `current` and older pieces."""
    return places.log / service


def files(services: Iterable[TreeService], places: instance.Instance) -> dict[PurePosixPath, File]:
    """Every file of the tree by its path below the scan folder."""
    made: dict[PurePosixPath, File] = {}
    for service in services:
        root = PurePosixPath(service.name)
        made[root / "run"] = (_run(service), 0o755)
        if service.notifies:
            made[root / "notification-fd"] = (f"{NOTIFICATION_FD}\n", 0o644)
        if service.stop:
            made[root / "down-signal"] = (f"{service.stop}\n", 0o644)
        made[root / "log" / "run"] = (_log_run(log_folder(places, service.name)), 0o755)
    return made


def _run(service: TreeService) -> str:
    environment = {"PATH": program.PATH, "LANG": "C.UTF-8", "HOME": "/", **service.environment}
    if service.notifies:
        environment[program.NOTIFY] = str(NOTIFICATION_FD)
    words = ["env", "-i", *(f"{name}={value}" for name, value in sorted(environment.items())), *service.command]
    begin = f"#!/bin/sh\nexec 2>&1\ncd /\numask {service.umask:03o}"
    return f"{begin}\nexec {_inside(service)}{_as_user(service)}{shlex.join(words)}\n"


def _log_run(log: Path) -> str:
    words = ["s6-log", "-b", "--", f"n{LOG_FILES}", f"s{LOG_FILE_BYTES}", "T", str(log)]
    # As root: what was said stays said, whoever takes the service over, and its readers are not led elsewhere.
    return f"#!/bin/sh\ncd /\numask 077\nexec {shlex.join(words)}\n"


def _inside(service: TreeService) -> str:
    """Before the user is changed: entering a namespace is root's."""
    return "" if service.netns is None else f"nsenter {shlex.quote(f'--net={service.netns}')} -- "


def _as_user(service: TreeService) -> str:
    return "" if service.user is None else f"s6-setuidgid {shlex.quote(service.user)} "
