"""Whose files engines may have: root runs them, and serve, which asks for them, is not to choose them.

Somebody vouches for an engine who is not the one that asks: root, by asking for it itself, or who got or built it, by
the manifest in the cache of the engines, where only root and the supplier's user write. Of an accepted engine it is
kept, since the cache may lose it. What an agent of an earlier release accepted was vouched for by nobody: it runs on
where it runs, and nothing new is made with it until a manifest has the same digests.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired

_SCHEMA = "CREATE TABLE IF NOT EXISTS vouched (engine TEXT PRIMARY KEY, components TEXT NOT NULL) WITHOUT ROWID;"
_MOST = 1 << 20
"""Bytes of a manifest."""
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class _File(msgspec.Struct, frozen=True):
    sha256: str


class _Manifest(msgspec.Struct, frozen=True):
    """What is read of it here; see engine.cache for all of it."""

    components: dict[str, _File]


class Register:
    """`cache`: of the engines, as engine.cache lays it out. `owners`: user ids whose manifests there are believed.

    What was vouched for is a table of the desired states' database.
    """

    def __init__(self, records: store.DesiredStore, cache: Path | None, owners: frozenset[int]) -> None:
        self._records = records
        self._cache = cache
        self._owners = owners
        self._db = records.database
        self._vouched: dict[str, str] = dict(records.beside(_SCHEMA, "SELECT engine, components FROM vouched"))

    def commit(self, changed: Iterable[store.DesiredRecord]) -> None:
        """Keep these desired states, which are accepted, and with them that their engines are vouched for."""
        changed = list(changed)
        specs = ((record.id, record.spec) for record in changed if not record.deleting)
        self._commit(changed, {id: written(spec) for id, spec in specs if isinstance(spec, desired.Engine)})

    def _commit(self, changed: Iterable[store.DesiredRecord], vouched: Mapping[str, str]) -> None:
        def write() -> None:
            self._db.executemany("INSERT OR REPLACE INTO vouched (engine, components) VALUES (?, ?)", vouched.items())

        self._records.commit(changed, write)
        self._vouched |= vouched

    def vouched(self, engine: str) -> str | None:
        """The components of an engine that were vouched for when it was accepted."""
        return self._vouched.get(engine)

    def forget(self, engine: str) -> None:
        """The engine is gone."""
        self._db.execute("DELETE FROM vouched WHERE engine = ?", (engine,))
        self._vouched.pop(engine, None)

    def vouches(self, id: str, engine: desired.Engine) -> bool:
        """Whether the engine is of exactly these files, and called as they are: an old release under a newer's number
        would be chosen before the newer. Reads the manifests of the cache where it is new.
        """
        return self.vouched(id) == written(engine) or any(
            known == engine.components and _called(id, name, version) for name, version, known in self._manifests()
        )

    def adopt(self) -> tuple[str, ...]:
        """Keep what is vouched for of the engines that an earlier release accepted; the ids of the others."""
        found, doubted = {}, []
        for id, record in self._records.of_kind("engines").items():
            if isinstance(record.spec, desired.Engine) and self.vouched(id) != written(record.spec):
                if self.vouches(id, record.spec):
                    found[id] = written(record.spec)
                else:
                    doubted.append(id)
        if found:
            self._commit((), found)
        return tuple(doubted)

    def _manifests(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Name and version (`etcd`, `3.6.16`) of each entry of the cache, and its digests by component."""
        if self._cache is None:
            return
        try:
            top = self._cache.lstat()
        except FileNotFoundError:
            return
        # Below it nobody writes whom its owner does not let.
        if not stat.S_ISDIR(top.st_mode) or not self._is_ours(top):
            return
        for path in self._cache.glob("engines/*/*/*/*/manifest.json"):
            manifest = self._read(path)
            if manifest is not None:
                digests = {name: f"sha256:{file.sha256}" for name, file in manifest.components.items()}
                # engines/NAME/VERSION/RECIPE/ARCH/
                yield path.parts[-5], path.parts[-4], digests

    def _is_ours(self, facts: os.stat_result) -> bool:
        return facts.st_uid in self._owners and not facts.st_mode & _OTHERS

    def _read(self, path: Path) -> _Manifest | None:
        """None for what is being removed, is somebody else's, or no manifest."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or not self._is_ours(facts):
                return None
            return msgspec.json.decode(os.read(descriptor, _MOST), type=_Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        finally:
            os.close(descriptor)


def _called(id: str, name: str, version: str) -> bool:
    """`etcd-3.6.16` and `etcd-3.6` are of etcd 3.6.16."""
    given, hyphen, number = id.rpartition("-")
    return bool(hyphen) and given == name and f"{version}.".startswith(f"{number}.")


def written(engine: desired.Engine) -> str:
    """The components of an engine as they are kept."""
    return msgspec.json.encode(engine.components, order="deterministic").decode()
