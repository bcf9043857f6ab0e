"""The numbers that must not collide on a machine, allotted once and kept on disk.

Each network has a /31 of 198.18.0.0/16 (RFC 2544: for benchmarks, so nobody's real network) between its router and
the machine, and each published port a port on the router's end of it. Two instances on one machine know nothing of
each other: each begins at a place of its own and steps over what it sees in the machine's namespace.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING

import msgspec

from roadstead.core import addresses, errors
from roadstead.core.files import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RANGE = ipaddress.IPv4Network(addresses.UPLINKS)
_PAIRS = RANGE.num_addresses // 2
_INSTANCE_STRIDE = 64
_FIRST_PORT = 20000
_LAST_PORT = 60000


class NumberAllocations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is allotted: the number of each network's /31, and the port of each publish."""

    networks: dict[str, int] = {}
    ports: dict[str, int] = {}


def machine_address(number: int) -> str:
    """The machine's end of the /31 of that number."""
    return str(RANGE[2 * number])


def router_address(number: int) -> str:
    """The router's end of the /31 of that number."""
    return str(RANGE[2 * number + 1])


def with_network(held: NumberAllocations, instance_id: str, network: str, foreign: Iterable[str]) -> NumberAllocations:
    """The allotments with one for the network, outside of the foreign CIDRs. Raises LimitExceeded."""
    if network in held.networks:
        return held
    used = set(held.networks.values())
    for cidr in (ipaddress.IPv4Network(cidr, strict=False) for cidr in foreign):
        # Who has a route for the range itself is not asking for each of its addresses.
        if cidr.subnet_of(RANGE) and cidr != RANGE:
            used.update(range(_number(cidr.network_address), _number(cidr.broadcast_address) + 1))
    begin = int.from_bytes(hashlib.sha256(instance_id.encode()).digest()[:4]) * _INSTANCE_STRIDE
    for step in range(_PAIRS):
        number = (begin + step) % _PAIRS
        if number not in used:
            return msgspec.structs.replace(held, networks={**held.networks, network: number})
    raise errors.LimitExceeded(f"network {network}: no /31 of {RANGE} is free on this machine", network=network)


def without_network(held: NumberAllocations, network: str) -> NumberAllocations:
    """The numbers of what is left: the network's may be given again."""
    return msgspec.structs.replace(
        held, networks={name: number for name, number in held.networks.items() if name != network}
    )


def with_publishes(held: NumberAllocations, publishes: Iterable[str]) -> NumberAllocations:
    """The allotments with a port for each of these publishes and no other. Raises LimitExceeded."""
    ports = {name: held.ports[name] for name in publishes if name in held.ports}
    used = set(ports.values())
    free = (port for port in range(_FIRST_PORT, _LAST_PORT) if port not in used)
    for name in publishes:
        if name not in ports:
            port = next(free, None)
            if port is None:
                raise errors.LimitExceeded(f"publish {name}: {len(ports)} ports are published already", publish=name)
            ports[name] = port
    return held if ports == held.ports else msgspec.structs.replace(held, ports=ports)


def load(path: Path) -> NumberAllocations:
    """What is on disk; nothing allotted when there is no file. Raises Failed for a file that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=NumberAllocations)
    except FileNotFoundError:
        return NumberAllocations()
    except msgspec.DecodeError as error:
        raise errors.Failed(
            f"{path} cannot be read: {error}; remove it, and every network gets a new uplink", path=path
        ) from error


def save(path: Path, held: NumberAllocations) -> None:
    """Write the file whole or not at all, and only return when it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, msgspec.json.encode(held), 0o600)


def _number(address: ipaddress.IPv4Address) -> int:
    """The number of the /31 with that address."""
    return (int(address) - int(RANGE.network_address)) // 2
