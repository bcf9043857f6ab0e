"""What every store keeps of the interface's promises: the real one on real files, and the one in memory of the worlds.

Whoever writes another store adds it to STORES.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TypeAlias

import pytest
from testkit.worlds import memory

from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes
from roadstead.store.sqlite import local

Run: TypeAlias = Callable[[Callable[[interface.Store], Awaitable[None]]], None]


def real(folder: Path) -> AbstractAsyncContextManager[interface.Store]:
    return local.opened(local.Places(folder))


def in_memory(_: Path) -> AbstractAsyncContextManager[interface.Store]:
    return nullcontext(memory.MemoryStore())


STORES = {"files": real, "memory": in_memory}


@pytest.fixture(params=STORES)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Lives a story over a new store."""

    async def bounded(story: Callable[[interface.Store], Awaitable[None]]) -> None:
        async with asyncio.timeout(120), STORES[request.param](tmp_path) as store:
            await story(store)

    return lambda story: asyncio.run(bounded(story))


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


def below(*names: str, kind: str = "cluster") -> keys.Prefix:
    return keys.Prefix("012345678901", "eu-central-1", kind, *names)


async def observation(store: interface.Store, of: keys.Key) -> facts.Observation:
    state = await store.get(of)
    assert state is not None
    assert state.observation is not None
    return state.observation


async def take(watch: AsyncIterator[facts.Changes], count: int) -> list[facts.Changes]:
    return [await anext(watch) for _ in range(count)]


def test_expectations_of_a_put(run: Run) -> None:
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

    run(story)


def test_of_many_who_would_be_the_first_one_is(run: Run) -> None:
    async def story(store: interface.Store) -> None:
        puts = [store.put(key("a"), str(n).encode(), writes.Absent()) for n in range(50)]
        answers = await asyncio.gather(*puts, return_exceptions=True)
        won = [n for n, answer in enumerate(answers) if isinstance(answer, int)]
        assert len(won) == 1
        assert sum(isinstance(answer, errors.AlreadyExists) for answer in answers) == 49
        state = await store.get(key("a"))
        assert state is not None
        assert state.desired.body == str(won[0]).encode()

    run(story)


def test_counting_by_compare_and_set_loses_no_count(run: Run) -> None:
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

    run(story)


def test_a_transaction_is_all_or_nothing_under_one_revision(run: Run) -> None:
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

    run(story)


def test_a_failed_neighbour_in_the_group_changes_nothing_for_the_others(run: Run) -> None:
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

    run(story)


def test_an_observation_belongs_to_a_desired_state_and_never_goes_back(run: Run) -> None:
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

    run(story)


def test_a_thing_made_again_has_nothing_of_its_namesake(run: Run) -> None:
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

    run(story)


def test_deciding_from_a_list_holds_only_while_nothing_below_it_changes(run: Run) -> None:
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

    run(story)


def test_lists_are_by_key_in_pages_and_below_their_prefix(run: Run) -> None:
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

    run(story)


def test_records_are_read_in_both_directions_by_key_and_by_prefix(run: Run) -> None:
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

    run(story)


def test_what_no_store_could_take_is_refused(run: Run) -> None:
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

    run(story)


def test_a_watch_tells_what_was_and_what_comes_and_how_it_was_grouped(run: Run) -> None:
    async def story(store: interface.Store) -> None:
        start = store.revision
        one = await store.put(key("a"), b"")
        two = await store.commit(
            writes.Observe(key("a"), b"up", one), writes.Append(key("a", kind="event"), b"", at=0.0)
        )
        watch = store.watch(start)
        assert await take(watch, 2) == [
            facts.Changes(one, (facts.Change(facts.ChangedPart.DESIRED, key("a")),)),
            facts.Changes(
                two,
                (
                    facts.Change(facts.ChangedPart.OBSERVED, key("a")),
                    facts.Change(facts.ChangedPart.RECORDS, key("a", kind="event")),
                ),
            ),
        ]
        coming = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        assert not coming.done()
        three = await store.commit(writes.Delete(key("a")), writes.PutSecret(key("s"), b"value"))
        assert await coming == facts.Changes(
            three,
            (
                facts.Change(facts.ChangedPart.DESIRED, key("a"), deleted=True),
                facts.Change(facts.ChangedPart.OBSERVED, key("a"), deleted=True),
                facts.Change(facts.ChangedPart.SECRET, key("s")),
            ),
        )
        assert await take(store.watch(two), 1) == [await anext(store.watch(two))]

    run(story)


def test_a_watch_of_a_prefix_is_told_of_nothing_else(run: Run) -> None:
    async def story(store: interface.Store) -> None:
        watch = store.watch(store.revision, keys.Prefix("012345678901", "eu-central-1", "cluster"))
        await store.put(key("a", kind="subnet"), b"")
        revision = await store.commit(writes.Put(key("b", kind="subnet"), b""), writes.Put(key("b"), b""))
        assert await anext(watch) == facts.Changes(revision, (facts.Change(facts.ChangedPart.DESIRED, key("b")),))

    run(story)


def test_list_and_watch_miss_nothing_while_others_write(run: Run) -> None:
    async def story(store: interface.Store) -> None:
        async def fill(start: int) -> None:
            for n in range(start, start + 40):
                await store.put(key(str(n)), b"")

        filling = [asyncio.ensure_future(fill(100 * n)) for n in range(5)]
        await asyncio.sleep(0.005)
        page = await store.list(limit=1_000)
        known = {one.key for one in page.items}
        revision = page.revision
        # All of them may have been quicker.
        if len(known) < 200:
            async for changes in store.watch(page.revision):
                assert changes.revision > revision
                revision = changes.revision
                known |= {change.key for change in changes.changes}
                if len(known) == 200:
                    break
        await asyncio.gather(*filling)

    run(story)


def test_a_long_past_is_told_in_whole_transactions(run: Run) -> None:
    async def story(store: interface.Store) -> None:
        start = store.revision
        revisions = [
            await store.commit(*(writes.Put(key(f"{n}-{m}"), b"") for m in range(writes.MOST))) for n in range(9)
        ]
        told = await take(store.watch(start), 9)
        assert [one.revision for one in told] == revisions
        assert {len(one.changes) for one in told} == {writes.MOST}

    run(story)
