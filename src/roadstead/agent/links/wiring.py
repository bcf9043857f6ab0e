"""From what is asked for to what each namespace must hold. Pure.

    host:    eth0, eth1 ... with a /32 each; every packet goes to 169.254.1.1, whose hardware address is static
    router:  per leg one end of a veth, a route to the host's address and to each prefix of pods behind it;
             on lo the router's, resolver's and webhook's address of each subnet; unreachable: the rest of its CIDRs
    machine: per network one end of the uplink, a /31; a route to the CIDRs where users of the machine may enter
    pod:     as a host with one leg; its node is its router, with a route to the pod's address, unreachable: the rest
             of the node's prefixes

No bridge and no ARP anywhere: whom a packet is for is a matter of routes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.agent.links import resources
from roadstead.agent.links import topology as topologies
from roadstead.core import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadstead.contract.messages import desired
    from roadstead.core import instance as instances

UPLINK = "up"
"""The name of the router's end of its uplink; a host's leg is `rs` and twelve hexadecimal digits."""

LEGS = frozenset(f"eth{number}" for number in range(topologies.MOST_LEGS))
"""Names of legs in a host, wanted or left over from an older desired state."""

POD_LINKS = "rp"
"""What names of the node's ends of pods' veths begin with; twelve hexadecimal digits follow."""

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


@dataclass(frozen=True)
class Pod:
    """A pod's one interface, wired to its node as a host is to its router."""

    address: str
    device: str
    """Its name in the pod: `eth0`."""
    link: str
    """The name of the node's end."""
    alias: str


POD_SETTINGS: Mapping[str, int] = {
    # Without a link-local address nothing is ever asked for or announced by IPv6.
    "net/ipv6/conf/default/addr_gen_mode": 1,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/router_solicitations": 0,
}
"""The sysctls of a pod's namespace, before it has an interface."""


