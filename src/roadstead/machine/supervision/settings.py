"""What an instance was started with: `settings.json` in its state, root's own, for everyone to read.

A later `roadstead start` without flags keeps what stands here, and so does a boot.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from roadstead.contract import programs
from roadstead.contract.messages import bounds
from roadstead.core import errors, instance
from roadstead.core.files import atomic

LOOPBACK = "127.0.0.1"

_FORMS: Mapping[str, Callable[[str], object]] = {
    "endpoint_ports": bounds.ports,
    "machine_networks": bounds.networks,
    "machine_ports": bounds.numbers,
}


class TreeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an instance is reached. Addresses are IPv4 or IPv6 without brackets."""

    address: str = "127.0.0.1"
    """Where the AWS APIs listen; other than loopback speaks TLS."""
    port: int = programs.PORT
    advertise_address: str | None = None
    """Where clusters' endpoints are reached; None: at LOOPBACK."""
    registries: str | None = None
    """The name of a file beside this one; None: nodes get images straight from registries."""
    region: str = programs.REGION
    """Of the AWS profile."""
    endpoint_ports: str = bounds.PORTS
    """Ports of the machine at which clusters are reached, FIRST-LAST."""
    machine_networks: str = bounds.NETWORKS
    """CIDRs of which the machine may be given routes, with commas."""
    machine_ports: str = bounds.NONE
    """Ports of the machine on which the agent may open sockets for the services, with commas."""
    keep_memory: int | None = None
    keep_processes: int | None = None
    keep_disk: int | None = None
    """What hosts leave to the machine: MiB, processes, MiB. None: the agent's usual share."""
    node_users: Literal["own", "machine"] = "own"
    """Whether nodes that are made have users of their own where the machine can, or the machine's."""
    machine_netns: str | None = None
    """Stands for the machine's network namespace."""

    @property
    def advertised(self) -> str:
        """Where clusters' endpoints are reached, one way or the other."""
        return self.advertise_address or LOOPBACK

    @property
    def endpoint(self) -> str:
        """The URL for callers on this machine, as `serve` tells it."""
        where = ipaddress.ip_address(self.address)
        host = self.address
        if where.is_unspecified:
            host = "127.0.0.1" if where.version == 4 else "::1"
        return f"{'http' if where.is_loopback else 'https'}://{f'[{host}]' if ':' in host else host}:{self.port}"


def merged(kept: TreeSettings, **asked: str | int | None) -> TreeSettings:
    """What was kept, with what is asked for in its place; None is not asked. Raises Invalid."""
    wanted = msgspec.structs.replace(kept, **{name: value for name, value in asked.items() if value is not None})
    for flag, address in (("--address", wanted.address), ("--advertise-address", wanted.advertise_address)):
        try:
            ipaddress.ip_address(address or "127.0.0.1")
        except ValueError as error:
            raise errors.Invalid(f"{flag} {address}: an IP address is wanted, such as 127.0.0.1") from error
    for name, form in _FORMS.items():
        try:
            form(getattr(wanted, name))
        except ValueError as error:
            raise errors.Invalid(f"--{name.replace('_', '-')} {error}") from error
    endpoints = ipaddress.ip_address(wanted.advertised)
    if endpoints.version != 4 or endpoints.is_unspecified or endpoints.is_multicast:
        raise errors.Invalid(
            f"--advertise-address {endpoints}: one IPv4 address of this machine is wanted, by which users reach it"
        )
    return wanted


def read(places: instance.Instance) -> TreeSettings:
    """The settings of an instance; the usual ones when it has none. Raises Failed for a damaged file."""
    path = places.state / programs.SETTINGS
    try:
        return msgspec.json.decode(path.read_bytes(), type=TreeSettings)
    except FileNotFoundError:
        return TreeSettings()
    except msgspec.DecodeError as error:
        raise errors.Failed(
            f"{path} is damaged ({error}): mend it, or remove it and give `roadstead start` its flags again", file=path
        ) from error


def write(places: instance.Instance, wanted: TreeSettings | None) -> None:
    """Keep these settings; None: forget them."""
    path = places.state / programs.SETTINGS
    if wanted is None:
        path.unlink(missing_ok=True)
        return
    instance.make_state(places)
    atomic.write(path, msgspec.json.format(msgspec.json.encode(wanted)) + b"\n", 0o644)


def exist(places: instance.Instance) -> bool:
    """Whether the instance was ever started."""
    return (places.state / programs.SETTINGS).exists()


def instance_of(instance_id: str) -> tuple[instance.Instance, TreeSettings]:
    """An instance as it was started, by its id. Raises Invalid for an id of another form."""
    kept = read(instance.Instance.named(instance_id))
    netns = None if kept.machine_netns is None else Path(kept.machine_netns)
    return instance.Instance.named(instance_id, netns), kept
