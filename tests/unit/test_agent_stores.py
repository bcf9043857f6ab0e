"""Stores of images: one making for all who ask, what is kept and what goes, disks filled whole or left alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from roadstead.agent.stores import copying, making, sharing, stores
from roadstead.core import errors, instance

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
COMPONENTS = {"containerd": f"sha256:{'c' * 64}", "ctr": f"sha256:{'d' * 64}"}


def asked(*images: str) -> stores.Asked:
    return stores.Asked(COMPONENTS, frozenset(images))


@dataclass
class Maker:
    """Makes a store of one file, once it may."""

    fault: Exception | None = None
    made: list[making.Ingredients] = field(default_factory=list)
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, of: making.Ingredients, into: Path, _: Path) -> None:
        self.made.append(of)
        await self.may.wait()
        if self.fault is not None:
            raise self.fault
        for name in making.KEPT:
            (into / name).mkdir()
        (into / making.KEPT[1] / "meta.db").write_text("the bytes")
        blobs, snapshots = into / making.KEPT[0] / "blobs/sha256", into / making.KEPT[2] / "snapshots"
        blobs.mkdir(parents=True)
        for name, size in (("large", sharing.LARGE), ("small", sharing.LARGE - 64)):
            (blobs / name).write_bytes(bytes(size))
            for part in ("fs/usr", "work"):
                (snapshots / name / part).mkdir(parents=True)
            for part in ("one", "usr/other"):
                (snapshots / name / "fs" / part).write_bytes(bytes(size // 2))
            (snapshots / name / "fs" / "link").symlink_to("/elsewhere")


@dataclass
class Place:
    """The stores of an instance in a folder."""

    folder: Path
    maker: Maker = field(default_factory=Maker)
    time: float = 0.0

    def __post_init__(self) -> None:
        self.maker.may.set()
        self.stores = self.opened()

    def opened(self) -> stores.Stores:
        places = instance.Instance("t", state=self.folder / "state", run=self.folder / "run")
        return stores.Stores(places, lambda digest: Path("/blobs") / digest, self.maker, lambda: self.time)

    @property
    def names(self) -> set[str]:
        return {found.name for found in (self.folder / "state" / "stores").iterdir()}

    def host(self, id: str) -> instance.HostPlaces:
        """With a disk that is empty."""
        places = self.stores.places.host(id)
        (places.disk / "lib").mkdir(parents=True)
        return places

    async def get(self, of: stores.Asked, *used: stores.Asked) -> Path | None:
        return await self.stores.get(of, lambda: {each.key for each in used})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_key_is_of_all_that_decides_what_is_in_a_store_and_of_no_order() -> None:
    turned = stores.Asked(dict(reversed(COMPONENTS.items())), frozenset((SECOND, FIRST)))
    assert turned.key == asked(FIRST, SECOND).key
    other = stores.Asked({**COMPONENTS, "ctr": FIRST}, frozenset((FIRST, SECOND)))
    assert len({asked(FIRST).key, asked(SECOND).key, turned.key, other.key}) == 4


def test_four_who_ask_at_once_get_one_store_which_later_ones_find(place: Place) -> None:
    async def story() -> None:
        place.maker.may.clear()
        waiting = [asyncio.ensure_future(place.get(asked(FIRST, SECOND))) for _ in range(4)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert place.names == {f"{asked(FIRST, SECOND).key}.new"}, "it has no name until it is whole"
        place.maker.may.set()
        (found,) = set(await asyncio.gather(*waiting))
        assert found == place.folder / "state" / "stores" / asked(FIRST, SECOND).key
        assert await place.get(asked(FIRST, SECOND)) == found
        assert (found.parent.stat().st_mode & 0o777, found.stat().st_mode & 0o777) == (0o700, 0o700)
        assert await Place(place.folder).get(asked(FIRST, SECOND)) == found, "also after the agent's end"
        assert [of.archives for of in place.maker.made] == [(Path("/blobs") / FIRST, Path("/blobs") / SECOND)]

    asyncio.run(story())


@pytest.mark.parametrize("fault", [errors.Failed("no overlayfs"), OSError(28, "full"), RuntimeError("unforeseen")])
def test_what_cannot_be_made_is_told_once_and_not_tried_again_at_once(
    place: Place, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        place.maker.fault = fault
        assert await asyncio.gather(*(place.get(asked(FIRST)) for _ in range(4))) == [None] * 4
        assert await place.get(asked(FIRST)) is None
        assert len(place.maker.made) == len(caplog.records) == 1
        assert "nodes import for themselves" in caplog.text
        assert place.names == set()
        assert list((place.folder / "run" / "stores").iterdir()) == []
        place.maker.fault = None
        assert await place.get(asked(SECOND)) is not None, "another one is another matter"
        place.time = 601.0
        assert await place.get(asked(FIRST)) is not None

    asyncio.run(story())


def test_what_is_used_and_the_newest_two_are_kept(place: Place) -> None:
    async def story() -> None:
        several = [stores.Asked(COMPONENTS, frozenset((f"sha256:{number:064}",))) for number in range(5)]
        for age, each in enumerate(several[:4]):
            found = await place.get(each, *several)
            assert found is not None
            os.utime(found, (age, age))
        await place.get(several[4], several[0])
        assert place.names == {several[number].key for number in (0, 2, 3, 4)}

    asyncio.run(story())


def test_a_disk_gets_the_small_and_is_led_to_the_large(place: Place) -> None:
    async def story() -> None:
        of = asked(FIRST)
        found = await place.get(of)
        assert found is not None
        host = place.host("n")
        assert await place.stores.fill(found, host)
        got = host.disk / "lib" / "containerd"
        content, database, snapshotter = (got / name for name in making.KEPT)
        assert (database / "meta.db").read_text() == "the bytes"
        led = {content / "blobs/sha256/large", snapshotter / "snapshots/large/fs"}
        for each in led:
            assert each.readlink() == Path("/stores") / of.key / "all" / each.relative_to(got)
            assert (found / "all" / each.relative_to(got)).exists()
        links = {path for path in got.rglob("*") if path.is_symlink()}
        assert links - led == {snapshotter / "snapshots/small/fs/link"}
        assert (snapshotter / "snapshots/large/work").is_dir()
        for name in ("blobs/sha256/small", "usr/other"):
            assert len([path for path in got.rglob("*") if path.match(f"*/{name}")]) == 1
        assert (database / "meta.db").stat().st_ino != (found / "disk" / making.KEPT[1] / "meta.db").stat().st_ino

    asyncio.run(story())


def test_a_store_that_a_disk_leads_to_is_kept_for_as_long_as_its_host_is_there(place: Place) -> None:
    async def story() -> None:
        several = [stores.Asked(COMPONENTS, frozenset((f"sha256:{number:064}",))) for number in range(6)]
        first = await place.get(several[0])
        assert first is not None
        host = place.host("n")
        assert await place.stores.fill(first, host)
        for age, each in enumerate(several[1:4]):
            found = await place.get(each, *several)
            assert found is not None
            os.utime(found, (age, age))
        os.utime(first, (0, 0))
        again = place.opened()
        assert again.led_to() == {several[0].key}
        await again.get(several[4], lambda: ())
        assert several[0].key in place.names
        shutil.rmtree(host.state)
        await again.get(several[5], lambda: ())
        assert several[0].key not in place.names

    asyncio.run(story())


def test_the_record_of_a_disk_that_has_something_stays(place: Place) -> None:
    async def story() -> None:
        first, second = await place.get(asked(FIRST)), await place.get(asked(SECOND))
        assert first is not None
        assert second is not None
        host = place.host("n")
        assert await place.stores.fill(first, host)
        assert not await place.stores.fill(second, host)
        assert place.stores.led_to() == {first.name}

    asyncio.run(story())


def test_a_disk_is_not_filled_before_there_is_a_record_of_its_store(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(folder: Path, _: Path) -> bool:
        assert place.stores.led_to() == {folder.parent.name}
        raise errors.Failed("no space left")

    async def story() -> None:
        found = await place.get(asked(FIRST))
        assert found is not None
        with pytest.raises(errors.Failed, match="no space"):
            await place.stores.fill(found, place.host("n"))

    monkeypatch.setattr(copying, "fill", none)
    asyncio.run(story())


def test_what_was_left_half_made_is_removed_at_the_start(place: Place) -> None:
    async def story() -> None:
        found = await place.get(asked(FIRST))
        assert found is not None
        (found.parent / f"{asked(SECOND).key}.new" / "folder").mkdir(parents=True)
        left = place.folder / "run" / "stores" / "key"
        left.mkdir(parents=True)
        place.opened()
        assert place.names == {found.name}
        assert not left.exists()

    asyncio.run(story())


def test_an_agent_that_ends_as_it_makes_one_leaves_nothing(place: Place) -> None:
    async def story() -> None:
        place.maker.may.clear()
        waiting = asyncio.ensure_future(place.get(asked(FIRST)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(story())
    assert place.names == set()


def test_its_containerd_is_one_for_images_only_with_paths_as_they_are() -> None:
    made = tomllib.loads(making.configuration(Path('/a"b/root'), Path("/run/x"), Path("/run/x/sock")))
    assert (made["root"], made["grpc"]["address"]) == ('/a"b/root', "/run/x/sock")
    assert "io.containerd.grpc.v1.cri" in made["disabled_plugins"]
    assert "io.containerd.snapshotter.v1.overlayfs" not in made["disabled_plugins"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk" / "lib").mkdir(parents=True)
    return tmp_path / "disk"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    (made / "folder").mkdir(parents=True)
    (made / "folder" / "file").write_text("the bytes")
    (made / "folder" / "file").chmod(0o640)
    os.utime(made / "folder" / "file", (5, 5))
    (made / "folder" / "link").symlink_to("/elsewhere")
    return made


def test_an_empty_disk_is_filled_with_the_store_as_it_is(disk: Path, store: Path) -> None:
    (disk / "lib" / "containerd.roadstead-new" / "half").mkdir(parents=True)
    assert copying.is_empty(disk)
    assert asyncio.run(copying.fill(store, disk))
    assert [found.name for found in (disk / "lib").iterdir()] == ["containerd"]
    copied = disk / "lib" / "containerd" / "folder" / "file"
    assert copied.read_text() == "the bytes"
    assert (copied.stat().st_mode & 0o777, copied.stat().st_mtime) == (0o640, 5)
    assert copied.with_name("link").readlink() == Path("/elsewhere")
    assert not copying.is_empty(disk)


def test_a_disk_with_anything_of_containerds_is_left_alone(disk: Path, store: Path) -> None:
    (disk / "lib" / "containerd" / "mine").mkdir(parents=True)
    assert not copying.is_empty(disk)
    assert not asyncio.run(copying.fill(store, disk))
    assert [found.name for found in (disk / "lib" / "containerd").iterdir()] == ["mine"]


def test_links_on_a_disk_are_not_followed(disk: Path, store: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (disk / "lib" / "containerd").symlink_to(other)
    assert not asyncio.run(copying.fill(store, disk))
    (disk / "lib" / "containerd").unlink()
    (disk / "lib").rmdir()
    (disk / "lib").symlink_to(other)
    assert not copying.is_empty(disk)
    with pytest.raises(OSError, match="directory"):
        asyncio.run(copying.fill(store, disk))
    assert list(other.iterdir()) == []


def test_a_copy_that_fails_leaves_nothing_and_says_why(disk: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.Failed, match=r"cp ended with 1: .*No such file"):
        asyncio.run(copying.fill(tmp_path / "nowhere", disk))
    assert list((disk / "lib").iterdir()) == []
    assert copying.is_empty(disk)
