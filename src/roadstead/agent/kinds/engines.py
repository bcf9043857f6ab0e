"""An engine: root's own copies of binaries, where hosts see them read-only under /engine."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from roadstead.agent.kinds import context
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.records import desired as store
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import instance

_RUN_HERE = "runc"
"""The component that the agent itself runs, for all hosts: see hosts.runc."""


GETS = "`roadstead engine get` as root gets engines, or `start` shares those that are here"
"""What to do about one that nobody vouches for."""


def _check(new: Mapping[str, desired.Engine], _now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    for id, engine in new.items():
        if id == layout.SYSTEM:
            yield f"engine {id}: this name stands for programs of the machine"
        for component, digest in engine.components.items():
            if not facts.has_blob(digest):
                yield f"engine {id}: component {component}: blob {digest} is not here; stream it first"
        if not facts.vouches(id, engine):
            yield f"engine {id}: its files are not those of an engine that root or the supplier got: {GETS}"


def _blobs(engine: desired.Engine) -> Iterable[str]:
    return engine.components.values()


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """An engine installed, or gone."""
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
        now.wake_users(record.key)
        if _RUN_HERE in record.spec.components:
            for id in now.records.of_kind("hosts"):
                now.wake("hosts", id)
    return None


def _forget(now: context.StepContext, id: str) -> None:
    now.register.forget(id)


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


KIND = kinds.Kind(
    name="engines", message=desired.Engine, step=_step, order=0, check=_check, blobs=_blobs, forget=_forget
)