def host_settings(host: desired.Host) -> dict[str, int]:
    """The sysctls of a host's namespace."""
    node = host.role == "node"
    return {
        "net/ipv4/ip_forward": int(node),
        # 127.0.0.1 of a node leads to its pods, too, where a port does; its rules keep others from asking for it.
        "net/ipv4/conf/all/route_localnet": int(node),
        "net/ipv4/conf/all/rp_filter": 0,
        "net/ipv4/conf/default/rp_filter": 0,
        # A dead peer is given up after seconds instead of a quarter of an hour.
        "net/ipv4/tcp_retries2": 5,
        "net/ipv4/tcp_syn_retries": 2,
        # Without capabilities units listen on ports like 443, too.
        "net/ipv4/ip_unprivileged_port_start": 1024 if host.privilege == "privileged" else 0,
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


def leg_pairs(instance: instances.Instance, host_id: str, host: desired.Host) -> list[tuple[str, resources.Pair]]:
    """The veths of a host, each with its network."""
    pairs = []
    for number, leg in enumerate(host.legs):
        near = _near_end(
            leg_name(instance, leg.network, host_id, number), instance.alias(leg.network, host_id, str(number))
        )
        pairs.append((leg.network, resources.Pair(near, _far_end(f"eth{number}", leg.address))))
    return pairs


def uplink_pair(instance: instances.Instance, uplink: Uplink) -> resources.Pair:
    """The veth of an uplink; its far end is the machine's."""
    return resources.Pair(
        resources.Link(UPLINK, addresses.mac(uplink.router_address), instance.alias(uplink.network, "uplink")),
        resources.Link(
            uplink.machine_device,
            addresses.mac(uplink.machine_address),
            instance.alias(uplink.network, "uplink"),
        ),
    )


def host_side(host: desired.Host, networks: Mapping[str, desired.Network]) -> resources.Side:
    """What a host's namespace must hold.

    The first leg has the default route. With more than one, answers leave by the leg they were asked on: each leg has
    a table of its own, chosen by the packet's source. Else the router of another network would drop them.
    """
    routes = [_default("eth0", host.legs[0].address, resources.MAIN)]
    if host.role == "node":
        # An address that no pod has is refused here; by the default route it would come back again and again.
        routes += [resources.LinkRoute(prefix) for leg in host.legs for prefix in leg.prefixes]
    rules = []
    for number, leg in enumerate(host.legs):
        if number > 0:
            routes += [
                resources.LinkRoute(cidr, f"eth{number}", addresses.GATEWAY, leg.address)
                for cidr in networks[leg.network].cidrs
            ]
        if len(host.legs) > 1:
            routes.append(_default(f"eth{number}", leg.address, _LEG_TABLES + number))
            rules.append(resources.PolicyRule(f"{leg.address}/32", _LEG_TABLES + number))
    legs = {f"eth{number}": leg.address for number, leg in enumerate(host.legs)}
    return resources.Side(
        links=(resources.Link("lo"), *(_far_end(device, address) for device, address in legs.items())),
        addresses=frozenset(resources.Address(device, f"{address}/32") for device, address in legs.items()),
        neighbours=frozenset(_next_hop(device) for device in legs),
        routes=frozenset(routes),
        rules=frozenset(rules),
        exact=frozenset(legs),
        whole=True,
        others=POD_LINKS,
        stray_names=LEGS,
    )


def pod_link(instance: instances.Instance, host: str, container: str, device: str) -> str:
    """The node's end of a pod's veth."""
    return POD_LINKS + instance.interface("pod", host, container, device)[len(POD_LINKS) :]


def pod_pair(pod: Pod) -> resources.Pair:
    """The veth of a pod; its near end is the node's."""
    return resources.Pair(_near_end(pod.link, pod.alias), _far_end(pod.device, pod.address))


def pod_side(pod: Pod) -> resources.Side:
    """What a pod's namespace must hold. What else is in it is the pod's own."""
    return resources.Side(
        links=(resources.Link("lo"), _far_end(pod.device, pod.address)),
        addresses=frozenset((resources.Address(pod.device, f"{pod.address}/32"),)),
        neighbours=frozenset((_next_hop(pod.device),)),
        routes=frozenset((_default(pod.device, pod.address, resources.MAIN),)),
    )


def node_side(pod: Pod, node: str) -> resources.Side:
    """What a node's namespace must hold for one pod; `node` is the address under which it speaks to its pods."""
    return resources.Side(
        links=(_near_end(pod.link, pod.alias),),
        neighbours=frozenset((_behind(pod.link, pod.address),)),
        routes=frozenset((resources.LinkRoute(f"{pod.address}/32", pod.link, source=node),)),
        exact=frozenset((pod.link,)),
    )


def leg_side(instance: instances.Instance, network: str, host_id: str, legs: tuple[desired.Leg, ...]) -> resources.Side:
    """What a network's router must hold for one host; `legs` are all of the host's, in other networks too."""
    here = [(number, leg) for number, leg in enumerate(legs) if leg.network == network]
    links, neighbours, routes = [], [], []
    for number, leg in here:
        name = leg_name(instance, network, host_id, number)
        alias = instance.alias(network, host_id, str(number))
        links.append(_near_end(name, alias))
        neighbours.append(_behind(name, leg.address))
        routes.append(resources.LinkRoute(f"{leg.address}/32", name))
        routes += [resources.LinkRoute(prefix, name, leg.address) for prefix in leg.prefixes]
    return resources.Side(
        links=tuple(links),
        neighbours=frozenset(neighbours),
        routes=frozenset(routes),
        exact=frozenset(link.name for link in links),
        strays=instance.alias(network, host_id) + "/",
    )


def router_side(instance: instances.Instance, uplink: Uplink, topology: topologies.Topology) -> resources.Side:
    """What a network's router must hold for itself, without its hosts' legs (which are spared)."""
    id_ = uplink.network
    network = topology.networks[id_]
    own = [
        address(subnet.cidr)
        for subnet in network.subnets
        for address in (addresses.router, addresses.resolver, addresses.webhook)
    ]
    return resources.Side(
        links=(resources.Link("lo"), uplink_pair(instance, uplink).near),
        addresses=frozenset(
            (
                resources.Address("lo", "127.0.0.1/8"),
                resources.Address(UPLINK, f"{uplink.router_address}/31"),
                *(resources.Address("lo", f"{address}/32") for address in own),
            )
        ),
        neighbours=frozenset(
            (resources.Neighbour(UPLINK, uplink.machine_address, addresses.mac(uplink.machine_address)),)
        ),
        routes=frozenset(
            (
                resources.LinkRoute("0.0.0.0/0", UPLINK, uplink.machine_address),
                *(resources.LinkRoute(cidr) for cidr in network.cidrs),
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


def machine_side(instance: instances.Instance, uplink: Uplink, network: desired.Network) -> resources.Side:
    """What the machine's namespace must hold for a network."""
    device = uplink.machine_device
    entered = network.cidrs if network.machine_users else ()
    return resources.Side(
        links=(uplink_pair(instance, uplink).far,),
        addresses=frozenset((resources.Address(device, f"{uplink.machine_address}/31"),)),
        neighbours=frozenset(
            (resources.Neighbour(device, uplink.router_address, addresses.mac(uplink.router_address)),)
        ),
        routes=frozenset(
            resources.LinkRoute(cidr, device, uplink.router_address, uplink.machine_address) for cidr in entered
        ),
        exact=frozenset((device,)),
    )


def _near_end(name: str, alias: str) -> resources.Link:
    """The router's end of a veth: the same hardware address on each, which is all that those behind it know."""
    return resources.Link(name, addresses.ROUTER_MAC, alias)


def _far_end(device: str, address: str) -> resources.Link:
    return resources.Link(device, addresses.mac(address))


def _behind(link: str, address: str) -> resources.Neighbour:
    """The one whose link it is, as the router knows it."""
    return resources.Neighbour(link, address, addresses.mac(address))


def _next_hop(device: str) -> resources.Neighbour:
    return resources.Neighbour(device, addresses.GATEWAY, addresses.ROUTER_MAC)


def _default(device: str, source: str, table: int) -> resources.LinkRoute:
    return resources.LinkRoute("0.0.0.0/0", device, addresses.GATEWAY, source, table)
