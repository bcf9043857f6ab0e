"""The one writer: a thread that commits the transactions of many callers with one flush, and gives each its answer.

While the disk flushes, the next transactions gather; so the more callers, the larger the groups. A group is one
transaction of the database in which each caller's stands or falls by itself: expectations are checked before anything
of it is written. When the database refuses the group, its transactions are tried one by one.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

from roadstead.core import errors
from roadstead.store import facts, writes
from roadstead.store.sqlite import apply, database

LARGEST_GROUP = 512
"""Transactions in one group."""

# Errors after which nothing that was written before the last flush can be trusted to be in the log (a failed fsync
# is not repeated by the kernel), so that nothing may be built upon it.
_FATAL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

Ticket = TypeVar("Ticket")
Outcome: TypeAlias = int | Exception
"""The store's revision when the transaction was done, or why nothing of it was kept."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WriteJob(Generic[Ticket]):
    """One transaction; the ticket is its caller's."""

    transaction: tuple[writes.Write, ...]
    ticket: Ticket


@dataclass(frozen=True)
class WriterLimits:
    """changes: how many changes are known at least, if there were so many; a quarter more at most."""

    changes: int = 10_000


class Writer(Generic[Ticket]):
    """Started by `start`, ended by `stop`. `answer` is called in the writer's thread for each group."""

    def __init__(
        self,
        applier: apply.Applier,
        counter: database.Counter,
        answer: Callable[[list[tuple[Ticket, Outcome]], int], None],
        limits: WriterLimits,
    ) -> None:
        self._applier = applier
        self._connection = applier.connection
        self._counter = counter
        self._answer = answer
        self._limits = limits
        self._logged: int = self._connection.execute("SELECT count(*) FROM changes").fetchone()[0]
        self._broken: str | None = None
        self._flushing = True
        self._connection.execute("PRAGMA synchronous=FULL")
        self._jobs: queue.SimpleQueue[Sequence[WriteJob[Ticket]] | None] = queue.SimpleQueue()
        # A daemon: a process that ends without `stop` ends as if it was killed, which the database bears.
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, jobs: Sequence[WriteJob[Ticket]]) -> None:
        """From any thread, and returns at once: each job is answered by `answer`."""
        self._jobs.put(jobs)

    def stop(self) -> None:
        """Write all that was submitted, and return when that is answered."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._gather()
            if group:
                outcomes = self.commit(group)
                self._answer(
                    [(job.ticket, outcome) for job, outcome in zip(group, outcomes, strict=True)],
                    self._counter.revision,
                )

    def _gather(self) -> tuple[list[WriteJob[Ticket]], bool]:
        """What has gathered, at least one; False when this was the last."""
        group: list[WriteJob[Ticket]] = []
        while len(group) < LARGEST_GROUP:
            try:
                jobs = self._jobs.get(block=not group)
            except queue.Empty:
                break
            if jobs is None:
                return group, False
            group += jobs
        return group, True

    def commit(self, group: Sequence[WriteJob[Ticket]]) -> list[Outcome]:
        """Commit a group; an outcome for each."""
        if self._broken is not None:
            return [self._refusal(self._broken) for _ in group]
        try:
            return self._together([job.transaction for job in group])
        except Exception as error:
            if isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF in _FATAL:
                self._broken = str(error)
                log.error("the store stops writing: %s", error)
                return [self._refusal(self._broken) for _ in group]
            if len(group) > 1:
                return [outcome for job in group for outcome in self.commit([job])]
            return [errors.Failed(f"the store could not keep the change, nothing of it was kept: {error}", error=error)]

    def _refusal(self, why: str) -> errors.Failed:
        return errors.Failed(
            f"the store has stopped writing, since the disk failed it ({why}): look after the disk, then start again"
        )

    def _together(self, transactions: Sequence[tuple[writes.Write, ...]]) -> list[Outcome]:
        counter = self._counter
        logged = self._logged
        flush = any(map(writes.durable, transactions)) or counter.revision + len(transactions) > counter.ceiling
        self._set_flushing(flush)
        outcomes: list[Outcome] = []
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for transaction in transactions:
                try:
                    changes = self._applier.apply(transaction, counter.revision + 1)
                except errors.Error as error:
                    outcomes.append(error)
                    continue
                if changes:
                    counter = replace(counter, revision=counter.revision + 1)
                    self._log(counter.revision, changes)
                    logged += len(changes)
                outcomes.append(counter.revision)
            if counter != self._counter:
                if flush:
                    counter = replace(counter, ceiling=counter.revision + database.MARGIN)
                if logged > self._limits.changes * 5 // 4:
                    counter, logged = self._compact(counter, logged)
                database.keep(self._connection, counter)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        self._counter, self._logged = counter, logged
        return outcomes

    def _set_flushing(self, flush: bool) -> None:
        """Whether the commits from now on wait for the disk."""
        if flush != self._flushing:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
            self._flushing = flush

    def _log(self, revision: int, changes: list[facts.Change]) -> None:
        self._connection.executemany(
            "INSERT INTO changes (revision, position, part, key, deleted) VALUES (?, ?, ?, ?, ?)",
            [
                (revision, position, change.part.value, change.key.text, change.deleted)
                for position, change in enumerate(changes)
            ],
        )

    def _compact(self, counter: database.Counter, logged: int) -> tuple[database.Counter, int]:
        """Forget the oldest changes, whole transactions at a time."""
        row = self._connection.execute(
            "SELECT revision FROM changes ORDER BY revision DESC, position DESC LIMIT 1 OFFSET ?",
            (self._limits.changes,),
        ).fetchone()
        # The transaction at the edge stays: so at least as many are known as promised.
        oldest: int = row[0] - 1
        gone = self._connection.execute("DELETE FROM changes WHERE revision <= ?", (oldest,)).rowcount
        return replace(counter, compacted=oldest), logged - gone
