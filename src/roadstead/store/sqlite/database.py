"""Opening the database: looked at before anything may write to it, then brought forward.

One file holds everything, so that one log of changes has one order and a transaction may touch any of it. What costs
differs by the commit: `synchronous=FULL` flushes the write-ahead log to the disk before the answer, `NORMAL` does not.
As the log is one, a flush takes along all that was committed before, and a power cut can only cut off an end that
consists of observations alone.
"""

from __future__ import annotations

import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.store.sqlite import disk, migrations

_SMALLEST = 512
"""Bytes of sqlite's smallest page."""

MARGIN = 10_000
"""Revisions that may be given after a flush before there must be another one."""


@dataclass(frozen=True)
class Counter:
    """The one row of the table `counter`; see migrations."""

    revision: int
    ceiling: int
    compacted: int


def log_of(path: Path) -> Path:
    """sqlite's write-ahead log, which belongs to the database: one without the other is not the store."""
    return path.with_name(path.name + "-wal")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What sqlite says about a file, as an error of the house. Raises Failed."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise errors.Failed(f"the store {path} cannot be used: {error}", path=path) from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> errors.Failed:
    """What to raise for a store that nothing may be written to."""
    return errors.Failed(
        f"the store {path} is damaged ({why}); nothing was overwritten: move it away with its -wal file and restore a "
        "copy, or start with none",
        path=path,
        reason=why,
    )


def look(path: Path, known: Sequence[migrations.Migration] = migrations.MIGRATIONS) -> bool:
    """Whether there is a database. Writes nothing to it.

    Raises Failed for one that is damaged, not of Roadstead, or of a release newer than this one.
    """
    log = log_of(path)
    logged = log.exists() and log.stat().st_size > 0
    if not path.exists():
        if logged:
            raise damaged(path, f"it is gone, but {log.name} is there")
        return False
    if path.stat().st_size < _SMALLEST:
        # sqlite would take an empty file for a new database.
        raise damaged(path, "it is cut off")
    # Immutable: sqlite makes no file beside it. With a log it has to look there too, and reading changes neither.
    with explained(path), _reading(path, "mode=ro" if logged else "mode=ro&immutable=1") as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        application: int = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != migrations.APPLICATION:
            raise errors.Failed(f"{path} is a database, but not a store of Roadstead: move it away", path=path)
        if version > len(known):
            raise errors.Failed(
                f"the store {path} was last opened by a newer release (its schema is {version}, this release knows "
                f"{len(known)}): use that release; nothing was changed",
                path=path,
                schema=version,
                known=len(known),
            )
        found: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise damaged(path, " ".join(found.split()))
    return True


@contextmanager
def _reading(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?{how}", uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def writing(path: Path, known: Sequence[migrations.Migration] = migrations.MIGRATIONS) -> sqlite3.Connection:
    """The one connection that writes, its schema brought forward. `look` has been before."""
    if not path.exists():
        _create(path, known)
    connection = _connect(path)
    try:
        with explained(path):
            mode: str = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise errors.Failed(f"the store {path} can have no write-ahead log: use a local disk", path=path)
            connection.execute("PRAGMA synchronous=FULL")
            migrations.migrate(connection, known)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path, known: Sequence[migrations.Migration]) -> None:
    """A new database appears whole: one that is empty is always a damaged one."""
    half = path.with_name(path.name + ".new")
    for rest in (half, half.with_name(half.name + "-journal")):
        rest.unlink(missing_ok=True)
    disk.touch(half)
    with explained(half), closing(_connect(half)) as connection:
        migrations.migrate(connection, known)
    half.rename(path)
    atomic.sync(path.parent)


def reading(path: Path) -> sqlite3.Connection:
    """A connection that reads beside the writer. To be closed before the writer's."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout=5000")
    return connection


def count_on(connection: sqlite3.Connection, boot: str) -> Counter:
    """The counter to go on from, durably.

    A power cut may have taken back observations whose revisions somebody has seen. None of these is given again: after
    another boot of the machine counting goes on above all that may have been given, and older watches are Gone.
    """
    row = connection.execute("SELECT revision, ceiling, compacted, boot FROM counter").fetchone()
    counter = Counter(*row[:3])
    connection.execute("BEGIN IMMEDIATE")
    try:
        if row[3] != boot or not boot:
            counter = Counter(revision=counter.ceiling, ceiling=counter.ceiling, compacted=counter.ceiling)
            connection.execute("DELETE FROM changes")
        counter = Counter(counter.revision, counter.revision + MARGIN, counter.compacted)
        connection.execute("UPDATE counter SET boot = ?", (boot,))
        keep(connection, counter)
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return counter


def keep(connection: sqlite3.Connection, counter: Counter) -> None:
    """Within a transaction of the caller's."""
    connection.execute(
        "UPDATE counter SET revision = ?, ceiling = ?, compacted = ?",
        (counter.revision, counter.ceiling, counter.compacted),
    )
