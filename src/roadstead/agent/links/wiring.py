"""From what is asked for to what each namespace must hold. Pure.

    host:    eth0, eth1 ... with a /32 each; every packet goes to 169.254.1.1, whose hardware address is static
    router:  per leg one end of a veth, a route to the host's address and to each prefix of pods behind it;
             on lo the router's, resolver's and doors' address of each subnet; unreachable: the rest of its CIDRs
    machine: per network one end of the uplink, a /31; a route to the CIDRs where users of the machine may enter

No bridge and no ARP anywhere: whom a packet is for is a matter of routes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.agent.links import things
from roadstead.agent.links import topology as topologies
from roadstead.core import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadstead.core import instance as instances
    from roadstead.messages import desired

UPLINK = "up"
"""The name of the router's end of its uplink; a host's leg is `rs` and twelve hexadecimal digits."""

LEGS = frozenset(f"eth{number}" for number in range(topologies.MOST_LEGS))
"""Names of legs in a host, wanted or left over from an older desired state."""

_LEG_TABLES = 100
"""Table 100+n holds the default route of leg n."""

ROUTER_SETTINGS: Mapping[str, int] = {
    "net/ipv4/ip_forward": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv4/conf/all/accept_redirects": 0,
    "net/ipv6/conf/all/disable_ipv6": 1,
    "net/ipv6/conf/default/disable_ipv6": 1,
    # Connections live on when a zone comes back: their windows moved while no packet was seen.
    "net/netfilter/nf_conntrack_tcp_be_liberal": 1,
}
"""Sources are checked by the router's rules, which count what they drop; rp_filter would drop silently."""


@dataclass(frozen=True)
class Uplink:
    """The /31 between a network's router and the machine, and the names of its ends."""

    network: str
    machine_device: str
    machine_address: str
    router_address: str


def host_settings(host: desired.Host) -> dict[str, int]:
    """The sysctls of a host's namespace."""
    node = host.kind == "node"
    return {
        "net/ipv4/ip_forward": int(node),
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/default/rp_filter": 0,
        # A dead peer is given up after seconds instead of a quarter of an hour.
        "net/ipv4/tcp_retries2": 5,
        "net/ipv4/tcp_syn_retries": 2,
        # Control and edge hosts have no capabilities, yet their units listen on ports like 443.
        "net/ipv4/ip_unprivileged_port_start": 1024 if node else 0,
        # Without a link-local address nothing is ever asked for or announced by IPv6.
        "net/ipv6/conf/all/addr_gen_mode": 1,
        "net/ipv6/conf/default/addr_gen_mode": 1,
        "net/ipv6/conf/default/accept_ra": 0,
        "net/ipv6/conf/default/router_solicitations": 0,
    }


def machine_settings(uplink: Uplink) -> dict[str, int]:
    """The sysctls of the machine's end of an uplink: 127.0.0.1 may be translated to lead through it."""
    return {
        f"net/ipv4/conf/{uplink.machine_device}/route_localnet": 1,
        f"net/ipv4/conf/{uplink.machine_device}/rp_filter": 0,
        f"net/ipv6/conf/{uplink.machine_device}/disable_ipv6": 1,
    }


def leg_name(instance: instances.Instance, network: str, host: str, number: int) -> str:
    """The router's end of a host's leg."""
    return instance.interface(network, host, str(number))


def uplink_device(instance: instances.Instance, network: str) -> str:
    """The machine's end of a network's uplink."""
    return instance.interface(network, "uplink")


def leg_pairs(instance: instances.Instance, host_id: str, host: desired.Host) -> list[tuple[str, things.Pair]]:
    """The veths of a host, each with its network."""
    pairs = []
    for number, leg in enumerate(host.legs):
        near = things.Link(
            leg_name(instance, leg.network, host_id, number),
            addresses.ROUTER_MAC,
            instance.alias(leg.network, host_id, str(number)),
        )
        pairs.append((leg.network, things.Pair(near, _host_end(number, leg))))
    return pairs


def uplink_pair(instance: instances.Instance, uplink: Uplink) -> things.Pair:
    """The veth of an uplink; its far end is the machine's."""
    return things.Pair(
        things.Link(UPLINK, addresses.mac(uplink.router_address), instance.alias(uplink.network, "uplink")),
        things.Link(
            uplink.machine_device,
            addresses.mac(uplink.machine_address),
            instance.alias(uplink.network, "uplink"),
        ),
    )


