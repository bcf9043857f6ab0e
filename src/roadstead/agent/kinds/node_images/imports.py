"""The images that a unit's host has before the unit is started: a kubelet that joins may be given pods at once.

And it may not wait for them itself: while a kubelet has no certificate, each of its many clients is refused and tries
again with a growing pause, so that a node which waits for 5 s is ready 15 s later.

A unit that runs and is to have other images, as a newer release has them, is given them while it runs (`follow`):
nothing is restarted, and nothing waits for them.

What a disk has is written on it. So a reboot imports nothing, and a disk that was lost is filled again. A new disk has
most of them from a store before its containerd is started (`filling`), and nothing is imported here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from roadstead.agent.kinds import context
from roadstead.agent.units import files
from roadstead.contract.messages import desired
from roadstead.core import errors

log = logging.getLogger(__name__)

REASON = "waits until its host has the images that every node has"

_MARK = "roadstead-images"
"""In `lib` on the host's disk: a line for each archive."""
_MOST = 65536
_LOOK = 5.0
"""Seconds until a look at what has not been heard of: its end wakes the unit."""


@dataclass
class _Late:
    """Of a unit that runs: the images that its host was seen to have, and what kept others the last time."""

    has: tuple[str, ...] = ()
    kept: str = ""


@dataclass
class _Importing:
    units: dict[str, str] = field(default_factory=dict)
    """By unit whose images are on their way to its host: empty, or what kept them."""
    late: dict[str, _Late] = field(default_factory=dict)
    """By unit that was started before its host had all images that it is to have by now."""


def forget(now: context.StepContext, id: str) -> None:
    """A unit is gone."""
    memory = now.memory(_Importing)
    memory.units.pop(id, None)
    memory.late.pop(id, None)


def wait(now: context.StepContext, id: str, unit: desired.Unit) -> float | None:
    """Seconds until to look again while images are on their way; None when all are there. Raises Failed."""
    memory = now.memory(_Importing)
    memory.late.pop(id, None)
    kept = memory.units.get(id)
    if kept:
        del memory.units[id]
        raise errors.Failed(f"an image could not be imported: {kept}")
    if kept is None and not _begin(now, id, unit):
        return None
    return _LOOK


def follow(now: context.StepContext, id: str, unit: desired.Unit) -> str:
    """Of a unit that was started before: what its host lacks by now is brought. Why that did not go well the last time.

    It is begun again when the unit is looked at next.
    """
    if not unit.images:
        return ""
    memory = now.memory(_Importing)
    late, kept = memory.late.setdefault(id, _Late()), memory.units.get(id)
    if kept:
        del memory.units[id]
        why = f"an image could not be imported: {kept}"
        if late.kept != why:
            log.warning("units/%s: %s", id, why)
        late.kept = why
        return why
    ready = now.phase("units", f"{id.split('/')[0]}/{unit.after}") == "ready"
    # Read once: an agent reads no file of each node again and again.
    if kept is None and ready and late.has != unit.images and not _begin(now, id, unit):
        late.has, late.kept = unit.images, ""
    return late.kept


def _begin(now: context.StepContext, id: str, unit: desired.Unit) -> bool:
    """Bring what its host lacks of a unit's images; False: it has them all."""
    host = id.split("/")[0]
    lacking = tuple(digest for digest in unit.images if digest not in _there(now, host))
    if lacking:
        now.memory(_Importing).units[id] = ""
        engine = now.wanted().all(desired.Unit)[f"{host}/{unit.after}"].engine
        now.spawn(_bring(now, id, engine, lacking))
    return bool(lacking)


async def _bring(now: context.StepContext, id: str, engine: str, lacking: tuple[str, ...]) -> None:
    host = id.split("/")[0]
    kept = "a fault of ours, which is in the agent's log"
    try:
        for digest in lacking:
            await now.bring(host, engine, digest)
            mark(now, host, [digest])
        kept = ""
    except (errors.Error, OSError) as error:
        # Not every error has words, and one without would be on its way for ever.
        kept = str(error) or type(error).__name__
    finally:
        # One that was deleted meanwhile has no step that would hear of it.
        importing = now.memory(_Importing).units
        if kept and id in importing:
            importing[id] = kept
        else:
            importing.pop(id, None)
        now.wake("units", id)


def _there(now: context.StepContext, host: str) -> frozenset[str]:
    try:
        with files.folder(now.instance.host(host).disk) as disk, files.folder("lib", disk) as lib:
            found = files.read(lib, _MARK, _MOST)
    except OSError:
        return frozenset()
    return frozenset(() if found is None else found[0].decode(errors="replace").split())


def mark(now: context.StepContext, host: str, digests: Iterable[str]) -> None:
    """Write on the host's disk that it has these, too. Raises OSError."""
    with files.folder(now.instance.host(host).disk) as disk, files.folder("lib", disk) as lib:
        lines = sorted({*_there(now, host), *digests})
        files.replace(lib, _MARK, "".join(f"{line}\n" for line in lines).encode(), 0o444)
