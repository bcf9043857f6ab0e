"""The network, hosts and published port of a control at."""

from __future__ import annotations

import ipaddress

from roadstead.clusters.components import apiserver, edge, etcd, facts
from roadstead.contract.messages import desired
from roadstead.core import errors

SHARED = "shared"
"""The subnet of the edge and the webhook; the others are called by their members' letters."""
_SUBNET = 28
_FIRST_WEIGHT, _WEIGHT = 200, 100


def network_id(at: facts.Topology) -> str:
    """The control-plane network at the agent."""
    return f"{at.id}.cp"


def network(at: facts.Topology, cidr: str, serve: int) -> desired.Network:
    """Four subnets of the /26 `cidr`: a zone's members each, then the edge and the webhook. `serve`: its user id."""
    parts = [str(part) for part in ipaddress.IPv4Network(cidr).subnets(new_prefix=_SUBNET)]
    zones = [(each.letter, each.zone) for each in at.members]
    return desired.Network(
        cidrs=(cidr,),
        subnets=tuple(
            desired.Subnet(id=name, cidr=part, zone=zone)
            for (name, zone), part in zip([*zones, (SHARED, at.region)], parts, strict=True)
        ),
        egress=False,
        machine_users=(serve,),
    )


def hosts(at: facts.Topology) -> tuple[str, ...]:
    """Names of all control hosts, without the cluster's id."""
    letters = [each.letter for each in at.members]
    return (*map(etcd.host, letters), *map(apiserver.host, letters), edge.HOST)


def host(at: facts.Topology, vpc: str, name: str, zone: str) -> desired.Host:
    """A control host by its name without the cluster's id; `vpc` is the VPC's network at the agent.

    Raises NotFound for a name that is none of `hosts`.
    """
    control = network_id(at)
    own = f"{at.id}-{name}"
    if name == edge.HOST:
        return desired.Host(
            role="edge",
            privilege="unprivileged",
            zone=zone,
            legs=(
                desired.Leg(network=vpc, address=at.endpoint.private),
                desired.Leg(network=control, address=at.endpoint.control),
            ),
            hostname=own,
            limits=desired.Limits(cpu_weight=400),
        )
    for place, each in enumerate(at.members):
        if name == etcd.host(each.letter):
            return desired.Host(
                role="etcd",
                privilege="unprivileged",
                zone=zone,
                legs=(desired.Leg(network=control, address=each.etcd),),
                hostname=own,
                # All of a zone waits for its etcd, and it needs little.
                limits=desired.Limits(cpu_weight=400),
            )
        if name == apiserver.host(each.letter):
            return desired.Host(
                role="api",
                privilege="unprivileged",
                zone=zone,
                legs=(
                    desired.Leg(network=vpc, address=each.api_vpc),
                    desired.Leg(network=control, address=each.api),
                ),
                hostname=own,
                # Webhooks may be called by name.
                resolvers=(each.resolver,) if each.resolver else (),
                # While all start at once the first gets ahead, and the endpoint answers the earlier.
                limits=desired.Limits(cpu_weight=_WEIGHT if place else _FIRST_WEIGHT),
            )
    raise errors.NotFound(f"{name} is no control host; there are {', '.join(hosts(at))}", name=name)


def publish(at: facts.Topology) -> desired.Publish:
    """The endpoint's public address and port, of the machine, lead to the edge."""
    return desired.Publish(
        address=at.endpoint.public,
        port=at.endpoint.port,
        network=network_id(at),
        target=at.endpoint.control,
        target_port=facts.API_PORT,
    )
