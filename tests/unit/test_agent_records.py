"""What the agent keeps on disk, in blobs and in its journal."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from roadstead.agent.records import begun, blobs, host_ids, observation_log
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired, observed
from roadstead.core import errors


def zone(id: str, generation: int = 1) -> store.DesiredRecord:
    return store.understood("zones", id, generation, '{"state":"up"}', False)


def test_what_was_committed_is_there_for_the_next_agent(tmp_path: Path) -> None:
    first = store.DesiredStore(tmp_path / "desired.db")
    first.commit([zone("a"), zone("b", 7)])
    uid = host_ids.HostIds(first).uid("h", "main")
    first.close()
    again = store.DesiredStore(tmp_path / "desired.db")
    assert {record.id: record.generation for record in again.records.values()} == {"a": 1, "b": 7}
    assert again.records["zones", "a"].spec == desired.Zone(state="up")
    assert host_ids.HostIds(again).uid("h", "main") == uid
    assert (tmp_path / "desired.db").stat().st_mode & 0o777 == 0o600
    again.close()


def test_what_this_agent_does_not_understand_is_kept_word_by_word(tmp_path: Path) -> None:
    first = store.DesiredStore(tmp_path / "desired.db")
    first.commit(
        [
            store.DesiredRecord("zones", "a", 3, '{"state":"dim","light":0.5}'),
            store.DesiredRecord("moons", "m", 1, "{}"),
        ]
    )
    first.close()
    again = store.DesiredStore(tmp_path / "desired.db")
    record = again.records["zones", "a"]
    assert record.spec is None
    assert "light" in record.trouble or "state" in record.trouble
    assert record.text == '{"state":"dim","light":0.5}'
    assert "no kind 'moons'" in again.records["moons", "m"].trouble
    again.close()


def test_a_damaged_database_is_named_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "desired.db"
    path.write_bytes(b"this is no database" * 1000)
    before = path.read_bytes()
    with pytest.raises(errors.Failed, match="damaged"):
        store.DesiredStore(path)
    assert path.read_bytes() == before


def test_a_commit_is_whole_or_not_at_all(tmp_path: Path) -> None:
    records = store.DesiredStore(tmp_path / "desired.db")
    records.commit([zone("a")])
    broken = store.DesiredRecord("zones", "c", 1, None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        records.commit([zone("b"), broken])
    assert set(records.records) == {("zones", "a")}
    records.close()
    again = store.DesiredStore(tmp_path / "desired.db")
    assert set(again.records) == {("zones", "a")}
    again.close()


def test_each_node_has_ids_of_its_own_until_it_is_gone(tmp_path: Path) -> None:
    first = store.DesiredStore(tmp_path / "desired.db")
    ids = host_ids.HostIds(first)
    assert ids.range("n1") is None
    assert not ids.range_given()
    given = [ids.give_range(f"n{number}", "main") for number in range(20)]
    assert ids.give_range("n3", "main") == given[3]
    taken = {id for one in given for id in (one.first, one.first + one.size - 1)}
    assert len(taken) == 40
    assert min(taken) >= 1 << 31
    first.close()
    again = store.DesiredStore(tmp_path / "desired.db")
    ids = host_ids.HostIds(again)
    assert [ids.range(f"n{number}") for number in range(20)] == given
    ids.forget("n7")
    assert ids.range("n7") is None
    assert ids.give_range("new", "main") == given[7]
    for number in range(20):
        ids.forget(f"n{number}")
    ids.forget("new")
    # That there were some is known for good: none is made without any more.
    assert ids.range_given()
    again.close()


def test_each_host_has_a_uid_of_its_own_until_it_is_gone(tmp_path: Path) -> None:
    records = store.DesiredStore(tmp_path / "desired.db")
    ids = host_ids.HostIds(records)
    uids = [ids.uid(f"h{number}", "main") for number in range(50)]
    assert len(set(uids)) == 50
    assert min(uids) > 65536
    ids.forget("h7")
    assert ids.uid("new", "main") == uids[7]
    other = store.DesiredStore(tmp_path / "other.db")
    assert host_ids.HostIds(other).uid("h0", "t-other") not in uids
    records.close()
    other.close()


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_that_a_unit_was_ready_once_is_known_until_it_is_gone(tmp_path: Path) -> None:
    """A member of etcd whose disk was lost must not begin again with what it was first given."""
    first = store.DesiredStore(tmp_path / "desired.db")
    units = begun.BegunUnits(first)
    for unit in ("h-1/etcd", "h-2/etcd"):
        assert not units.has(unit)
        units.begin(unit)
        units.begin(unit)
    units.forget("h-2/etcd")
    first.close()
    again = store.DesiredStore(tmp_path / "desired.db")
    assert begun.BegunUnits(again).has("h-1/etcd")
    assert not begun.BegunUnits(again).has("h-2/etcd")
    again.close()


def test_a_blob_is_kept_whole_under_its_digest_or_not_at_all(tmp_path: Path) -> None:
    kept = blobs.Blobs(tmp_path / "blobs")
    digest = f"sha256:{hashlib.sha256(b'hello').hexdigest()}"
    assert asyncio.run(kept.keep(digest, _chunks(b"hel", b"lo"))) == 5
    assert kept.path(digest).read_bytes() == b"hello"
    assert kept.path(digest).stat().st_mode & 0o777 == 0o600
    wrong = f"sha256:{hashlib.sha256(b'other').hexdigest()}"
    with pytest.raises(errors.Invalid, match="have the digest"):
        asyncio.run(kept.keep(wrong, _chunks(b"hello")))
    assert not kept.has(wrong)
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [digest[7:]]
    with pytest.raises(errors.NotFound):
        kept.path(wrong)


def test_blobs_that_nothing_names_are_swept_when_they_are_old(tmp_path: Path) -> None:
    kept = blobs.Blobs(tmp_path / "blobs")
    digests = []
    for text in (b"used", b"old", b"fresh"):
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        asyncio.run(kept.keep(digest, _chunks(text)))
        digests.append(digest)
    for digest in digests[:2]:
        os.utime(kept.path(digest), (1000, 1000))
    assert kept.sweep({digests[0]}, older_than=2000) == [digests[1]]
    assert kept.has(digests[0])
    assert kept.has(digests[2])


def seen(id: str, phase: str = "ready") -> observed.Observation:
    return observed.Observation(kind="hosts", id=id, generation=1, phase=phase)  # type: ignore[arg-type]


def test_the_journal_counts_news_only() -> None:
    log = observation_log.ObservationLog(first=100)
    assert log.put(seen("a"))
    assert not log.put(seen("a"))
    assert log.put(seen("a", "failing"))
    log.gone(("hosts", "a"))
    log.gone(("hosts", "a"))
    assert [(change.revision, change.observation is None) for change in log.since(100)] == [
        (101, False),
        (102, False),
        (103, True),
    ]
    assert log.since(103) == []


def test_a_watch_goes_on_where_it_began_and_is_told_when_it_is_too_late() -> None:
    async def story() -> None:
        log = observation_log.ObservationLog(first=0)
        log.put(seen("a"))
        watch = log.watch(0)
        assert (await anext(watch)).id == "a"
        following = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        assert not following.done()
        log.put(seen("b"))
        assert (await following).id == "b"
        for number in range(5000):
            log.put(seen(f"h{number}"))
        with pytest.raises(errors.Gone, match="read the observations again"):
            await anext(watch)

    asyncio.run(story())


@pytest.mark.parametrize("revision", [-5, 99, 200])
def test_revisions_of_another_time_are_gone(revision: int) -> None:
    log = observation_log.ObservationLog(first=100)
    log.put(seen("a"))
    with pytest.raises(errors.Gone):
        log.since(revision)


OLDER = Path(__file__).parents[1] / "fixtures/agent-0.1/desired.json"


def older() -> list[tuple[str, str, str]]:
    """Kind, id and text of what release 0.1 was asked for: every kind, every field."""
    kept = msgspec.json.decode(OLDER.read_bytes())
    return [(kind, id, json.dumps(spec)) for kind, specs in kept.items() for id, spec in specs.items()]


@pytest.mark.parametrize(("kind", "id", "text"), older(), ids=lambda value: value if len(value) < 40 else "")
def test_what_an_older_agent_kept_is_understood(kind: str, id: str, text: str) -> None:
    record = store.understood(kind, id, 1, text, False)
    assert record.trouble == ""
    assert record.spec is not None
    if kind != "hosts":  # Of these see test_messages_earlier.
        assert json.loads(msgspec.json.encode(record.spec)) == json.loads(text)


def test_the_older_agents_wishes_name_every_kind() -> None:
    assert {kind for kind, _, _ in older()} == set(desired.KINDS)
