"""What of the machine itself may be asked for by others than root: routes, ports and sockets. Pure.

What is asked of hosts and their networks stays in namespaces of theirs. Four wishes are about the machine's own: a
network that the machine's users enter is a route of the machine's; a publish takes a port of an address of the
machine's, also from programs that run there; a listener of the machine is a socket on it; and both name users.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roadstead.agent.records import desired as store
from roadstead.contract.messages import bounds, desired
from roadstead.core import addresses


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


def check(allowed: Bounds, changed: Iterable[store.DesiredRecord]) -> Iterator[str]:
    """Why these may not be asked for, in sentences. What stays as it is was asked for before, and is left alone."""
    for record in changed:
        if record.deleting:
            continue
        match record.spec:
            case desired.Network() as network:
                yield from _network(record.id, network, allowed)
            case desired.Publish() as publish:
                yield from _publish(record.id, publish, allowed)
            case desired.Listener() as listener:
                yield from _listener(record.id, listener, allowed)
            case _:
                pass


def _network(id: str, network: desired.Network, allowed: Bounds) -> Iterator[str]:
    if not network.machine_users:
        return
    for cidr in network.cidrs:
        if not addresses.within(cidr, allowed.networks):
            ranges = ", ".join(allowed.networks) or "none"
            yield f"network {id}: the machine has routes to {ranges} alone, not to {cidr} (machine-networks)"
    yield from _users(f"network {id}", network.machine_users, allowed.users)


def _publish(id: str, publish: desired.Publish, allowed: Bounds) -> Iterator[str]:
    if publish.address not in allowed.addresses:
        known = ", ".join(sorted(allowed.addresses))
        yield f"publish {id}: ports are published on {known} alone, not on {publish.address} (advertise-address)"
    if publish.port not in allowed.ports:
        first, last = allowed.ports[0], allowed.ports[-1]
        yield f"publish {id}: ports from {first} to {last} are published, not {publish.port} (endpoint-ports)"


def _listener(id: str, listener: desired.Listener, allowed: Bounds) -> Iterator[str]:
    if listener.namespace == "machine" and listener.port not in allowed.listeners:
        known = ", ".join(map(str, sorted(allowed.listeners))) or "none"
        yield f"listener {id}: sockets of the machine are opened on ports {known}, not {listener.port} (machine-ports)"
    yield from _users(f"listener {id}", (listener.user,), allowed.passed)


def _users(what: str, users: Iterable[int], allowed: frozenset[int]) -> Iterator[str]:
    known = ", ".join(map(str, sorted(allowed))) or "nobody"
    for user in users:
        if user not in allowed:
            yield f"{what}: user id {user} is not whom this is for, which is {known}"
