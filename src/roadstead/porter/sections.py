"""What serve has left for porter, in sections: each is read at the start, and again when the kernel tells of its file.

A file that is missing, half there or of another format changes nothing: the last good one counts. So does the one file
of an earlier release, until serve has written newer sections. Who uses a section is told when it is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from roadstead.contract.messages.sections import catalog, former, section
from roadstead.core import errors
from roadstead.core.files import inotify, left

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds until what could not be opened, or a folder that cannot be watched, is tried again: nobody tells of that."""
LARGEST = 1 << 28
"""Bytes: some ten thousand access keys."""
_WRITTEN = inotify.MOVED_TO | inotify.CLOSE_WRITE | inotify.ATTRIB | inotify.CREATE | inotify.DELETE
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Told:
    """Which sections are others than when it was last taken. `changed` is set while there are any."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._names: set[str] = set()

    def tell(self, name: str) -> None:
        """A section is another one."""
        self._names.add(name)
        self.changed.set()

    def take(self) -> frozenset[str]:
        """The names of those told of since the last time."""
        names = frozenset(self._names)
        self._names.clear()
        self.changed.clear()
        return names


class Sections:
    """`now` gives a section; `follow` until cancelled."""

    def __init__(self, folder: Path, of: Sequence[section.Section[Any]] = catalog.SECTIONS) -> None:
        self._folder = folder
        self._by_file = {one.file: one for one in of}
        self._now: dict[str, section.Body] = {one.name: one.empty for one in of}
        self._own: dict[str, section.Body] = {}
        """What the files of sections had, the last good of each."""
        self._earlier: dict[str, section.Body] = {}
        """What the file of an earlier release had."""
        self._seen: dict[str, tuple[int, int, int]] = {}
        """What each file was when it was last looked into."""
        self._unread: set[str] = set()
        """Files that could not be opened."""
        self._said: dict[str, str] = {}
        self._watchers: dict[str, list[Told]] = {}

    def now(self, of: section.Section[section.Content]) -> section.Content:
        """The last good one; empty when there was none."""
        found = self._now[of.name]
        assert isinstance(found, of.form)
        return found

    def told(self, *of: section.Section[Any]) -> Told:
        """What will be told of these from now on."""
        told = Told()
        for one in of:
            self._watchers.setdefault(one.name, []).append(told)
        return told

    async def follow(self) -> None:
        """Reads what the kernel tells of; when the folder is not there yet, or has gone, looks again after a while."""
        while True:
            try:
                await self._watch()
            except errors.Failed as error:
                self._complain("", str(error))
                self.look()
            await asyncio.sleep(AGAIN)

    async def _watch(self) -> None:
        """Until the folder is gone. Raises Failed when it is not there, or cannot be watched."""
        gone = False
        stirred = asyncio.Event()

        def seen(name: str | None) -> None:
            nonlocal gone
            if name is None:
                gone = True
            elif name:
                self._look_into(name)
            else:
                self.look()
            if gone or self._unread:
                stirred.set()

        with contextlib.closing(inotify.Inotify()) as watcher:
            try:
                folder = os.open(self._folder, _FOLDER)
            except OSError as error:
                raise errors.Failed(f"{self._folder} cannot be watched: {error.strerror}") from error
            try:
                watcher.watch(folder, _WRITTEN, seen)
            finally:
                os.close(folder)
            self._said.pop("", None)
            # What was written before there was a watch.
            self.look()
            while not gone:
                stirred.clear()
                try:
                    async with asyncio.timeout(AGAIN if self._unread else None):
                        await stirred.wait()
                except TimeoutError:
                    for name in sorted(self._unread):
                        self._look_into(name)

    def look(self) -> None:
        """Read what is another file than the last one of its name that was looked into."""
        for name in (former.FILE, *self._by_file):
            self._look_into(name)

    def _look_into(self, name: str) -> None:
        if name != former.FILE and name not in self._by_file:
            return
        path = self._folder / name
        try:
            facts = path.lstat()
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if seen == self._seen.get(name):
                return
            body = left.read(path, LARGEST)
        except (FileNotFoundError, errors.NotFound):
            self._unread.discard(name)
            self._gone(name)
            return
        except (OSError, errors.Failed) as error:
            self._unread.add(name)
            self._complain(name, str(error))
            return
        self._unread.discard(name)
        self._seen[name] = seen
        try:
            found = self._read(name, body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Never the content: it has keys.
            self._complain(name, type(error).__name__)
            return
        self._said.pop(name, None)
        (self._earlier if name == former.FILE else self._own).update(found)
        self._settle(*found)

    def _read(self, name: str, body: bytes) -> dict[str, section.Body]:
        """The sections of a file by their names. Raises msgspec.DecodeError, UnicodeDecodeError."""
        if name == former.FILE:
            return {each: content for each, content in former.read(body).items() if each in self._now}
        of = self._by_file[name]
        return {of.name: of.read(body)}

    def _gone(self, name: str) -> None:
        """What was read counts, but of an earlier release only what there is no section of."""
        if name == former.FILE:
            self._earlier = {each: was for each, was in self._earlier.items() if each not in self._own}
            self._settle(*self._own)

    def _settle(self, *names: str) -> None:
        """Of a section's own file and that of an earlier release the newer counts: a release may have been undone."""
        for name in names:
            before, own, earlier = self._now[name], self._own.get(name), self._earlier.get(name)
            content = own if earlier is None or (own is not None and own.revision >= earlier.revision) else earlier
            assert content is not None
            self._now[name] = content
            if content != msgspec.structs.replace(before, revision=content.revision):
                log.info("the section %s is another one, of revision %d", name, content.revision)
                for told in self._watchers.get(name, ()):
                    told.tell(name)

    def _complain(self, name: str, why: str) -> None:
        """Once for each reason."""
        if why != self._said.get(name):
            log.error("%s cannot be read (%s); the last one counts", self._folder / name, why)
        self._said[name] = why
