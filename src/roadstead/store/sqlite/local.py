"""The store in a folder of this machine: sqlite, one writer's thread, reads in the event loop.

Reads are done in the event loop itself: a row from the page cache takes some ten microseconds, less than handing the
question to another thread. The write-ahead log lets them pass by the writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes
from roadstead.store.sqlite import apply, database, disk, reader, sealing, writer

MOST_WAITING = 10_000
"""Transactions that may wait for the writer."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Places:
    """The files of a store. The key file lies elsewhere if the setting says so: on another disk, out of the backup."""

    folder: Path
    key: Path | None = None

    @property
    def database(self) -> Path:
        return self.folder / "store.db"

    @property
    def lock(self) -> Path:
        """Locked by the process that has the store open."""
        return self.folder / "store.lock"

    @property
    def key_file(self) -> Path:
        """What secrets are sealed with."""
        return self.key or self.folder / "secrets.key"


@asynccontextmanager
async def opened(places: Places, limits: writer.WriterLimits | None = None) -> AsyncIterator[interface.Store]:
    """Open the store, or make a new one in a folder that has none (the folder is made too, 0700).

    Raises Failed, with nothing changed, for a store that is damaged, of a newer release, or without its key file;
    Busy when another process has it open. Takes some milliseconds, a few hundred for a store of 100 MB.
    """
    with ExitStack() as stack:
        yield _open(places, limits or writer.WriterLimits(), stack)


def _open(places: Places, limits: writer.WriterLimits, stack: ExitStack) -> LocalStore:
    places.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stack.enter_context(disk.locked(places.lock))
    exists = database.look(places.database)
    if not exists and not places.key_file.exists():
        sealing.create(places.key_file)
    sealer = sealing.read(places.key_file)
    connection = stack.enter_context(closing(database.writing(places.database)))
    with database.explained(places.database):
        _check_sealers(connection.execute("SELECT DISTINCT sealer FROM secrets").fetchall(), sealer, places)
        counter = database.count_on(connection, _BOOT.read_text().strip() if _BOOT.exists() else "")
        reading = reader.Reader(database.reading(places.database), places.database, sealer)
        stack.callback(reading.close)
        store = LocalStore(reading, apply.Applier(connection, sealer), counter, limits)
    stack.callback(store.close)
    return store


def _check_sealers(rows: Sequence[tuple[str]], sealer: sealing.Sealer, places: Places) -> None:
    missing = sorted({row[0] for row in rows} - set(sealer.ciphers))
    if missing:
        raise errors.Failed(
            f"secrets in {places.database} were sealed with the key {missing[0]}, which {places.key_file} lacks: "
            "restore the key file that belongs to it",
            path=places.key_file,
        )


class LocalStore(interface.Store):
    """See interface.Store. Made by `opened`."""

    def __init__(
        self, reading: reader.Reader, applier: apply.Applier, counter: database.Counter, limits: writer.WriterLimits
    ) -> None:
        self._reader = reading
        self._loop = asyncio.get_running_loop()
        self._revision = counter.revision
        self._moved = asyncio.Event()
        self._gathered: list[writer.WriteJob[asyncio.Future[int]]] = []
        self._waiting = 0
        self._closed = False
        self._writer = writer.Writer(applier, counter, self._answer_from_thread, limits)
        self._writer.start()

    def close(self) -> None:
        """Write what was committed, refuse everything after. Blocks for a flush or two."""
        self._closed = True
        self._submit()
        self._writer.stop()

    @property
    def revision(self) -> int:
        return self._revision

    async def commit(self, *transaction: writes.Write) -> int:
        writes.check(transaction)
        if self._closed:
            raise errors.Failed("the store is closed: nothing is kept any more")
        if self._waiting >= MOST_WAITING:
            raise errors.Busy(f"{self._waiting} changes wait for the disk already: try again", waiting=self._waiting)
        answer: asyncio.Future[int] = self._loop.create_future()
        self._waiting += 1
        self._gathered.append(writer.WriteJob(transaction, answer))
        if len(self._gathered) == 1:
            # At the end of this turn of the loop: all who were answered together and go on together are one group.
            self._loop.call_soon(self._submit)
        return await answer

    def _submit(self) -> None:
        jobs, self._gathered = self._gathered, []
        if jobs:
            self._writer.submit(jobs)

    def _answer_from_thread(self, answers: list[tuple[asyncio.Future[int], writer.Outcome]], revision: int) -> None:
        self._loop.call_soon_threadsafe(self._answer, answers, revision)

    def _answer(self, answers: list[tuple[asyncio.Future[int], writer.Outcome]], revision: int) -> None:
        self._waiting -= len(answers)
        for future, outcome in answers:
            if future.done():
                continue
            if isinstance(outcome, int):
                future.set_result(outcome)
            else:
                future.set_exception(outcome)
        if revision != self._revision:
            self._revision = revision
            self._moved.set()
            self._moved = asyncio.Event()

    async def get(self, key: keys.Key) -> facts.State | None:
        return self._reader.state(key)

    async def list(
        self,
        prefix: keys.Prefix = interface.ALL,
        *,
        kind: str | None = None,
        after: keys.Key | None = None,
        limit: int = 100,
    ) -> facts.Page[facts.State]:
        _check_limit(limit)
        # Before the list: a change that the list shows already may be told again, but none is missed.
        revision = self._revision
        found = self._reader.states(prefix, kind, after, limit + 1)
        items = found[:limit]
        return facts.Page(items, items[-1].key if len(found) > limit else None, revision)

    async def records(
        self,
        of: keys.Key | keys.Prefix,
        *,
        after: int | None = None,
        limit: int = 100,
        newest: bool = False,
    ) -> tuple[facts.Record, ...]:
        _check_limit(limit)
        return self._reader.records(of, after=after, limit=limit, newest=newest)

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        return self._reader.secret(key)

    async def watch(self, revision: int, prefix: keys.Prefix = interface.ALL) -> AsyncIterator[facts.Changes]:
        while True:
            moved = self._moved
            changes = self._reader.changes(revision)
            for one in changes:
                revision = one.revision
                covered = tuple(change for change in one.changes if prefix.covers(change.key))
                if covered:
                    yield facts.Changes(revision, covered)
            if not changes:
                await moved.wait()


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= interface.LONGEST_PAGE:
        raise errors.Invalid(f"a page of {limit}; 1 to {interface.LONGEST_PAGE} may be asked for", limit=limit)
