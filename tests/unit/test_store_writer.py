"""The writer's thread: what is flushed, what a group is, and a disk that fails."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import keys, writes
from roadstead.store.sqlite import apply, database, local, sealing, writer


def key(*names: str) -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", "cluster", *names)


class Bench:
    """A writer without its thread, on a real file."""

    def __init__(self, folder: Path) -> None:
        sealing.create(folder / "secrets.key")
        self.path = folder / "store.db"
        self.connection = database.writing(self.path)
        self.counter = database.count_on(self.connection, "boot")
        hand = apply.Applier(self.connection, sealing.read(folder / "secrets.key"))
        self.writer: writer.Writer[None] = writer.Writer(hand, self.counter, lambda *_: None, writer.WriterLimits())

    def commit(self, *transactions: tuple[writes.Write, ...]) -> list[writer.Outcome]:
        return self.writer.commit([writer.WriteJob(transaction, None) for transaction in transactions])

    def flushed(self) -> bool:
        """Whether the last commit waited for the disk."""
        level: int = self.connection.execute("PRAGMA synchronous").fetchone()[0]
        return {1: False, 2: True}[level]

    def kept(self, name: str) -> bytes | None:
        """What another process would see."""
        with closing(sqlite3.connect(self.path)) as other:
            row = other.execute("SELECT body FROM desired WHERE key = ?", (key(name).text,)).fetchone()
        return None if row is None else row[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.connection.close()


def test_only_observations_alone_are_not_flushed(bench: Bench) -> None:
    (generation,) = bench.commit((writes.Put(key("a"), b""),))
    assert isinstance(generation, int)
    assert bench.flushed()
    assert bench.commit((writes.Observe(key("a"), b"1", generation),)) == [generation + 1]
    assert not bench.flushed()
    durable: list[writes.Write] = [
        writes.Put(key("b"), b""),
        writes.Delete(key("b")),
        writes.Append(key("a"), b"", at=0.0),
        writes.PutSecret(key("s"), b""),
        writes.DeleteSecret(key("s")),
    ]
    for number, write in enumerate(durable):
        bench.commit((write,))
        assert bench.flushed(), write
        bench.commit((writes.Observe(key("a"), f"again {number}".encode(), generation),))
        assert not bench.flushed()
    bench.commit((writes.Observe(key("a"), b"x", generation),), (writes.Put(key("c"), b""),))
    assert bench.flushed(), "one in the group is enough"


def test_revisions_without_a_flush_are_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MARGIN", 20)
    (generation,) = bench.commit((writes.Put(key("a"), b""),))
    assert isinstance(generation, int)
    flushes = []
    for number in range(50):
        bench.commit((writes.Observe(key("a"), str(number).encode(), generation),))
        flushes.append(bench.flushed())
    assert flushes == ([False] * 20 + [True]) * 2 + [False] * 8


def test_each_of_a_group_has_its_own_answer(bench: Bench) -> None:
    outcomes = bench.commit(
        (writes.Put(key("a"), b"1", writes.Absent()),),
        (writes.Put(key("a"), b"2", writes.Absent()), writes.Put(key("b"), b"2")),
        (writes.Delete(key("none")),),
        (writes.Put(key("a"), b"3", writes.Present()),),
    )
    assert outcomes[0] == bench.counter.revision + 1
    assert isinstance(outcomes[1], errors.AlreadyExists)
    assert outcomes[2:] == [outcomes[0], bench.counter.revision + 2]
    assert (bench.kept("a"), bench.kept("b")) == (b"3", None)


def test_a_full_disk_refuses_what_has_no_room_and_nothing_else(bench: Bench) -> None:
    pages: int = bench.connection.execute("PRAGMA page_count").fetchone()[0]
    bench.connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    large = os.urandom(writes.LARGEST)
    outcomes = bench.commit(
        (writes.Put(key("a"), b"1"),),
        (writes.Put(key("b"), b"1"), writes.Put(key("large"), large)),
        (writes.Put(key("c"), b"1"),),
    )
    assert isinstance(outcomes[0], int)
    assert outcomes[2] == outcomes[0] + 1
    assert isinstance(outcomes[1], errors.Failed)
    assert "nothing of it was kept" in str(outcomes[1])
    assert [bench.kept(name) for name in ("a", "b", "large", "c")] == [b"1", None, None, b"1"]


def test_a_store_whose_disk_failed_writes_no_more(bench: Bench) -> None:
    """After a failed flush nobody knows what of the log is on the disk; nothing may be built upon it."""
    bench.commit((writes.Put(key("a"), b"1"),))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (database.log_of(bench.path).stat().st_size, hard))
    try:
        outcomes = bench.commit((writes.Put(key("b"), b"1"),), (writes.Put(key("c"), b"1"),))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    outcomes += bench.commit((writes.Put(key("d"), b"1"),))
    for outcome in outcomes:
        assert isinstance(outcome, errors.Failed)
        assert "stopped writing" in str(outcome)
    assert [bench.kept(name) for name in "abcd"] == [b"1", None, None, None]


def test_who_goes_on_together_is_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = writer.Writer.commit

    def counted(self: writer.Writer[object], group: list[writer.WriteJob[object]]) -> list[writer.Outcome]:
        groups.append(len(group))
        return commit(self, group)

    monkeypatch.setattr(writer.Writer, "commit", counted)

    async def client(store: local.LocalStore, name: str) -> None:
        for number in range(5):
            await store.put(key(name), str(number).encode())

    async def story() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(tmp_path)) as store:
            assert isinstance(store, local.LocalStore)
            await asyncio.gather(*(client(store, str(number)) for number in range(16)))

    asyncio.run(story())
    assert groups == [16] * 5


def test_more_than_can_wait_are_told_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MOST_WAITING", 10)

    async def story() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(tmp_path)) as store:
            puts = [store.put(key(str(number)), b"") for number in range(15)]
            answers = await asyncio.gather(*puts, return_exceptions=True)
            assert [isinstance(answer, errors.Busy) for answer in answers] == [False] * 10 + [True] * 5
            assert await store.put(key("later"), b"") > 0

    asyncio.run(story())
