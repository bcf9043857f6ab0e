"""The cache of engines: whole or not there, one maker at a time, nothing broken is used."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.engine import cache, catalog

ENGINE = catalog.CatalogEngine(name="demo", versions=("1.0",), components=("a", "b", "c"))
RELEASE = catalog.Release(ENGINE, "1.0", "amd64")
KEY = cache.EntryKey(RELEASE, "0123456789abcdef")


def fill(folder: Path, content: bytes = b"one") -> Path:
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(content)
    (folder / "b").write_bytes(content)
    (folder / "c").write_bytes(b"another")
    return folder


def manifest(components: dict[str, cache.Component]) -> cache.Manifest:
    return cache.Manifest(
        name="demo",
        version="1.0",
        arch="amd64",
        recipe=KEY.recipe,
        source="build",
        origin="here",
        verified="by hand",
        components=components,
    )


def put(root: Path, content: bytes = b"one") -> Path:
    with cache.locked(root, KEY.name, nobody), cache.work_folder(root, KEY.name) as work:
        folder = fill(work / "entry", content)
        cache.put(root, KEY, folder, manifest(cache.seal(folder, RELEASE)))
    return KEY.folder(root)


def nobody(pid: int) -> None:
    raise AssertionError(f"process {pid} should not hold the lock")


def test_an_entry_is_whole_and_equal_components_are_one_file(tmp_path: Path) -> None:
    place = put(tmp_path)
    assert isinstance(cache.see(tmp_path, KEY), cache.Whole)
    assert place == tmp_path / "engines" / "demo" / "1.0" / KEY.recipe / "amd64"
    assert (place / "a").samefile(place / "b")
    assert not (place / "a").samefile(place / "c")
    assert (place / "a").stat().st_mode & 0o777 == 0o555
    assert list((tmp_path / "work").iterdir()) == []


def test_nothing_there_is_absent(tmp_path: Path) -> None:
    assert cache.see(tmp_path, KEY) == cache.AbsentEntry()


def test_what_is_put_replaces_what_was_there(tmp_path: Path) -> None:
    put(tmp_path)
    place = put(tmp_path, b"two")
    assert (place / "a").read_bytes() == b"two"
    assert list((tmp_path / "work").iterdir()) == []


def test_a_changed_byte_is_seen_by_digest_only(tmp_path: Path) -> None:
    place = put(tmp_path)
    (place / "c").chmod(0o755)
    (place / "c").write_bytes(b"anothEr")
    assert isinstance(cache.see(tmp_path, KEY, digests=False), cache.Whole)
    assert cache.see(tmp_path, KEY) == cache.Broken(f"{place / 'c'} has another SHA-256 than when it was made")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda place: (place / "a").unlink(), "a is missing"),
        (lambda place: os.truncate(place / "c", 3), "3 bytes instead of 7"),
        (lambda place: (place / "c").chmod(0o444), "cannot be executed"),
        (lambda place: (place / "manifest.json").unlink(), "has no manifest.json"),
        (lambda place: (place / "manifest.json").write_text("{"), "manifest.json is damaged: "),
        (lambda place: swap(place / "manifest.json", '"amd64"', '"arm64"'), "is that of demo 1.0 arm64"),
        (lambda place: swap(place / "manifest.json", '"b"', '"d"'), "other components: a, c, d"),
        (lambda place: (place / "a").unlink() or (place / "a").symlink_to("c"), "a is missing"),
    ],
)
def test_a_damaged_entry_is_broken_with_its_reason(tmp_path: Path, harm: object, reason: str) -> None:
    place = put(tmp_path)
    assert callable(harm)
    harm(place)
    seen = cache.see(tmp_path, KEY, digests=False)
    assert isinstance(seen, cache.Broken)
    assert reason in seen.reason


def swap(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


def test_a_missing_component_is_not_sealed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "x")
    (folder / "b").unlink()
    with pytest.raises(errors.Failed, match="component b is missing"):
        cache.seal(folder, RELEASE)


def test_the_next_maker_removes_what_a_dead_one_left(tmp_path: Path) -> None:
    ours = fill(tmp_path / "work" / f"{KEY.name}~dead")
    others = fill(tmp_path / "work" / "other-1.0~dead")
    alive = fill(tmp_path / "work" / "alive-1.0~working")
    (tmp_path / "locks").mkdir()
    with (tmp_path / "locks" / "alive-1.0").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with cache.locked(tmp_path, KEY.name, nobody):
            assert not ours.exists()
            assert not others.exists()
            assert alive.exists()


def test_a_work_folder_is_gone_after_a_failure(tmp_path: Path) -> None:
    def fail() -> None:
        with cache.work_folder(tmp_path, KEY.name) as work:
            fill(work / "entry")
            raise errors.Failed("cut off")

    with pytest.raises(errors.Failed):
        fail()
    assert list((tmp_path / "work").iterdir()) == []


def test_removing(tmp_path: Path) -> None:
    place = put(tmp_path)
    assert [key.name for key in cache.entries(tmp_path, RELEASE)] == [KEY.name]
    with cache.locked(tmp_path, KEY.name, nobody):
        assert cache.remove(tmp_path, KEY)
        assert not cache.remove(tmp_path, KEY)
    assert not place.exists()
    assert list((tmp_path / "work").iterdir()) == []
    assert cache.entries(tmp_path, RELEASE) == ()
