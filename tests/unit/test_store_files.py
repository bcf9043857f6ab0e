"""The store's files: who may read them, what is refused and left as it is, and what comes from an earlier release."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import interface, keys, writes
from roadstead.store.sqlite import database, local, migrations, sealing

FIRST_RELEASE = Path(__file__).resolve().parents[1] / "fixtures" / "state-0.1"
SECRET = b"what nobody may read in any file"


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


async def fill(store: interface.Store) -> None:
    """One of everything."""
    generation = await store.put(key("shop"), b'{"version": "1.36"}')
    await store.put(key("shop", "workers", kind="nodegroup"), b'{"desired": 3}')
    await store.observe(key("shop"), b'{"ready": true}', generation)
    await store.commit(
        writes.Put(key("shop"), b'{"version": "1.37"}', writes.At(generation)),
        writes.Append(key("shop", "u-1", kind="update"), b'{"status": "InProgress"}', at=1_700_000_000.5),
        writes.PutSecret(key("shop", "etcd-ca", kind="secret"), SECRET),
    )
    await store.put(key("old"), b"{}")
    await store.delete(key("old"))


async def check_filled(store: interface.Store) -> None:
    state = await store.get(key("shop"))
    assert state is not None
    assert state.observation is not None
    assert state.desired.body == b'{"version": "1.37"}'
    assert state.observation.body == b'{"ready": true}'
    assert state.observation.generation == state.desired.created < state.desired.generation
    assert [one.key.names for one in (await store.list()).items] == [("shop",), ("shop", "workers")]
    (record,) = await store.records(keys.Prefix("012345678901", "eu-central-1", "update", "shop"))
    assert (record.body, record.at) == (b'{"status": "InProgress"}', 1_700_000_000.5)
    secret = await store.secret(key("shop", "etcd-ca", kind="secret"))
    assert secret is not None
    assert (secret.value, secret.generation) == (SECRET, state.desired.generation)
    assert await store.get(key("old")) is None


def run(folder: Path, *stories: Callable[[interface.Store], Awaitable[object]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder)) as store:
            for story in stories:
                await story(store)

    asyncio.run(bounded())


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store as it is left when the process dies: with a write-ahead log."""
    folder, copy = tmp_path / "alive", tmp_path / "store"

    async def leave(_: interface.Store) -> None:
        shutil.copytree(folder, copy)

    run(folder, fill, leave)
    assert database.log_of(local.Places(copy).database).stat().st_size > 0
    return copy


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A store that was closed."""
    run(tmp_path / "closed", fill)
    return tmp_path / "closed"


def content(folder: Path) -> dict[str, bytes]:
    """All that is kept; not sqlite's index into the log, which is made anew."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}


def refused(folder: Path, match: str) -> None:
    """Opening fails, and nothing that is kept is another."""
    before = content(folder)
    with pytest.raises(errors.Failed, match=match):
        run(folder)
    after = content(folder)
    after.pop("store.lock", None)
    before.pop("store.lock", None)
    assert after == before


