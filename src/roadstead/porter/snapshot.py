"""What serve has left for porter: read at the start and again whenever the file changes.

A file that is missing, half there or of another format changes nothing: the last good one counts.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from roadstead.contract.messages import porter
from roadstead.core import errors
from roadstead.core.files import left

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks at the file: a look is one stat."""
LARGEST = 1 << 28
"""Bytes: some ten thousand access keys."""
EMPTY = porter.Snapshot(format=porter.FORMAT, revision=0)


class SnapshotReader:
    """`now` is the last good snapshot; `changed` is set with each new one, and cleared by who waits for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._said = ""
        self.now = EMPTY
        self.changed = asyncio.Event()

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(POLL)

    def look(self) -> bool:
        """Read the file if it is another than the last one that was looked at; whether there is a new snapshot."""
        try:
            facts = self._path.lstat()
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if seen == self._seen:
                return False
            body = left.read(self._path, LARGEST)
        except (FileNotFoundError, errors.NotFound):
            # Not there yet, or not any more: what was read counts.
            return False
        except (OSError, errors.Failed) as error:
            self._complain(str(error))
            return False
        self._seen = seen
        try:
            found = porter.read(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Never the content: it has keys.
            self._complain(type(error).__name__)
            return False
        self._said = ""
        if found != self.now:
            self.now = found
            self.changed.set()
            counts = len(found.clusters), len(found.principals), len(found.vpcs)
            log.info("a snapshot of %d clusters, %d access keys and %d VPCs", *counts)
        return True

    def _complain(self, why: str) -> None:
        """Once for each reason, as a look comes four times a second."""
        if why != self._said:
            log.error("the snapshot %s cannot be read (%s); the last one counts", self._path, why)
        self._said = why
