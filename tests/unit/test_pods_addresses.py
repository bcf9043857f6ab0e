"""The book of a node's addresses: nobody's address is another's, and what was freed last is given last."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.pods import addresses as pod_addresses
from roadstead.agent.pods import cni
from roadstead.core import errors

PREFIX = "10.0.0.16/28"
NOBODY: frozenset[str] = frozenset()


def entry(name: str, address: str, device: str = "eth0") -> pod_addresses.PodAddress:
    return pod_addresses.PodAddress(name, device, "roadstead", address)


def freed(book: pod_addresses.PodAddresses, name: str) -> pod_addresses.PodAddresses:
    return pod_addresses.without(book, lambda each: each.container == name)


def test_every_address_of_a_prefix_is_a_pods_but_the_nodes_own() -> None:
    book = pod_addresses.PodAddresses()
    given: list[str] = []
    while (address := pod_addresses.free_address(book, (PREFIX, "10.0.1.0/31"), frozenset(("10.0.0.20",)))) is not None:
        given.append(address)
        book = pod_addresses.with_entry(book, entry(address, address))
    assert given == [f"10.0.0.{n}" for n in range(16, 32) if n != 20] + ["10.0.1.0", "10.0.1.1"]


def test_an_address_that_was_freed_comes_last_and_the_longest_free_first() -> None:
    book = pod_addresses.PodAddresses()
    for number in range(16, 19):
        book = pod_addresses.with_entry(book, entry(f"p{number}", f"10.0.0.{number}"))
    for name in ("p18", "p16"):
        book = freed(book, name)
    given = []
    while (address := pod_addresses.free_address(book, (PREFIX,), NOBODY)) is not None:
        given.append(address)
        book = pod_addresses.with_entry(book, entry(address, address))
    assert given == [f"10.0.0.{n}" for n in range(19, 32)] + ["10.0.0.18", "10.0.0.16"]


def test_an_address_of_a_prefix_that_was_taken_away_is_not_given_again() -> None:
    book = freed(pod_addresses.with_entry(pod_addresses.PodAddresses(), entry("p", "10.9.0.1")), "p")
    assert book.freed == ("10.9.0.1",)
    for _ in range(16):
        address = pod_addresses.free_address(book, (PREFIX,), NOBODY)
        assert address is not None
        book = pod_addresses.with_entry(book, entry(address, address))
    assert pod_addresses.free_address(book, (PREFIX,), NOBODY) is None


def test_the_same_pod_again_replaces_its_entry() -> None:
    book = pod_addresses.with_entry(pod_addresses.PodAddresses(), entry("p", "10.0.0.16"))
    book = pod_addresses.with_entry(book, entry("p", "10.0.0.16", "eth1"))
    ports = (cni.Port("tcp", 80, 8080),)
    again = pod_addresses.with_entry(book, pod_addresses.PodAddress("p", "eth0", "roadstead", "10.0.0.16", ports))
    assert [each.key for each in again.entries] == [("p", "eth1"), ("p", "eth0")]
    found = again.find("p", "eth0")
    assert found is not None
    assert found.ports == ports
    assert again.find("q", "eth0") is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 19)), max_size=60))
def test_no_address_is_had_by_two(steps: list[tuple[bool, int]]) -> None:
    book = pod_addresses.PodAddresses()
    for comes, number in steps:
        name = f"p{number}"
        if not comes:
            book = freed(book, name)
        elif book.find(name, "eth0") is None:
            address = pod_addresses.free_address(book, (PREFIX,), NOBODY)
            assert (address is None) == (len(book.entries) == 16)
            if address is not None:
                book = pod_addresses.with_entry(book, entry(name, address))
        held = [each.address for each in book.entries]
        assert len(held) == len(set(held))
        assert not set(held) & set(book.freed)
        assert len(book.freed) == len(set(book.freed))


def test_a_book_outlives_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "pods.json"
    assert pod_addresses.load(path) == pod_addresses.PodAddresses()
    book = freed(pod_addresses.with_entry(pod_addresses.PodAddresses(), entry("p", "10.0.0.16")), "p")
    book = pod_addresses.with_entry(
        book, pod_addresses.PodAddress("q", "eth0", "n", "10.0.0.17", (cni.Port("udp", 53, 53, "10.0.0.4"),))
    )
    pod_addresses.save(path, book)
    assert pod_addresses.load(path) == book
    assert [file.name for file in tmp_path.iterdir()] == ["pods.json"]
    with pytest.raises(errors.NotFound, match="being removed"):
        pod_addresses.save(tmp_path / "gone" / "pods.json", book)
    path.write_text("")
    with pytest.raises(errors.Failed, match="cannot be read"):
        pod_addresses.load(path)