def sql(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(local.Places(folder).database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_only_the_owner_may_read_and_no_secret_is_in_any_file(filled: Path, closed: Path) -> None:
    for folder in (filled, closed):
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert SECRET not in path.read_bytes()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_secret_is_in_no_text_that_is_made_of_it(closed: Path) -> None:
    async def story(store: interface.Store) -> None:
        secret = await store.secret(key("shop", "etcd-ca", kind="secret"))
        assert secret is not None
        for text in (repr(secret), str(secret), repr(writes.PutSecret(secret.key, secret.value))):
            assert "nobody" not in text
            assert "etcd-ca" in text

    run(closed, story)
    sealer = sealing.read(closed / "secrets.key")
    encoded = (closed / "secrets.key").read_text().split()[1]
    assert encoded not in repr(sealer)


def test_what_a_dead_process_left_is_all_there(filled: Path) -> None:
    run(filled, check_filled)


def test_the_first_release_s_state_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    for name in ("store.db", "secrets.key"):
        shutil.copyfile(FIRST_RELEASE / name, folder / name)
        (folder / name).chmod(0o600)
    run(folder, check_filled, lambda store: store.delete(key("shop", "workers", kind="nodegroup")))


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    async def story(_: interface.Store) -> None:
        with pytest.raises(errors.Busy, match="another process"):
            async with local.opened(local.Places(tmp_path)):
                pass

    run(tmp_path, story)
    run(tmp_path)


@pytest.mark.parametrize("left", ["filled", "closed"])
def test_a_newer_release_s_store_is_refused(left: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(left)
    newer = len(migrations.MIGRATIONS) + 1
    if left == "closed":
        sql(folder, f"PRAGMA user_version = {newer}")
    else:
        # The mark is in the log alone.
        async def mark() -> None:
            async with local.opened(local.Places(folder)):
                with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as connection:
                    connection.execute(f"PRAGMA user_version = {newer}")
                    shutil.copytree(folder, folder.with_name("marked"))

        asyncio.run(mark())
        folder = folder.with_name("marked")
    refused(folder, "newer release")


def flip(path: Path, at: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(count))


def test_a_damaged_store_is_refused_and_left_as_it_is(closed: Path) -> None:
    whole = (closed / "store.db").read_bytes()
    page = 4096
    for at in (0, 100, *range(page, len(whole), page)):
        flip(closed / "store.db", at, 64)
        refused(closed, "damaged|cannot be used|not a store")
        (closed / "store.db").write_bytes(whole)
    run(closed, check_filled)


def test_a_damaged_store_with_a_log_is_refused_and_left_as_it_is(filled: Path) -> None:
    sql(filled, "PRAGMA wal_checkpoint(PASSIVE)")
    (filled / "store.db").write_bytes((filled / "store.db").read_bytes()[:1000])
    refused(filled, "damaged|cannot be used")


def test_a_truncated_store_is_refused(closed: Path) -> None:
    whole = (closed / "store.db").read_bytes()
    for length in (0, 1, 99, 4096, len(whole) - 4096):
        (closed / "store.db").write_bytes(whole[:length])
        refused(closed, "damaged|cannot be used")


@pytest.mark.parametrize("missing", ["gone", "empty"])
def test_a_log_without_its_database_is_refused(missing: str, filled: Path) -> None:
    (filled / "store.db").unlink()
    if missing == "empty":
        (filled / "store.db").touch()
    refused(filled, "damaged")


def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    sql(tmp_path, "CREATE TABLE theirs (a)")
    (tmp_path / "secrets.key").touch()
    refused(tmp_path, "not a store of Roadstead")


def _other_key() -> bytes:
    new = os.urandom(32)
    return f"{sealing.identity(new)} {base64.b64encode(new).decode()}\n".encode()


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.chmod(0o640), "open to others"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9] + b"\n"), "damaged"),
        (lambda path: path.write_bytes(_other_key()), "which .* lacks"),
    ],
)
def test_without_its_key_file_a_store_is_not_opened(spoil: Callable[[Path], None], match: str, closed: Path) -> None:
    spoil(closed / "secrets.key")
    with pytest.raises(errors.Failed, match=match):
        run(closed)
    if match == "cannot be read":
        assert not (closed / "secrets.key").exists(), "no new key in place of the lost one"


def test_a_key_is_rotated_by_a_line_more(closed: Path) -> None:
    path = closed / "secrets.key"
    old = path.read_bytes()
    path.write_bytes(b"# the second one seals\n" + old + _other_key())
    run(closed, check_filled, lambda store: store.commit(writes.PutSecret(key("new", kind="secret"), b"fresh")))
    path.write_bytes(path.read_bytes().replace(old, b""))
    with pytest.raises(errors.Failed, match="lacks"):
        run(closed)
    path.write_bytes(path.read_bytes() + old)

    async def reseal(store: interface.Store) -> None:
        fresh = await store.secret(key("new", kind="secret"))
        assert fresh is not None
        assert fresh.value == b"fresh"

    run(closed, reseal, check_filled)


def test_a_sealed_secret_cannot_take_another_s_place(closed: Path) -> None:
    name = key("shop", "etcd-ca", kind="secret")
    run(closed, lambda store: store.commit(writes.PutSecret(key("other", kind="secret"), b"weak")))
    sql(
        closed,
        "UPDATE secrets SET (generation, sealed) = "
        f"(SELECT generation, sealed FROM secrets WHERE key LIKE '%other') WHERE key = '{name.text}'",
    )

    async def story(store: interface.Store) -> None:
        with pytest.raises(errors.Failed, match="damaged"):
            await store.secret(name)

    run(closed, story)


