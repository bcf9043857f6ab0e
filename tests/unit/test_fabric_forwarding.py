"""For whom the machine passes packets on: what was before, what others ask for, whose bridges are guests'."""

from __future__ import annotations

from pathlib import Path

import pytest

from roadstead.agent.fabric import facts
from roadstead.agent.links import forwarding, numbers, resources
from roadstead.agent.links import topology as topologies
from roadstead.agent.rules import text
from roadstead.core import instance as instances
from roadstead.machine.doctor import mend

NOTHING = topologies.Topology(networks={}, hosts={}, zones={}, publishes={})


def test_what_the_doctor_wrote_says_whether_it_was_off(tmp_path: Path) -> None:
    places = mend.MendPlaces(
        tmp_path / "sys", tmp_path / "60-roadstead.conf", tmp_path / "before.json", tmp_path / "net"
    )
    assert not forwarding.was_off(places.record)
    for before, off in ((0, True), (1, False)):
        setting = places.proc_sys / forwarding.SETTING
        setting.parent.mkdir(parents=True, exist_ok=True)
        setting.write_text(f"{before}\n")
        mend.make((mend.Set(((mend.FORWARDING, 1),)),), places)
        assert forwarding.was_off(places.record) is off
        mend.restore(places)
    places.record.write_text("no record")
    assert not forwarding.was_off(places.record)


def test_what_was_before_is_remembered_once(tmp_path: Path) -> None:
    record = tmp_path / "new" / "before.json"
    for before in (0, 1):
        forwarding.remember(record, before)
        assert forwarding.was_off(record)


@pytest.mark.parametrize(
    ("texts", "asked"),
    [
        ((), False),
        (("# net.ipv4.ip_forward = 1\n", ";net.ipv4.ip_forward=1"), False),
        (("net.ipv4.ip_forward=1",), True),
        (("  -net/ipv4/ip_forward = 1 ",), True),
        (("net.ipv4.conf.all.forwarding = 1\nkernel.panic = 0",), True),
        (("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 0"), False),
        (("net.ipv6.conf.all.forwarding = 1",), False),
    ],
)
def test_files_of_others_ask_for_forwarding_as_the_last_of_them_says(texts: tuple[str, ...], asked: bool) -> None:
    assert forwarding.asked_for(texts) is asked


def _link(index: int, name: str, kind: str = "", master: int = 0) -> resources.SeenLink:
    return resources.SeenLink(name, index, 0, True, "", "", kind, master)


def test_a_bridge_with_hardware_is_a_way_outside_and_no_guests() -> None:
    links = (
        _link(1, "lo"),
        _link(2, "eth0", master=3),
        _link(3, "br0", "bridge"),
        _link(4, "veth7", "veth", master=3),
        _link(5, "docker0", "bridge"),
        _link(6, "veth8", "veth", master=5),
        _link(7, "virbr0", "bridge"),
        _link(8, "vnet0", "tun", master=7),
        _link(9, "br-empty", "bridge"),
        _link(10, "br of a kind", "bridge"),
        _link(11, "tailscale0", "tun"),
        _link(12, "bond0.7", "vlan", master=13),
        _link(13, "br1", "bridge"),
    )
    view = resources.View(links={link.name: link for link in links})
    assert _machine(view, closed=True).guests == ("br-empty", "docker0", "virbr0")
    assert _machine(view, closed=False).guests == ()


def test_who_else_has_addresses_of_ours_is_spared() -> None:
    own = instances.Instance("other").interface("vpc", "uplink")
    held = {(own, "198.18.4.0/31"), ("tun0", "198.19.0.1/16"), ("eth0", "192.0.2.7/24"), ("a b", "198.18.0.1/15")}
    view = resources.View(addresses=frozenset(resources.Address(*each) for each in held))
    assert _machine(view, closed=False).elsewhere == ("tun0",)


def _machine(view: resources.View, *, closed: bool) -> text.Machine:
    return facts.machine(instances.Instance(), NOTHING, numbers.NumberAllocations(), view, closed=closed)


def test_it_is_off_again_before_the_last_rules_go(tmp_path: Path) -> None:
    ends = forwarding.Ends(tmp_path / "before.json", tmp_path / "ip_forward", tmp_path / "net")
    own, other = "table inet roadstead-main", "table inet roadstead-t-1"
    for before, tables, bridge, value in (
        (1, (own,), "", "1"),
        (0, (own, "table ip nat"), "", "0"),
        (0, (own, other), "", "1"),
        (0, (own,), "docker0", "1"),
    ):
        ends.record.unlink(missing_ok=True)
        forwarding.remember(ends.record, before)
        ends.setting.write_text("1\n")
        if bridge:
            (ends.links / bridge / "bridge").mkdir(parents=True)
        assert forwarding.end(instances.Instance(), tables, ends) is (value == "0")
        assert ends.setting.read_text().strip() == value
    assert not forwarding.end(instances.Instance(machine_netns=tmp_path), (own,), ends)
