"""Networks as they carry packets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.live import network_lab as net
from tests.live import world

from roadstead.agent.links import kernel, namespaces, resources
from roadstead.contract.messages import desired
from roadstead.core import addresses

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[net.Lab]:
    with net.running(tmp_path_factory.mktemp("net")) as made:
        yield made


def test_every_host_reaches_every_other_under_its_own_address(lab: net.Lab) -> None:
    addresses = {"a": net.A, "b": net.B, "c": net.C}
    for one, own in addresses.items():
        for other in addresses.values():
            assert lab.seen_by(lab.netns(one), other, 80) == own


def test_networks_with_the_same_addresses_never_meet(lab: net.Lab) -> None:
    assert lab.seen_by(lab.netns("twin-b"), net.A, 80) == "10.20.1.5"
    # b's address exists only in the other network.
    assert lab.unseen(lab.netns("twin-b"), net.B, 80)
    assert lab.unseen(lab.netns("b"), "198.19.250.5", 80)


def test_a_spoofed_source_is_dropped_and_counted(lab: net.Lab) -> None:
    before = lab.counted("vpc", "spoofed")
    for source in (net.C, "8.8.8.8", "10.20.1.1"):
        net.run(*net.inside(lab.netns("b"), sys.executable, "-c", net.SPOOF, source, net.A))
    assert lab.counted("vpc", "spoofed") == before + 15
    net.run(*net.inside(lab.netns("b"), sys.executable, "-c", net.SPOOF, net.B, net.A))
    assert lab.counted("vpc", "spoofed") == before + 15
    assert lab.drift() == {}


def test_the_world_is_reached_under_the_machines_address_only_with_egress(lab: net.Lab) -> None:
    assert lab.seen_by(lab.netns("b"), net.WORLD, 80) == net.MACHINE
    assert lab.seen_by(lab.netns("twin-b"), net.WORLD, 80) == net.MACHINE
    before = lab.counted("closed", "refused")
    answered, said = net.client(lab.netns("alone"), net.WORLD, 80, patience=10)
    assert answered == ""
    assert "timed out" not in said
    assert lab.counted("closed", "refused") > before


def test_nothing_that_nobody_in_the_world_has_leaves_for_it(lab: net.Lab) -> None:
    """Who sends there is told at once; a stranger who answers at every address is never asked."""
    probe = "198.51.100.7"
    assert lab.seen_by(lab.netns("b"), probe, 443) == world.STRANGER
    refused = lab.counted("vpc", "refused")
    inside = {"10.100.0.1": 443, "10.100.255.254": 53, "169.254.169.254": 80, "169.254.20.10": 53}
    inside |= {"198.18.0.0": 81, "198.18.200.7": 443, "198.19.77.1": 443, "240.0.0.1": 80, "0.0.0.8": 80}
    for address, port in inside.items():
        for host in ("a", "b", "c"):
            answered, said = net.client(lab.netns(host), address, port, patience=10)
            assert answered == "", (host, address)
            assert "timed out" not in said, (host, address)
    assert lab.counted("vpc", "refused") > refused
    # So is what asks for no answer, and what pods send: they stand behind their node.
    net.run(*net.inside(lab.netns("c"), "ip", "address", "replace", "10.20.2.131/32", "dev", "lo"))
    for address in (*inside, "224.0.0.9", "255.255.255.255"):
        for host, source in (("b", net.B), ("c", "10.20.2.131")):
            net.run(*net.inside(lab.netns(host), sys.executable, "-c", net.SPOOF, source, address))
    # Each network knows its own: here the same address is anybody's.
    assert lab.seen_by(lab.netns("twin-b"), "10.100.9.9", 443) == world.STRANGER
    assert (probe, 6) in lab.witness.seen
    left = lab.witness.within((*addresses.TAKEN, net.SERVICES))
    assert [each for each in left if each[0] != "10.100.9.9"] == []
    net.run(*net.inside(lab.netns("c"), "ip", "address", "del", "10.20.2.131/32", "dev", "lo"))
    assert lab.drift() == {}


def test_hosts_do_not_reach_the_machine_itself(lab: net.Lab) -> None:
    assert lab.seen_by(lab.machine, "127.0.0.1", 81) == "127.0.0.1"
    assert lab.seen_by(lab.world, net.MACHINE, 81) == net.WORLD
    assert lab.unseen(lab.netns("b"), net.MACHINE, 81)


def test_published_ports_lead_to_their_host(lab: net.Lab) -> None:
    assert lab.seen_by(lab.machine, "127.0.0.1", 7001) != ""
    assert lab.seen_by(lab.machine, net.MACHINE, 7002) != ""
    assert lab.seen_by(lab.world, net.MACHINE, 7002) == net.WORLD
    assert lab.unseen(lab.world, net.MACHINE, 7001)
    # Hosts come by the machine's address as everyone does, those of the same network too.
    assert lab.seen_by(lab.netns("a"), net.MACHINE, 7002) != ""
    # Whoever counts callers by their sources does not take those of a network for the machine's own.
    twin = lab.seen_by(lab.netns("twin-b"), net.MACHINE, 7002)
    assert twin not in ("", lab.seen_by(lab.machine, "127.0.0.1", 7001), lab.seen_by(lab.machine, net.MACHINE, 7002))


def test_a_publish_that_is_gone_leads_nowhere(lab: net.Lab) -> None:
    lab.want(
        publishes={"any": desired.Publish(address="0.0.0.0", port=7003, network="vpc", target=net.A, target_port=80)}
    )
    lab.do(lab.fabric.apply_publishes(lab.wanted))
    assert lab.seen_by(lab.machine, "127.0.0.1", 7003) != ""
    assert lab.seen_by(lab.world, net.MACHINE, 7003) == net.WORLD
    kept = {id: publish for id, publish in lab.wanted.publishes.items() if id != "any"}
    lab.wanted = replace(lab.wanted, publishes=kept)
    lab.do(lab.fabric.apply_publishes(lab.wanted))
    assert lab.unseen(lab.world, net.MACHINE, 7003)
    assert lab.seen_by(lab.world, net.MACHINE, 7002) == net.WORLD


def test_only_users_who_may_enter_do(lab: net.Lab) -> None:
    assert lab.seen_by(lab.machine, "198.19.250.5", 80, net.USER) != ""
    assert lab.unseen(lab.machine, "198.19.250.5", 80, net.STRANGER)
    assert lab.unseen(lab.machine, "198.19.250.5", 80)
    # net.A second leg answers where it was asked, though the default route is the first one's.
    assert lab.seen_by(lab.machine, net.SECOND, 80, net.USER) != ""
    # What the machine has a route to, the world and other networks have not.
    net.run(*net.inside(lab.world, "ip", "route", "add", "198.19.250.0/24", "via", net.MACHINE))
    assert lab.unseen(lab.world, "198.19.250.5", 80)
    assert lab.unseen(lab.netns("b"), "198.19.250.5", 80)


def test_a_second_leg_is_used_for_its_own_network(lab: net.Lab) -> None:
    assert lab.seen_by(lab.netns("a"), "198.19.250.5", 80) == net.SECOND
    assert lab.seen_by(lab.netns("alone"), net.SECOND, 80) == "198.19.250.5"
    assert lab.unseen(lab.netns("alone"), net.A, 80)


def test_a_connection_survives_a_black_zone(lab: net.Lab) -> None:
    talk = subprocess.Popen(
        net.inside(lab.netns("a"), sys.executable, "-c", net.TALK, net.B, "80"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    lab.servers.append(talk)
    assert talk.stdin is not None
    assert talk.stdout is not None
    assert talk.stdout.readline() == net.A + "\n"
    lab.want(zones={"b": desired.Zone(state="black")})
    lab.do(lab.fabric.apply_zones(lab.wanted))
    try:
        for one, other in (("a", net.B), ("b", net.A), ("b", net.WORLD)):
            assert lab.unseen(lab.netns(one), other, 80)
        assert lab.unseen(lab.world, net.MACHINE, 7002)
        assert lab.seen_by(lab.netns("a"), net.C, 80) == net.A
        talk.stdin.write("through the dark\n")
        talk.stdin.flush()
    finally:
        lab.want(zones={"b": desired.Zone(state="up")})
        lab.do(lab.fabric.apply_zones(lab.wanted))
    assert talk.stdout.readline() == "through the dark\n"
    assert lab.seen_by(lab.netns("b"), net.A, 80) == net.B
    assert lab.drift() == {}


def test_pods_are_reached_behind_their_node(lab: net.Lab) -> None:
    net.run(*net.inside(lab.netns("c"), "ip", "address", "replace", "10.20.2.130/32", "dev", "lo"))
    assert lab.seen_by(lab.netns("a"), "10.20.2.130", 80) == net.A
    assert lab.seen_by(lab.netns("c"), net.A, 80, source="10.20.2.130") == "10.20.2.130"


def test_a_host_moves_and_loses_a_leg(lab: net.Lab) -> None:
    first = net.host(
        "a", desired.Leg(network="twin", address="10.20.0.9"), desired.Leg(network="vpc", address="10.20.0.9")
    )
    lab.want(hosts={"mover": first})
    lab.do(lab.fabric.make_host("mover", lab.wanted))
    assert lab.seen_by(lab.netns("mover"), net.WORLD, 80) == net.MACHINE
    lab.want(hosts={"mover": net.host("a", desired.Leg(network="vpc", address="10.20.0.10"))})
    lab.do(lab.fabric.make_host("mover", lab.wanted))
    assert lab.drift() == {}
    assert lab.seen_by(lab.netns("mover"), net.A, 80) == "10.20.0.10"
    lab.wanted = replace(lab.wanted, hosts={id: each for id, each in lab.wanted.hosts.items() if id != "mover"})
    for _ in range(2):
        lab.do(lab.fabric.remove_host("mover"))
    assert not lab.netns("mover").exists()
    assert lab.drift() == {}


def test_a_half_made_host_is_finished_and_removed(lab: net.Lab) -> None:
    lab.want(hosts={"half": net.host("a", desired.Leg(network="vpc", address="10.20.0.20"))})
    name = lab.places.interface("vpc", "half", "0")
    for finish in (True, False):
        namespaces.create(lab.netns("half"))
        pair = resources.Pair(resources.Link(name, "ee:ee:ee:ee:ee:ee"), resources.Link("eth0", "02:00:00:00:00:01"))
        with kernel.Kernel(lab.places.router_netns("vpc")) as near, kernel.Kernel(lab.netns("half")) as far:
            near.add_pair(pair, far)
        if finish:
            lab.do(lab.fabric.make_host("half", lab.wanted))
            assert lab.drift() == {}
            assert lab.seen_by(lab.netns("half"), net.A, 80) == "10.20.0.20"
        lab.do(lab.fabric.remove_host("half"))
        links = net.run(*net.inside(lab.places.router_netns("vpc"), "ip", "-o", "link"))
        assert name not in links
    lab.wanted = replace(lab.wanted, hosts={id: each for id, each in lab.wanted.hosts.items() if id != "half"})


def test_a_link_is_removed_by_its_number_and_not_its_successor(lab: net.Lab) -> None:
    pair = resources.Pair(resources.Link("again", "02:00:00:00:00:02"), resources.Link("eth0", "02:00:00:00:00:01"))
    namespaces.create(lab.netns("again"))
    try:
        with kernel.Kernel(lab.places.router_netns("vpc")) as near, kernel.Kernel(lab.netns("again")) as far:
            near.add_pair(pair, far)
            first = near.index("again")
            near.remove("again", first)
            assert near.index("again") == 0
            near.add_pair(pair, far)
            second = near.index("again")
            near.remove("again", first)
            assert near.index("again") == second != first
            near.remove("again", second)
        near.close()
    finally:
        namespaces.delete(lab.netns("again"))


def test_a_network_is_removed_whole(lab: net.Lab) -> None:
    small = desired.Network(cidrs=("10.99.0.0/24",), subnets=net.subnets("10.99.0.0/24"))
    before = net.picture(lab)
    lab.want(
        networks={"brief": small},
        hosts={"brief-a": net.host("a", desired.Leg(network="brief", address="10.99.0.4"))},
    )
    lab.do(lab.fabric.make_network("brief", lab.wanted))
    lab.do(lab.fabric.make_host("brief-a", lab.wanted))
    assert lab.seen_by(lab.netns("brief-a"), net.WORLD, 80) == net.MACHINE
    lab.wanted = replace(
        lab.wanted,
        networks={id: each for id, each in lab.wanted.networks.items() if id != "brief"},
        hosts={id: each for id, each in lab.wanted.hosts.items() if id != "brief-a"},
    )
    for _ in range(2):
        lab.do(lab.fabric.remove_host("brief-a"))
        lab.do(lab.fabric.remove_network("brief"))
    assert not lab.places.router_netns("brief").exists()
    without_handles = [text for text in before if "table inet" not in text]
    assert [text for text in net.picture(lab) if "table inet" not in text] == without_handles
    assert lab.drift() == {}


def test_forwarding_that_is_off_is_a_problem_told(lab: net.Lab) -> None:
    assert lab.do(lab.fabric.problems(lab.wanted)) == []
    net.run(*net.inside(lab.machine, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"))
    try:
        assert "net.ipv4.ip_forward" in lab.do(lab.fabric.problems(lab.wanted))[0]
    finally:
        net.run(*net.inside(lab.machine, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"))