class TestMigrations:
    MORE = (*migrations.MIGRATIONS, ("ALTER TABLE desired ADD COLUMN note TEXT", "UPDATE desired SET note = 'moved'"))

    @pytest.fixture
    def old(self, closed: Path) -> Path:
        return closed / "store.db"

    def test_an_older_store_is_brought_forward(self, old: Path) -> None:
        assert database.look(old, self.MORE)
        with closing(database.writing(old, self.MORE)) as connection:
            assert connection.execute("SELECT DISTINCT note FROM desired").fetchall() == [("moved",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (len(self.MORE),)
        with closing(database.writing(old, self.MORE)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (len(self.MORE),)
        with pytest.raises(errors.Failed, match="newer release"):
            database.look(old)

    def test_one_that_fails_has_not_been(self, old: Path) -> None:
        broken = (*migrations.MIGRATIONS, ("ALTER TABLE desired ADD COLUMN note TEXT", "no sql"))
        with pytest.raises(errors.Failed, match="syntax"):
            database.writing(old, broken)
        run(old.parent, check_filled)


def test_after_a_power_cut_no_revision_is_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cut takes away is observations' revisions; somebody may have seen them."""
    boot = tmp_path / "boot_id"
    boot.write_text("one")
    monkeypatch.setattr(local, "_BOOT", boot)
    folder, cut = tmp_path / "store", tmp_path / "cut"
    seen: list[int] = []

    async def before(store: interface.Store) -> None:
        generation = await store.put(key("a"), b"")
        shutil.copytree(folder, cut)
        seen.extend([await store.observe(key("a"), str(n).encode(), generation) for n in range(100)])

    async def after(store: interface.Store) -> None:
        generation = await store.put(key("a"), b"")
        assert generation > seen[-1]
        for revision in (seen[0], seen[-1]):
            with pytest.raises(errors.Gone):
                await anext(store.watch(revision))
        assert await anext(store.watch(generation - 1)) is not None

    run(folder, before)
    boot.write_text("two")
    run(cut, after)


def test_a_log_cut_off_anywhere_ends_between_two_transactions(tmp_path: Path) -> None:
    """What a power cut leaves of the log is a beginning: no half of a transaction, none without those before it."""
    folder, copy, cut = tmp_path / "alive", tmp_path / "copy", tmp_path / "cut"

    async def leave(store: interface.Store) -> None:
        for number in range(12):
            body = str(number).encode()
            generation = await store.commit(*(writes.Put(key(name), body) for name in ("left", "right")))
            await store.observe(key("left"), body, generation)
        shutil.copytree(folder, copy)

    found: list[tuple[bytes, ...]] = []

    async def see(store: interface.Store) -> None:
        states = [await store.get(key(name)) for name in ("left", "right")]
        bodies = tuple(state.desired.body for state in states if state is not None)
        observation = states[0].observation if states[0] is not None else None
        found.append((*bodies, observation.body) if observation is not None else bodies)

    run(folder, leave)
    whole = database.log_of(copy / "store.db").read_bytes()
    for length in range(0, len(whole) + 1, 2_000):
        shutil.copytree(copy, cut)
        database.log_of(cut / "store.db").write_bytes(whole[:length])
        (cut / "store.db-shm").unlink()
        run(cut, see)
        shutil.rmtree(cut)
    numbers = [int(one[0]) if one else -1 for one in found]
    assert numbers == sorted(numbers)
    assert (numbers[0], len(set(numbers)) > 6) == (-1, True)
    for one in found:
        assert one[:1] == one[1:2], "torn"
        assert len(one) < 3 or int(one[0]) - int(one[2]) in (0, 1)


def test_new_stores_are_made_in_folders_that_are_not_there_and_after_a_cut_off_start(tmp_path: Path) -> None:
    run(tmp_path / "a" / "b", fill, check_filled)
    half = tmp_path / "half"
    half.mkdir()
    sealing.create(half / "secrets.key")
    (half / "store.db.new").write_bytes(b"rest")
    run(half, fill, check_filled)


if __name__ == "__main__":
    # Makes the fixture of a release: python -m tests.unit.test_store_files
    run(FIRST_RELEASE, fill, check_filled)
    (FIRST_RELEASE / "store.lock").unlink()
