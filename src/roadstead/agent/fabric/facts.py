"""From a topology and its allotments to the facts that rules are made of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadstead.agent.links import numbers, resources, wiring
from roadstead.agent.links import topology as topologies
from roadstead.agent.rules import text
from roadstead.core import addresses
from roadstead.core import instance as instances

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OF_GUESTS = ("veth", "tun")
"""By what containers and virtual machines are joined to a bridge. One with another port is a way outside."""


def uplink(instance: instances.Instance, network: str, held: numbers.NumberAllocations) -> wiring.Uplink:
    """A network's uplink, which must be allotted."""
    number = held.networks[network]
    return wiring.Uplink(
        network,
        wiring.uplink_device(instance, network),
        numbers.machine_address(number),
        numbers.router_address(number),
    )


def router(
    instance: instances.Instance, id: str, topology: topologies.Topology, held: numbers.NumberAllocations
) -> text.Router:
    """The facts of a network's router; publishes without a port yet are left out."""
    network = topology.networks[id]
    own = uplink(instance, id, held)
    return text.Router(
        uplink=wiring.UPLINK,
        router_address=own.router_address,
        machine_address=own.machine_address,
        egress=network.egress,
        entered=bool(network.machine_users),
        ports=tuple(
            text.RouterPort(held.ports[name], publish.target, publish.target_port)
            for name, publish in sorted(topology.publishes.items())
            if publish.network == id and name in held.ports
        ),
        services=network.services,
        black=_black(instance, id, topology),
    )


def machine(
    instance: instances.Instance,
    topology: topologies.Topology,
    held: numbers.NumberAllocations,
    view: resources.View,
    *,
    closed: bool,
) -> text.Machine:
    """The facts of the machine's namespace, which is as in `view`: of the networks that have an uplink."""
    uplinks = {id: uplink(instance, id, held) for id in sorted(topology.networks) if id in held.networks}
    return text.Machine(
        uplinks=tuple(
            text.Uplink(
                own.machine_device,
                own.router_address,
                topology.networks[id].cidrs,
                topology.networks[id].machine_users,
            )
            for id, own in uplinks.items()
        ),
        ports=tuple(
            text.MachinePort(publish.address, publish.port, uplinks[publish.network].router_address, held.ports[name])
            for name, publish in sorted(topology.publishes.items())
            if publish.network in uplinks and name in held.ports
        ),
        closed=closed,
        guests=_guests(view.links) if closed else (),
        elsewhere=_elsewhere(view.addresses),
    )


def _guests(links: Mapping[str, resources.SeenLink]) -> tuple[str, ...]:
    bridges = {link.index: link.name for link in links.values() if link.kind == "bridge"}
    outside = {link.master for link in links.values() if link.kind not in _OF_GUESTS}
    return _sayable(name for index, name in bridges.items() if index not in outside)


def _elsewhere(held: frozenset[resources.Address]) -> tuple[str, ...]:
    return _sayable(
        {
            address.device
            for address in held
            if not address.device.startswith(instances.LINKS)
            and addresses.contains(addresses.INTERNAL, address.cidr.partition("/")[0])
        }
    )


def _sayable(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(filter(text.is_name, names)))


def _black(instance: instances.Instance, network: str, topology: topologies.Topology) -> frozenset[str]:
    """The links in a network that carry nothing: those of hosts in black zones."""
    zones = {id for id, zone in topology.zones.items() if zone.state == "black"}
    return frozenset(
        wiring.leg_name(instance, network, host, number)
        for host, number, _ in topologies.legs_in(topology, network)
        if topology.hosts[host].zone in zones
    )
