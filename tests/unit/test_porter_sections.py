"""What porter reads: the last good content of each section, also of what an earlier release has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from roadstead.contract.messages.sections import access, catalog, former, names, principals, webhooks
from roadstead.porter import sections
from roadstead.serve.sections import publisher

EARLIER = Path(__file__).parents[1] / "fixtures" / "porter-0.1" / "snapshot"
VPC = names.Vpc(region="r", cidr="10.0.0.0/16")


def of_names(revision: int, *vpcs: str) -> names.Names:
    return names.Names(format=1, revision=revision, vpcs=dict.fromkeys(vpcs, VPC))


def followed(folder: Path, story: Callable[[sections.Sections], Coroutine[None, None, None]]) -> None:
    async def bounded() -> None:
        known = sections.Sections(folder)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(known.follow())
            await story(known)
            task.cancel()

    asyncio.run(bounded())


def test_a_broken_file_leaves_the_last_good_section(tmp_path: Path) -> None:
    known, file = sections.Sections(tmp_path), tmp_path / names.SECTION.file
    known.look()
    assert known.now(names.SECTION) == names.SECTION.empty
    publisher.write(tmp_path, names.SECTION, of_names(7, "vpc-1"))
    known.look()
    for broken in (b"", b"{", b"\xff", b'{"format": 99, "revision": 8}', b'{"format": 1, "revision": 8, "x": 1}'):
        file.write_bytes(broken)
        known.look()
        assert known.now(names.SECTION) == of_names(7, "vpc-1")
    file.unlink()
    known.look()
    assert known.now(names.SECTION) == of_names(7, "vpc-1")
    publisher.write(tmp_path, names.SECTION, of_names(9))
    known.look()
    assert known.now(names.SECTION) == of_names(9)


def test_who_uses_a_section_is_told_of_it_and_of_no_other(tmp_path: Path) -> None:
    async def story(known: sections.Sections) -> None:
        told, others = known.told(names.SECTION, webhooks.SECTION), known.told(access.SECTION)
        await asyncio.to_thread(publisher.write, tmp_path, names.SECTION, of_names(1, "vpc-1"))
        await told.changed.wait()
        assert told.take() == {"names"}
        assert not told.changed.is_set()
        # The same once more, of another revision: nobody has anything to do.
        await asyncio.to_thread(publisher.write, tmp_path, names.SECTION, of_names(2, "vpc-1"))
        entries = access.Access(format=1, revision=3, entries={"c-1": {}})
        await asyncio.to_thread(publisher.write, tmp_path, access.SECTION, entries)
        await others.changed.wait()
        assert others.take() == {"access"}
        assert not told.changed.is_set()
        assert known.now(names.SECTION).revision == 2

    followed(tmp_path, story)


def test_a_folder_that_comes_later_or_anew_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "AGAIN", 0.01)
    folder = tmp_path / "porter"

    async def story(known: sections.Sections) -> None:
        told = known.told(names.SECTION)
        for revision in (1, 2):
            folder.mkdir()
            publisher.write(folder, names.SECTION, of_names(revision, f"vpc-{revision}"))
            await told.changed.wait()
            assert told.take() == {"names"}
            (folder / names.SECTION.file).unlink()
            folder.rmdir()
        assert known.now(names.SECTION) == of_names(2, "vpc-2")

    followed(folder, story)


def test_what_cannot_be_opened_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "AGAIN", 0.01)
    # A link is not followed, and its end tells nobody here.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "porter"
    folder.mkdir()
    (folder / names.SECTION.file).symlink_to(elsewhere)

    async def story(known: sections.Sections) -> None:
        told = known.told(names.SECTION)
        await asyncio.sleep(0.05)
        assert known.now(names.SECTION) == names.SECTION.empty
        (folder / names.SECTION.file).unlink()
        publisher.write(elsewhere, names.SECTION, of_names(1, "vpc-1"))
        (folder / names.SECTION.file).hardlink_to(elsewhere / names.SECTION.file)
        await told.changed.wait()
        assert known.now(names.SECTION) == of_names(1, "vpc-1")

    followed(folder, story)


def earlier(folder: Path, revision: int = 5) -> None:
    body = json.loads(EARLIER.read_bytes())
    (folder / former.FILE).write_text(json.dumps({**body, "revision": revision}))


def test_what_an_earlier_release_left_is_read(tmp_path: Path) -> None:
    earlier(tmp_path)
    known = sections.Sections(tmp_path)
    known.look()
    kept = known.now(webhooks.SECTION).clusters["c-1a2b3c4d"]
    assert (kept.name, kept.bearer) == ("shop", "bearer")
    assert kept.credentials == {"roadstead:serve": ("X509SHA256=aa",)}
    entry = known.now(access.SECTION).entries["c-1a2b3c4d"]["arn:aws:iam::123456789012:user/ann"]
    assert (entry.username, entry.policies) == ("ann", (access.Policy(name="AmazonEKSClusterAdminPolicy"),))
    principal = known.now(principals.SECTION).principals["AKIDEXAMPLE"]
    assert principal.keys == {"20260301": {"eu-central-1": b"key"}}
    assert known.now(names.SECTION).vpcs["vpc-1"].resolvers == {"subnet-1": "10.0.0.2"}
    assert {known.now(one).revision for one in catalog.SECTIONS} == {5}


def test_of_what_an_earlier_release_and_this_one_left_the_newer_counts(tmp_path: Path) -> None:
    earlier(tmp_path)
    publisher.write(tmp_path, names.SECTION, of_names(5))
    publisher.write(tmp_path, access.SECTION, access.Access(format=1, revision=4))
    for known in (sections.Sections(tmp_path), sections.Sections(tmp_path)):
        known.look()
        assert known.now(names.SECTION) == of_names(5), "serve has written what it is now"
        assert list(known.now(access.SECTION).entries) == ["c-1a2b3c4d"], "an earlier release came after"
        assert known.now(webhooks.SECTION).clusters, "serve has written nothing of it yet"
    # Removed, once all is written: nothing changes.
    (tmp_path / former.FILE).unlink()
    known.look()
    assert known.now(webhooks.SECTION).clusters


def test_what_an_earlier_release_left_damaged_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    (tmp_path / former.FILE).write_text('{"format": 2, "revision": 9}')
    known = sections.Sections(tmp_path)
    known.look()
    assert all(known.now(one) == one.empty for one in catalog.SECTIONS)
