"""Several engines at once: those that are built leave processors idle while they are linked, others use them.

The work is done in threads, which nothing interrupts; so each is told to stop by a descriptor that its commands look
at, and by the first news that it tells.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from roadstead import engine as engines
from roadstead.core import errors
from roadstead.engine import cache, catalog, install, progress
from roadstead.engine import settings as engine_settings

_MEMORY = 3 << 30
"""Bytes that a build of Kubernetes takes on two processors."""
_MOST = 3
_ENDING = 20.0
"""Seconds for threads to end what they have begun."""

Result = engines.Installed | BaseException


@dataclass(frozen=True)
class Job:
    """What all are got with."""

    source: install.Choice | None
    given: engine_settings.EngineSettings
    arch: str | None


def at_once(processors: int, memory: int) -> int:
    """How many are made side by side, by what is available. Pure."""
    return max(1, min(_MOST, memory // _MEMORY)) if processors > 1 else 1


def order(specs: Sequence[str], job: Job) -> tuple[str, ...]:
    """Those that take longest first, what is made by running others last. Raises NotFound, Invalid."""
    arch = job.arch or catalog.machine_arch()
    found = {spec: catalog.resolve(job.given.catalog, spec, arch).engine for spec in specs}
    return tuple(sorted(found, key=lambda spec: (found[spec].seed is not None, -found[spec].effort)))


def announced(specs: Sequence[str], job: Job, processors: int) -> str:
    """What is to be had and how long it may take, in one sentence; empty when all of it is here. Reads the cache."""
    arch = job.arch or catalog.machine_arch()
    releases = [catalog.resolve(job.given.catalog, spec, arch) for spec in specs]
    absent = [
        release
        for release in releases
        if release.engine.build is not None
        and not isinstance(cache.see(job.given.cache, install.key_of(release, job.given), digests=False), cache.Whole)
    ]
    if not absent or job.source not in (None, "build"):
        return ""
    minutes = sum(release.engine.effort for release in absent) / processors / 60
    what = "1 engine is" if len(absent) == 1 else f"{len(absent)} engines are"
    long = "a minute" if minutes < 1.5 else f"{minutes:.0f} minutes"
    how = "is built from source" if job.source == "build" else "cannot be downloaded is built from source"
    return f"{what} not here yet: what {how}, which takes about {long} in all with {processors} processors, once"


def get(specs: Sequence[str], job: Job, listener: progress.Listener, width: int) -> tuple[engines.Installed, ...]:
    """All of them, `width` at a time, in the order in which they are named. What one raises ends the others, too.

    Among several, one that the distribution's program does instead of is left out when it is not to be had.
    """
    reading, writing = os.pipe()
    stopped = threading.Event()
    one_at_a_time = threading.Lock()

    def tell(news: progress.Progress) -> None:
        if stopped.is_set():
            raise errors.Failed("it was told to stop")
        with one_at_a_time:
            listener(news)

    given = dataclasses.replace(job.given, stop=reading)
    ordered = order(specs, job)
    results: queue.SimpleQueue[tuple[str, Result]] = queue.SimpleQueue()

    def one(spec: str) -> engines.Installed:
        return engines.get(spec, job.source, tell, given=given, arch=job.arch)

    spare = _spare(ordered, job) if len(ordered) > 1 else {}
    threads = _start(ordered, one, results, width, spare)
    made: dict[str, engines.Installed] = {}
    left_out: set[str] = set()
    try:
        while len(made) + len(left_out) < len(ordered):
            spec, result = results.get()
            if spec in spare and isinstance(result, errors.Error | OSError):
                tell(progress.Progress(spec, f"the distribution's {spare[spec]} is used instead: {result}"))
                left_out.add(spec)
            elif isinstance(result, BaseException):
                raise result
            else:
                made[spec] = result
    finally:
        stopped.set()
        os.close(writing)
        for thread in threads:
            thread.join(_ENDING)
        if not any(thread.is_alive() for thread in threads):
            os.close(reading)
    return tuple(made[spec] for spec in specs if spec in made)


def _spare(specs: Sequence[str], job: Job) -> dict[str, str]:
    """By spec, the distribution's package that does instead."""
    arch = job.arch or catalog.machine_arch()
    found = {spec: catalog.resolve(job.given.catalog, spec, arch).engine.instead for spec in specs}
    return {spec: package for spec, package in found.items() if package is not None}


def _start(
    specs: Sequence[str],
    work: Callable[[str], engines.Installed],
    results: queue.SimpleQueue[tuple[str, Result]],
    width: int,
    spare: Collection[str],
) -> list[threading.Thread]:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for spec in specs:
        waiting.put(spec)

    def run() -> None:
        while True:
            try:
                spec = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((spec, work(spec)))
            except BaseException as error:  # Whoever waits for the result raises it, or does without.
                results.put((spec, error))
                if spec not in spare:
                    return

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(width, len(specs)))]
    for thread in threads:
        thread.start()
    return threads
