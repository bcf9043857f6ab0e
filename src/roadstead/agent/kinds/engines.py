"""An engine: root's own copies of binaries, where hosts see them read-only under /engine."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from roadstead.agent.kinds import context
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired
from roadstead.core import instance

_RUN_HERE = "runc"
"""The component that the agent itself runs, for all hosts: see hosts.runc."""


async def step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """An engine installed, or gone.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    folder = now.instance.engines / record.id
    if record.deleting:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        now.gone(record)
        return None
    assert isinstance(record.spec, desired.Engine)
    sources = {name: now.blobs.path(digest) for name, digest in record.spec.components.items()}
    if _RUN_HERE in sources and not now.register.vouches(record.id, record.spec):
        del sources[_RUN_HERE]
    await asyncio.to_thread(_install, folder, sources)
    if now.observe(record, "ready"):
        for kind in ("units", "hosts") if _RUN_HERE in record.spec.components else ("units",):
            for id in now.records.of_kind(kind):
                now.wake(kind, id)
    return None


def withhold(places: instance.Instance, id: str) -> None:
    """Of an engine that nobody vouches for the agent runs nothing itself, though an earlier release accepted it."""
    (places.engines / id / _RUN_HERE).unlink(missing_ok=True)


def _install(folder: Path, sources: dict[str, Path]) -> None:
    """Each component as a hard link of its blob: one file, whose pages all hosts share. Replaced whole."""
    folder.mkdir(parents=True, exist_ok=True)
    # Units of every user run what is in it.
    for each in (folder.parent, folder):
        each.chmod(0o755)
    for name, blob in sources.items():
        target = folder / name
        if target.exists() and target.samefile(blob):
            continue
        blob.chmod(0o555)
        fresh = folder / f".{name}.new"
        fresh.unlink(missing_ok=True)
        os.link(blob, fresh)
        fresh.rename(target)
    for old in folder.iterdir():
        if old.name not in sources:
            old.unlink()
