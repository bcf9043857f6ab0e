"""Which pod of a node has which address. Frozen; kept on disk with the node's state, and gone with it.

An address that was freed is the last to be given again: whoever still speaks to the old pod should meet nobody rather
than another. Written before a pod is wired and after it is unwired, so that an address is never had by two.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import msgspec

from roadstead.agent.pods import cni
from roadstead.core import errors
from roadstead.core.files import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class PodAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One interface of one pod."""

    container: str
    device: str
    network: str
    """The name of the network configuration that asked for it."""
    address: str
    ports: tuple[cni.Port, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The container and its device, as CNI names an attachment."""
        return self.container, self.device


class PodAddresses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of one node."""

    entries: tuple[PodAddress, ...] = ()
    """The newest last."""
    freed: tuple[str, ...] = ()
    """Addresses that were in use and are not now, the longest free first."""

    def find(self, container: str, device: str) -> PodAddress | None:
        """None: that attachment has no address."""
        return next((entry for entry in self.entries if entry.key == (container, device)), None)


def free_address(addresses: PodAddresses, prefixes: tuple[str, ...], forbidden: frozenset[str]) -> str | None:
    """The address to give next: one that was never given, else the one that is free for the longest time."""
    taken = {entry.address for entry in addresses.entries} | forbidden
    known = taken | set(addresses.freed)
    never = next((address for address in _all(prefixes) if address not in known), None)
    if never is not None:
        return never
    possible = set(_all(prefixes)) - taken
    return next((address for address in addresses.freed if address in possible), None)


def with_entry(addresses: PodAddresses, entry: PodAddress) -> PodAddresses:
    """The addresses with that entry as its newest; an older one of the same pod and device goes."""
    others = tuple(each for each in addresses.entries if each.key != entry.key)
    return PodAddresses((*others, entry), tuple(address for address in addresses.freed if address != entry.address))


def without(addresses: PodAddresses, gone: Callable[[PodAddress], bool]) -> PodAddresses:
    """The addresses without these entries; their addresses are the last to be given again."""
    leaving = [entry.address for entry in addresses.entries if gone(entry)]
    if not leaving:
        return addresses
    stayed = tuple(entry for entry in addresses.entries if not gone(entry))
    return PodAddresses(stayed, (*(address for address in addresses.freed if address not in leaving), *leaving))


def load(path: Path) -> PodAddresses:
    """What is on disk; an empty one when there is no file. Raises Failed for a file that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PodAddresses)
    except FileNotFoundError:
        return PodAddresses()
    except msgspec.DecodeError as error:
        raise errors.Failed(
            f"{path} cannot be read: {error}; delete the node, or its pods and then the file", path=path
        ) from error


def save(path: Path, addresses: PodAddresses) -> None:
    """Write the file whole or not at all.

    Not forced to the disk: it must outlive the agent, while no pod outlives the machine. Raises NotFound when the
    node's state is gone.
    """
    try:
        atomic.write(path, msgspec.json.encode(addresses), 0o600, durable=False)
    except FileNotFoundError as error:
        raise errors.NotFound(f"{path.parent} is gone: the node is being removed", path=path) from error


def _all(prefixes: tuple[str, ...]) -> Iterator[str]:
    """Every address of the prefixes: nothing here broadcasts, so the first and the last are like the others."""
    for prefix in prefixes:
        yield from map(str, ipaddress.IPv4Network(prefix))
