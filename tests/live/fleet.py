"""Desired states that several live tests ask for: a network of three zones, hosts in it, a unit on each."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from roadstead import engine
from roadstead.agent_client import Client
from roadstead.contract.messages import desired

ZONES = ("a", "b", "c")
Put = dict[str, dict[str, tuple[int, desired.Message]]]


def network(cidr: str = "198.19.0.0/24", egress: bool = False) -> desired.Network:
    """Three zones of a /26 each."""
    subnets = list(ipaddress.ip_network(cidr).subnets(new_prefix=26))[:3]
    return desired.Network(
        cidrs=(cidr,),
        subnets=tuple(
            desired.Subnet(id=f"s-{zone}", cidr=str(subnet), zone=zone)
            for zone, subnet in zip(ZONES, subnets, strict=True)
        ),
        egress=egress,
    )


def address(number: int, of: desired.Network) -> tuple[str, str]:
    """Zone and address of the host of this number: round the zones, from base+4 on."""
    subnet = of.subnets[number % 3]
    return subnet.zone, str(ipaddress.ip_network(subnet.cidr)[4 + number // 3])


def host(number: int, net: str, of: desired.Network, role: desired.Role = "api", **more: object) -> desired.Host:
    zone, where = address(number, of)
    return desired.Host(
        role=role,
        privilege="privileged" if role == "node" else "unprivileged",
        zone=zone,
        legs=(desired.Leg(network=net, address=where),),
        hostname=f"h{number}",
        **more,  # type: ignore[arg-type]  # fields of a host
    )


def pause_engine(client: Client) -> desired.Engine:
    return client.engine({"pause": engine.get("pause").components["pause"]})


def fleet(client: Client, count: int, net: str = "net", role: desired.Role = "api") -> Put:
    """`count` hosts with one unit each, in one batch."""
    of = network()
    hosts = {f"h{number}": host(number, net, of, role) for number in range(count)}
    units = {f"{id}/main": desired.Unit(engine="pause", component="pause") for id in hosts}
    return put(1, engines={"pause": pause_engine(client)}, networks={net: of}, hosts=hosts, units=units)


def put(generation: int, **kinds: Mapping[str, desired.Message]) -> Put:
    return {kind: {id: (generation, spec) for id, spec in specs.items()} for kind, specs in kinds.items()}


def delete_all(client: Client, timeout: float = 60.0) -> None:
    """Delete everything that is desired, and wait until nothing is observed any more."""
    now = client.wanted()
    client.accept(
        delete={
            kind: {id: int(str(record["generation"])) for id, record in records.items()}
            for kind, records in now.items()
            # Units go with their hosts, and networks when they are empty.
            if kind != "units"
        }
    )
    client.wait(lambda seen: not seen, timeout)


def inside(netns: Path, *command: str, timeout: float = 15.0) -> subprocess.CompletedProcess[str]:
    """Run a command in a namespace of the network."""
    return subprocess.run(
        ["nsenter", f"--net={netns}", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={"PATH": os.environ["PATH"], "ETCDCTL_API": "3"},
    )
