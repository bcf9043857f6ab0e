"""The tables as text: golden files, and no word that could be more than a word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from roadstead.agent.rules import tables, text

GOLDEN = Path(__file__).parent / "golden"

ROUTER = text.Router(
    uplink="up",
    router_address="198.18.0.1",
    machine_address="198.18.0.0",
    egress=True,
    entered=True,
    ports=(text.RouterPort(20000, "10.0.0.4", 6443),),
    services=("172.20.0.0/16", "10.100.0.0/16", "10.100.0.0/20"),
    black=frozenset(("rs000000000009", "rs000000000003")),
)
CLOSED = text.Router("up", "198.18.0.1", "198.18.0.0", egress=False, entered=False)
MACHINE = text.Machine(
    uplinks=(
        text.Uplink("rs000000000001", "198.18.0.1", ("198.19.0.0/26",), (990, 0)),
        text.Uplink("rs000000000002", "198.18.0.3", ("192.168.0.0/16", "100.64.0.0/16"), ()),
    ),
    ports=(
        text.MachinePort("127.0.0.1", 443, "198.18.0.1", 20000),
        text.MachinePort("0.0.0.0", 8443, "198.18.0.3", 20001),
        text.MachinePort("192.0.2.1", 9443, "198.18.0.3", 20002),
    ),
)
CLOSED_MACHINE = dataclasses.replace(MACHINE, closed=True, guests=("docker0", "virbr0"), elsewhere=("tun0",))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("router.nft", text.router("roadstead-main", ROUTER)),
        ("router-closed.nft", text.router("roadstead-main", CLOSED)),
        ("machine.nft", text.machine("roadstead-main", MACHINE)),
        ("machine-closed.nft", text.machine("roadstead-main", CLOSED_MACHINE)),
        ("machine-empty-closed.nft", text.machine("roadstead-main", text.Machine((), closed=True))),
        ("machine-empty.nft", text.machine("roadstead-main", text.Machine(()))),
    ],
)
def test_a_table_is_this_text(name: str, made: tables.Table) -> None:
    assert made.text() == (GOLDEN / name).read_text()


@pytest.mark.parametrize("word", ["", "a b", 'x"', "x;", "{", "a\n", "@set", "$x", "é", "10.0.0.0/8, 0.0.0.0/0"])
def test_what_could_be_more_than_a_word_is_refused(word: str) -> None:
    port = text.RouterPort(1, word, 1)
    uplink = text.Uplink(word, "198.18.0.1", (), ())
    cidr = text.Uplink("rs0", "198.18.0.1", (word,), (1,))
    makes: tuple[Callable[[], object], ...] = (
        lambda: text.router(word, ROUTER),
        lambda: text.router("t", text.Router(word, "1.1.1.1", "1.1.1.2", True, True)),
        lambda: text.router("t", text.Router("up", word, "1.1.1.2", True, True, (text.RouterPort(1, "1.1.1.1", 1),))),
        lambda: text.router("t", text.Router("up", "1.1.1.1", word, True, True)),
        lambda: text.router("t", text.Router("up", "1.1.1.1", "1.1.1.2", True, True, (port,))),
        lambda: text.router("t", text.Router("up", "1.1.1.1", "1.1.1.2", True, True, services=(word,))),
        lambda: text.machine("t", text.Machine((uplink,))),
        lambda: text.machine("t", text.Machine((cidr,))),
        lambda: text.machine("t", text.Machine((), (text.MachinePort(word, 1, "1.1.1.1", 1),))),
        lambda: text.machine("t", text.Machine((), closed=True, guests=(word,))),
        lambda: text.machine("t", text.Machine((), elsewhere=(word,))),
        lambda: text.router("t", dataclasses.replace(ROUTER, black=frozenset((word,)))),
        lambda: tables.removal(word),
        lambda: tables.Table(word, "").text(),
    )
    for make in makes:
        with pytest.raises(ValueError, match="does not belong in a rule"):
            make()
