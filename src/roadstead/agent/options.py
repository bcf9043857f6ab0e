"""What the agent is told by its command line: root's words, which nobody who calls it can change."""

from __future__ import annotations

import argparse
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roadstead.agent.ceilings import plan as ceilings
from roadstead.agent.kinds import bounds
from roadstead.contract.messages import bounds as ranges

NodeUsers = Literal["own", "machine"]


@dataclass(frozen=True)
class Users:
    """Who else than root has to do with the agent; None: nobody."""

    caller: int | None = None
    """May call."""
    listener: int | None = None
    """Sockets are passed to it."""


@dataclass(frozen=True)
class Given:
    """What root has said of those who ask, and of engines."""

    users: Users
    bounds: bounds.Bounds
    engines: Path | None
    """The cache whose manifests are believed where they are of these `owners`."""
    owners: frozenset[int]
    kept: ceilings.Kept
    """What hosts leave to the machine."""
    node_users: NodeUsers


def read(arguments: list[str] | None) -> argparse.Namespace:
    """The command line. Exits with a message for one that is not understood."""
    parser = argparse.ArgumentParser(prog="roadstead-agent", description="The agent of one Roadstead instance.")
    parser.add_argument("--instance", default="main")
    parser.add_argument("--machine-netns", type=Path, help="stands for the machine's own network namespace")
    parser.add_argument("--owner-pid", type=int, help="purge the instance when this process dies")
    parser.add_argument("--allow-uid", type=int, help="the user that may call, besides root")
    parser.add_argument("--listener-uid", type=int, help="the user to whom sockets are passed")
    parser.add_argument("--machine-networks", type=ranges.networks, default=ranges.NETWORKS, metavar="CIDR,...")
    parser.add_argument("--publish-address", default="127.0.0.1", help="where ports are published, beside 127.0.0.1")
    parser.add_argument("--endpoint-ports", type=ranges.ports, default=ranges.PORTS, metavar="FIRST-LAST")
    parser.add_argument("--machine-ports", type=ranges.numbers, default=ranges.NONE, metavar="PORT,...")
    parser.add_argument("--engines", type=Path, help="the cache whose manifests say what files engines may have")
    parser.add_argument("--engines-user", help="who, besides root, writes them")
    for what, meaning in ceilings.KEPT.items():
        parser.add_argument(f"--keep-{what}", type=int, help=f"{meaning} that hosts leave to the machine")
    parser.add_argument("--node-users", default="own", choices=["own", "machine"], help="whose users new nodes have")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args(arguments)


def given(options: argparse.Namespace) -> Given:
    """What the command line says, as the agent needs it."""
    users = Users(options.allow_uid, options.listener_uid)
    # Without that user root's manifests alone are believed.
    owners = {entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == options.engines_user}
    allowed = bounds.Bounds(
        users=frozenset(uid for uid in (users.caller,) if uid is not None),
        passed=frozenset(uid for uid in (users.listener,) if uid is not None),
        networks=options.machine_networks,
        addresses=frozenset({"127.0.0.1", options.publish_address}),
        ports=options.endpoint_ports,
        listeners=options.machine_ports,
    )
    kept = ceilings.Kept(options.keep_memory, options.keep_processes, options.keep_disk)
    return Given(users, allowed, options.engines, frozenset({0, *owners}), kept, options.node_users)
