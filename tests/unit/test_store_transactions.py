"""The store's promises about transactions, on real files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import facts, interface, keys, local, writes


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


def below(*names: str, kind: str = "cluster") -> keys.Prefix:
    return keys.Prefix("012345678901", "eu-central-1", kind, *names)


def run(folder: Path, story: Callable[[interface.Store], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder)) as store:
            await story(store)

    asyncio.run(bounded())


async def observation(store: interface.Store, of: keys.Key) -> facts.Observation:
    state = await store.get(of)
    assert state is not None
    assert state.observation is not None
    return state.observation


def test_what_is_put_is_there_and_after_opening_again(tmp_path: Path) -> None:
    kept: list[facts.State | None] = []

    async def first(store: interface.Store) -> None:
        assert await store.get(key("a")) is None
        generation = await store.put(key("a"), b"one")
        assert await store.get(key("a")) == facts.State(facts.Desired(key("a"), b"one", generation, generation), None)
        again = await store.put(key("a"), b"two")
        assert again > generation
        await store.observe(key("a"), b"seen", generation)
        kept.append(await store.get(key("a")))
        assert kept[0] is not None
        assert kept[0].desired == facts.Desired(key("a"), b"two", again, generation)
        assert not kept[0].current

    async def second(store: interface.Store) -> None:
        assert kept[0] is not None
        assert kept[0].observation is not None
        assert await store.get(key("a")) == kept[0]
        assert store.revision == kept[0].observation.revision

    run(tmp_path, first)
    run(tmp_path, second)


def test_expectations_of_a_put(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        with pytest.raises(errors.NotFound):
            await store.put(key("a"), b"", writes.Present())
        with pytest.raises(errors.NotFound):
            await store.put(key("a"), b"", writes.At(1))
        first = await store.put(key("a"), b"1", writes.Absent())
        with pytest.raises(errors.AlreadyExists):
            await store.put(key("a"), b"2", writes.Absent())
        second = await store.put(key("a"), b"2", writes.At(first))
        with pytest.raises(errors.Conflict, match=f"at {second} and not at {first}"):
            await store.put(key("a"), b"3", writes.At(first))
        with pytest.raises(errors.Conflict):
            await store.delete(key("a"), writes.At(first))
        state = await store.get(key("a"))
        assert state is not None
        assert state.desired.body == b"2"
        await store.delete(key("a"), writes.At(second))
        assert await store.get(key("a")) is None
        with pytest.raises(errors.NotFound):
            await store.delete(key("a"), writes.Present())

    run(tmp_path, story)


def test_of_many_who_would_be_the_first_one_is(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        puts = [store.put(key("a"), str(n).encode(), writes.Absent()) for n in range(50)]
        answers = await asyncio.gather(*puts, return_exceptions=True)
        won = [n for n, answer in enumerate(answers) if isinstance(answer, int)]
        assert len(won) == 1
        assert sum(isinstance(answer, errors.AlreadyExists) for answer in answers) == 49
        state = await store.get(key("a"))
        assert state is not None
        assert state.desired.body == str(won[0]).encode()

    run(tmp_path, story)


def test_counting_by_compare_and_set_loses_no_count(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        await store.put(key("n"), b"0")

        async def add() -> None:
            while True:
                state = await store.get(key("n"))
                assert state is not None
                more = str(int(state.desired.body) + 1).encode()
                try:
                    await store.put(key("n"), more, writes.At(state.desired.generation))
                except errors.Conflict:
                    continue
                return

        await asyncio.gather(*(add() for _ in range(30)))
        state = await store.get(key("n"))
        assert state is not None
        assert state.desired.body == b"30"

    run(tmp_path, story)


def test_a_transaction_is_all_or_nothing_under_one_revision(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        await store.put(key("there"), b"")
        before = store.revision
        with pytest.raises(errors.AlreadyExists):
            await store.commit(
                writes.Put(key("a"), b"1"),
                writes.Append(key("a", kind="event"), b"made", at=1.0),
                writes.PutSecret(key("a", kind="secret"), b"s"),
                writes.Delete(key("there")),
                writes.Put(key("there", "b"), b"", writes.Absent()),
                writes.Require(key("there"), writes.Absent()),
            )
        assert store.revision == before
        assert await store.get(key("a")) is None
        assert await store.get(key("there")) is not None
        assert await store.records(key("a", kind="event")) == ()
        assert await store.secret(key("a", kind="secret")) is None
        revision = await store.commit(
            writes.Put(key("a"), b"1"),
            writes.Append(key("a", kind="event"), b"made", at=1.5),
            writes.Append(key("a", kind="event"), b"and more", at=1.5),
            writes.PutSecret(key("a", kind="secret"), b"s"),
            writes.Require(key("there"), writes.Present()),
        )
        assert revision == before + 1 == store.revision
        records = await store.records(key("a", kind="event"))
        assert [(one.body, one.at, one.revision) for one in records] == [
            (b"made", 1.5, revision),
            (b"and more", 1.5, revision),
        ]

    run(tmp_path, story)


def test_a_failed_neighbour_in_the_group_changes_nothing_for_the_others(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        await store.put(key("taken"), b"")
        answers = await asyncio.gather(
            *(store.put(key("taken" if n % 3 == 0 else str(n)), b"", writes.Absent()) for n in range(30)),
            return_exceptions=True,
        )
        for n, answer in enumerate(answers):
            if n % 3 == 0:
                assert isinstance(answer, errors.AlreadyExists)
            else:
                state = await store.get(key(str(n)))
                assert state is not None
                assert state.desired.generation == answer

    run(tmp_path, story)


def test_an_observation_belongs_to_a_desired_state_and_never_goes_back(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        with pytest.raises(errors.NotFound):
            await store.observe(key("a"), b"", 1)
        first = await store.put(key("a"), b"1")
        with pytest.raises(errors.Invalid):
            await store.observe(key("a"), b"", first + 1)
        revision = await store.observe(key("a"), b"seen", first)
        assert await store.observe(key("a"), b"seen", first) == revision, "the same again is no change"
        second = await store.put(key("a"), b"2")
        later = await store.observe(key("a"), b"late", first)
        assert later > second, "what is seen of an older generation is better than nothing"
        await store.observe(key("a"), b"late", second)
        with pytest.raises(errors.Conflict):
            await store.observe(key("a"), b"too late", first)
        seen = await observation(store, key("a"))
        assert (seen.body, seen.generation) == (b"late", second)
        with pytest.raises(errors.Conflict):
            await store.commit(writes.Observe(key("a"), b"x", second, writes.At(later)))
        await store.commit(writes.Observe(key("a"), b"x", second, writes.At(seen.revision)))

    run(tmp_path, story)


def test_a_thing_made_again_has_nothing_of_its_namesake(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        old = await store.put(key("a"), b"old")
        await store.observe(key("a"), b"old is up", old)
        await store.delete(key("a"))
        new = await store.put(key("a"), b"new", writes.Absent())
        assert new > old
        state = await store.get(key("a"))
        assert state is not None
        assert state.observation is None
        with pytest.raises(errors.Conflict):
            await store.observe(key("a"), b"old is up", old)

    run(tmp_path, story)


def test_deciding_from_a_list_holds_only_while_nothing_below_it_changes(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        await store.put(key("a"), b"")
        page = await store.list(below())
        await store.put(key("x", kind="subnet"), b"")
        generation = await store.put(key("b"), b"")
        with pytest.raises(errors.Conflict, match="list again"):
            await store.commit(writes.Unchanged(below(), page.revision), writes.Put(key("c"), b""))
        page = await store.list(below())
        await store.observe(key("b"), b"seen", generation)
        await store.commit(writes.Unchanged(below(), page.revision), writes.Put(key("c"), b""))
        with pytest.raises(errors.Conflict):
            await store.commit(writes.Unchanged(below(), page.revision), writes.Put(key("d"), b""))

    run(tmp_path, story)


def test_lists_are_by_key_in_pages_and_below_their_prefix(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        names = [f"n{n:02}" for n in range(25)]
        others = [
            keys.Key("012345678901", "us-east-1", "cluster", "far"),
            keys.Key("109876543210", "eu-central-1", "cluster", "foreign"),
            key("n00", "pool", kind="nodegroup"),
        ]
        await store.commit(*(writes.Put(key(name), b"") for name in reversed(names)))
        await store.commit(*(writes.Put(other, b"") for other in others))
        found: list[str] = []
        after = None
        sizes: list[int] = []
        while True:
            page = await store.list(below(), after=after, limit=10)
            found += [state.key.names[0] for state in page.items]
            sizes.append(len(page.items))
            after = page.next
            if after is None:
                break
        assert found == names
        assert sizes == [10, 10, 5]
        assert (await store.list(below(), limit=25)).next is None
        clusters = await store.list(kind="cluster")
        assert {one.key for one in clusters.items} == {*map(key, names), *others[:2]}
        assert len((await store.list()).items) == 28
        assert [one.key for one in (await store.list(below("n00", kind="nodegroup"))).items] == [others[2]]
        for limit in (0, interface.LONGEST_PAGE + 1):
            with pytest.raises(errors.Invalid):
                await store.list(limit=limit)

    run(tmp_path, story)


def test_records_are_read_in_both_directions_by_key_and_by_prefix(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        events = [key(name, kind="event") for name in ("a", "b")]
        for n in range(6):
            await store.append(events[n % 2], str(n).encode(), at=float(n))
        await store.append(key("a", kind="update"), b"other", at=9.0)

        async def bodies(of: keys.Key | keys.Prefix, after: int | None = None, newest: bool = False) -> str:
            found = await store.records(of, after=after, newest=newest, limit=4)
            return "".join(one.body.decode() for one in found)

        numbers = [one.number for one in await store.records(below(kind="event"))]
        assert await bodies(events[0]) == "024"
        assert await bodies(events[1], newest=True) == "531"
        assert await bodies(below(kind="event")) == "0123"
        assert await bodies(below(kind="event"), after=numbers[3]) == "45"
        assert await bodies(below(kind="event"), newest=True) == "5432"
        assert await bodies(below(kind="event"), newest=True, after=numbers[2]) == "10"
        assert await bodies(keys.Prefix("012345678901"), newest=True) == "other543"

    run(tmp_path, story)


def test_what_no_store_could_take_is_refused(tmp_path: Path) -> None:
    refused: list[tuple[writes.Write, ...]] = [
        (writes.Put(key("a"), b"x" * (writes.LARGEST + 1)),),
        (writes.PutSecret(key("a"), b"x" * (writes.LARGEST + 1)),),
        (writes.Append(key("a"), b"", at=float("nan")),),
        (writes.Put(key("a"), b""), writes.Put(key("a"), b"")),
        (writes.Put(key("a"), b""), writes.Delete(key("a"))),
        (writes.Observe(key("a"), b"", 1), writes.Delete(key("a"))),
        tuple(writes.Put(key(str(n)), b"") for n in range(writes.MOST + 1)),
    ]

    async def story(store: interface.Store) -> None:
        for transaction in refused:
            with pytest.raises(errors.Invalid):
                await store.commit(*transaction)
        assert (await store.list()).items == ()

    run(tmp_path, story)


def test_who_is_cancelled_disturbs_nobody_and_what_was_sent_at_the_end_is_kept(tmp_path: Path) -> None:
    last: list[asyncio.Task[int]] = []

    async def put(store: interface.Store, name: str) -> int:
        return await store.put(key(name), b"")

    async def story(store: interface.Store) -> None:
        cancelled = asyncio.create_task(put(store, "cancelled"))
        other = asyncio.create_task(put(store, "other"))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await other > 0
        last.append(asyncio.create_task(put(store, "last")))
        await asyncio.sleep(0)

    async def after(store: interface.Store) -> None:
        assert await store.get(key("last")) is not None

    async def both() -> None:
        async with local.opened(local.Places(tmp_path)) as store:
            await story(store)
        assert await last[0] > 0
        with pytest.raises(errors.Failed, match="closed"):
            await store.put(key("never"), b"")

    asyncio.run(both())
    run(tmp_path, after)
