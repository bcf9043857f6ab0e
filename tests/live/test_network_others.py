"""What the machine does for others: it is no router of theirs. Nothing for Roadstead's own addresses leaves it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import network_lab as net
from tests.live import world

from roadstead.agent.fabric import fabric
from roadstead.agent.links import forwarding, namespaces
from roadstead.agent.links import topology as topologies
from roadstead.core import instance as instances

pytestmark = pytest.mark.live

NOTHING = topologies.Topology(networks={}, hosts={}, zones={}, publishes={})
NEIGHBOUR, GUEST = "10.77.0.2", "10.78.0.2"
OUTSIDE = ("ip", "link", "add", "out0", "type", "vxlan", "id", "5", "dstport", "4789", "local", "127.0.0.1")
UNTAKEN = ("198.18.200.7", "198.19.77.1", "198.19.255.254")
"""Nobody has these, but Roadstead might."""


@contextlib.contextmanager
def neighbour(machine: Path, beyond: Path, address: str, *, bridge: str = "") -> Iterator[Path]:
    """A computer beside the machine whose router it would be, behind a bridge of the machine's where one is named."""
    there = machine.with_name(f"beside-{bridge or 'lan'}")
    device, own = f"v-{bridge or 'lan'}", address.rpartition(".")[0] + ".1"
    at = bridge or device
    try:
        namespaces.create(there)
        peer = ("peer", "name", "eth0", "netns", str(there))
        if bridge:
            net.run(*net.inside(machine, "ip", "link", "add", bridge, "type", "bridge"))
        net.run(*net.inside(machine, "ip", "link", "add", device, "type", "veth", *peer))
        if bridge:
            net.run(*net.inside(machine, "ip", "link", "set", device, "master", bridge, "up"))
        for netns, name, held in ((machine, at, own), (there, "eth0", address)):
            net.run(*net.inside(netns, "ip", "address", "add", f"{held}/24", "dev", name))
            net.run(*net.inside(netns, "ip", "link", "set", name, "up"))
        net.run(*net.inside(there, "ip", "route", "add", "default", "via", own))
        net.run(*net.inside(beyond, "ip", "route", "add", own.removesuffix("1") + "0/24", "via", net.MACHINE))
        yield there
    finally:
        namespaces.delete(there)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[net.Lab]:
    with net.running(tmp_path_factory.mktemp("net")) as made:
        yield made


def test_the_machine_is_no_router_of_others_where_it_was_none(lab: net.Lab) -> None:
    record = forwarding.record(lab.places)
    own = record.read_bytes()
    with neighbour(lab.machine, lab.world, NEIGHBOUR) as beside:
        try:
            record.unlink()
            for before, seen in ((1, NEIGHBOUR), (0, ""), (1, NEIGHBOUR)):
                forwarding.remember(record, before)
                lab.do(lab.fabric.apply_publishes(lab.wanted))
                assert net.client(beside, net.WORLD, 80, patience=1)[0] == seen
                # What is for networks goes on, and what comes from them.
                assert lab.seen_by(beside, net.MACHINE, 7002) == NEIGHBOUR
                assert lab.seen_by(lab.netns("b"), net.WORLD, 80) == net.MACHINE
                assert lab.drift() == {}
                record.unlink()
        finally:
            record.write_bytes(own)
            lab.do(lab.fabric.apply_publishes(lab.wanted))


def test_containers_and_virtual_machines_of_others_reach_the_world(lab: net.Lab) -> None:
    """As Docker and libvirt have it: a bridge that comes later, and whose ports are theirs alone."""
    record = forwarding.record(lab.places)
    own = record.read_bytes()
    record.unlink()
    forwarding.remember(record, 0)
    try:
        with neighbour(lab.machine, lab.world, GUEST, bridge="guests0") as guest:
            lab.do(lab.fabric.changed().wait())
            assert "older" in lab.drift()["networks", "vpc"]
            lab.do(lab.fabric.make_network("vpc", lab.wanted))
            assert lab.seen_by(guest, net.WORLD, 80) == GUEST
            # With a port that leads outside it is no bridge of guests.
            net.run(*net.inside(lab.machine, *OUTSIDE))
            net.run(*net.inside(lab.machine, "ip", "link", "set", "out0", "master", "guests0", "up"))
            lab.do(lab.fabric.make_network("vpc", lab.wanted))
            assert lab.unseen(guest, net.WORLD, 80)
    finally:
        for device in ("guests0", "out0"):
            net.run(*net.inside(lab.machine, "ip", "link", "delete", device))
        record.write_bytes(own)
        lab.do(lab.fabric.make_network("vpc", lab.wanted))