def host_side(host: desired.Host, networks: Mapping[str, desired.Network]) -> things.Side:
    """What a host's namespace must hold.

    The first leg has the default route. With more than one, answers leave by the leg they were asked on: each leg has
    a table of its own, chosen by the packet's source. Else the router of another network would drop them.
    """
    routes = [_default(0, host.legs[0].address, things.MAIN)]
    rules = []
    for number, leg in enumerate(host.legs):
        if number > 0:
            routes += [
                things.Route(cidr, f"eth{number}", addresses.GATEWAY, leg.address)
                for cidr in networks[leg.network].cidrs
            ]
        if len(host.legs) > 1:
            routes.append(_default(number, leg.address, _LEG_TABLES + number))
            rules.append(things.Rule(f"{leg.address}/32", _LEG_TABLES + number))
    legs = tuple(_host_end(number, leg) for number, leg in enumerate(host.legs))
    return things.Side(
        links=(things.Link("lo"), *legs),
        addresses=frozenset(things.Address(f"eth{n}", f"{leg.address}/32") for n, leg in enumerate(host.legs)),
        neighbours=frozenset(things.Neighbour(link.name, addresses.GATEWAY, addresses.ROUTER_MAC) for link in legs),
        routes=frozenset(routes),
        rules=frozenset(rules),
        exact=frozenset(link.name for link in legs),
        whole=True,
        stray_names=LEGS,
    )


def leg_side(instance: instances.Instance, network: str, host_id: str, legs: tuple[desired.Leg, ...]) -> things.Side:
    """What a network's router must hold for one host; `legs` are all of the host's, in other networks too."""
    here = [(number, leg) for number, leg in enumerate(legs) if leg.network == network]
    links, neighbours, routes = [], [], []
    for number, leg in here:
        name = leg_name(instance, network, host_id, number)
        alias = instance.alias(network, host_id, str(number))
        links.append(things.Link(name, addresses.ROUTER_MAC, alias))
        neighbours.append(things.Neighbour(name, leg.address, addresses.mac(leg.address)))
        routes.append(things.Route(f"{leg.address}/32", name))
        routes += [things.Route(prefix, name, leg.address) for prefix in leg.prefixes]
    return things.Side(
        links=tuple(links),
        neighbours=frozenset(neighbours),
        routes=frozenset(routes),
        exact=frozenset(link.name for link in links),
        strays=instance.alias(network, host_id) + "/",
    )


def router_side(instance: instances.Instance, uplink: Uplink, topology: topologies.Topology) -> things.Side:
    """What a network's router must hold for itself, without its hosts' legs (which are spared)."""
    id_ = uplink.network
    network = topology.networks[id_]
    own = [
        address(subnet.cidr)
        for subnet in network.subnets
        for address in (addresses.router, addresses.resolver, addresses.doors)
    ]
    return things.Side(
        links=(things.Link("lo"), uplink_pair(instance, uplink).near),
        addresses=frozenset(
            (
                things.Address("lo", "127.0.0.1/8"),
                things.Address(UPLINK, f"{uplink.router_address}/31"),
                *(things.Address("lo", f"{address}/32") for address in own),
            )
        ),
        neighbours=frozenset(
            (things.Neighbour(UPLINK, uplink.machine_address, addresses.mac(uplink.machine_address)),)
        ),
        routes=frozenset(
            (
                things.Route("0.0.0.0/0", UPLINK, uplink.machine_address),
                *(things.Route(cidr) for cidr in network.cidrs),
            )
        ),
        exact=frozenset(("lo", UPLINK)),
        strays=instance.alias(id_) + "/",
        spared=frozenset(
            leg_name(instance, id_, host_id, number)
            for host_id, host in topology.hosts.items()
            for number, leg in enumerate(host.legs)
            if leg.network == id_
        ),
    )


def machine_side(instance: instances.Instance, uplink: Uplink, network: desired.Network) -> things.Side:
    """What the machine's namespace must hold for a network."""
    device = uplink.machine_device
    entered = network.cidrs if network.machine_users else ()
    return things.Side(
        links=(uplink_pair(instance, uplink).far,),
        addresses=frozenset((things.Address(device, f"{uplink.machine_address}/31"),)),
        neighbours=frozenset((things.Neighbour(device, uplink.router_address, addresses.mac(uplink.router_address)),)),
        routes=frozenset(things.Route(cidr, device, uplink.router_address, uplink.machine_address) for cidr in entered),
        exact=frozenset((device,)),
    )


def _host_end(number: int, leg: desired.Leg) -> things.Link:
    return things.Link(f"eth{number}", addresses.mac(leg.address))


def _default(number: int, source: str, table: int) -> things.Route:
    return things.Route("0.0.0.0/0", f"eth{number}", addresses.GATEWAY, source, table)
