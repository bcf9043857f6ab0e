"""What of the machine itself may be asked for by others than root: routes, ports and sockets. Pure.

What is asked of hosts and their networks stays in namespaces of theirs. Four wishes are about the machine's own: a
network that the machine's users enter is a route of the machine's; a publish takes a port of an address of the
machine's, also from programs that run there; a listener of the machine is a socket on it; and both name users. Each of
these kinds has a check by these bounds. What stays as it is was asked for before, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roadstead.contract.messages import bounds


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Root's settings."""

    users: frozenset[int] = frozenset()
    """Who may enter networks."""
    passed: frozenset[int] = frozenset()
    """To whom sockets may be passed."""
    networks: tuple[str, ...] = bounds.networks(bounds.NETWORKS)
    """CIDRs in which networks are that users of the machine enter."""
    addresses: frozenset[str] = frozenset({"127.0.0.1"})
    """Of the machine, on which ports may be published."""
    ports: range = bounds.ports(bounds.PORTS)
    """Which of theirs."""
    listeners: frozenset[int] = frozenset()
    """Ports of the machine on which sockets may be opened."""


def strangers(what: str, users: Iterable[int], allowed: frozenset[int]) -> Iterator[str]:
    """Why these users are not whom something is for, in sentences."""
    known = ", ".join(map(str, sorted(allowed))) or "nobody"
    for user in users:
        if user not in allowed:
            yield f"{what}: user id {user} is not whom this is for, which is {known}"