def test_what_is_roadsteads_own_and_not_allotted_leaves_by_no_default_route(lab: net.Lab) -> None:
    probe = "198.51.100.9"
    assert lab.seen_by(lab.machine, probe, 443) == world.STRANGER
    assert (probe, 6) in lab.witness.seen
    for address in UNTAKEN:
        answered, said = net.client(lab.machine, address, 443, patience=10)
        assert answered == "", address
        assert "timed out" not in said, address
    assert lab.witness.within(("198.18.0.0/15",)) == []


def test_a_lost_route_of_a_control_network_leads_nobody_into_the_world(lab: net.Lab) -> None:
    assert lab.seen_by(lab.machine, net.SECOND, 80, net.USER) != ""
    net.run(*net.inside(lab.machine, "ip", "route", "delete", "198.19.250.0/26"))
    answered, said = net.client(lab.machine, net.SECOND, 80, net.USER, patience=10)
    assert answered == ""
    assert "timed out" not in said
    assert lab.witness.within(("198.18.0.0/15",)) == []
    lab.do(lab.fabric.make_network("closed", lab.wanted))
    assert lab.seen_by(lab.machine, net.SECOND, 80, net.USER) != ""


def test_who_else_has_such_addresses_on_a_link_keeps_them(lab: net.Lab) -> None:
    """Proxies that hand out addresses for names (tun devices of 198.18.0.0/16) are on many desks."""
    net.run(*net.inside(lab.machine, "ip", "link", "add", "tun9", "type", "ifb"))
    try:
        net.run(*net.inside(lab.machine, "ip", "address", "add", "198.19.200.1/24", "dev", "tun9"))
        net.run(*net.inside(lab.machine, "ip", "link", "set", "tun9", "up"))
        lab.do(lab.fabric.apply_publishes(lab.wanted))
        answered, said = net.client(lab.machine, "198.19.200.9", 443, patience=1)
        assert answered == ""
        # Nobody is there, but nobody refuses it either.
        assert "timed out" in said
    finally:
        net.run(*net.inside(lab.machine, "ip", "link", "delete", "tun9"))
        lab.do(lab.fabric.apply_publishes(lab.wanted))


def test_without_a_network_it_is_no_router_either(tmp_path: Path) -> None:
    """The machine forwards before the first network comes, and when the last one went."""

    async def opened(places: instances.Instance) -> tuple[str, dict[tuple[str, str], str], str]:
        async with fabric.Fabric(places) as made:
            first = net.client(beside, net.WORLD, 80, patience=1)[0]
            net.run(*net.inside(machine, "nft", "delete", "table", "inet", places.nft_table))
            differs = await made.drift(NOTHING)
            await made.apply_publishes(NOTHING)
            return first, differs, net.client(beside, net.WORLD, 80, patience=1)[0]

    with contextlib.ExitStack() as stack:
        machine, beyond = stack.enter_context(net.outside(tmp_path))
        beside = stack.enter_context(neighbour(machine, beyond, NEIGHBOUR))
        server = stack.enter_context(
            subprocess.Popen(
                net.inside(beyond, sys.executable, "-c", net.SERVER, "80"), stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(server.kill)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        forward = net.inside(machine, "sh", "-c", "cat /proc/sys/net/ipv4/ip_forward")
        net.run(*net.inside(machine, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"))
        places = instances.Instance("t-net", tmp_path / "state", tmp_path / "run", tmp_path / "log", machine)
        stack.callback(fabric.purge, places)
        first, differs, again = asyncio.run(opened(places))
        assert (first, again) == ("", "")
        assert "gone" in differs[fabric.MACHINE]
        assert net.run(*forward).strip() == "1"
        # It is the rules that keep it out.
        fabric.purge(places)
        assert net.client(beside, net.WORLD, 80)[0] == NEIGHBOUR
