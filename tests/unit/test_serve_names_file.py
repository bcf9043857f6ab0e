"""The file of clusters' names: for serve's user and root alone, and as it is now."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

from testkit.worlds import memory

from roadstead.contract import programs
from roadstead.serve import names_file


def test_the_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    async def story() -> None:
        writing = asyncio.create_task(names_file.NamesFile(memory.MemoryStore(), tmp_path).run())
        async with asyncio.timeout(20):
            while not (tmp_path / programs.CLUSTERS).exists():  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)
        writing.cancel()
        await asyncio.wait({writing})

    before = os.umask(0)
    try:
        asyncio.run(story())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / programs.CLUSTERS).stat().st_mode) == 0o600
    assert json.loads((tmp_path / programs.CLUSTERS).read_text()) == {}
