"""Figures of the store beside what its disk can do: how often per second it flushes.

    python -m bench.store        (about 20 s; -o json for programs; --folder to measure another disk)

Disks differ by a hundred times, so what counts is the ratio: acknowledged writes per flush of the disk, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from roadstead.store import interface, keys, writes
from roadstead.store.sqlite import local

CLIENTS = 16
BODY = b"x" * 1000
LARGE = 20_000


@dataclass(frozen=True)
class Figure:
    """One measurement: its value, and the bound that it is held against (None: printed only)."""

    name: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None
    against: str = ""

    def line(self) -> str:
        missed = (self.least is not None and self.value < self.least) or (
            self.most is not None and self.value > self.most
        )
        bound = f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}" if self.most is not None else ""
        verdict = "" if not bound else "MISSED" if missed else "ok"
        return f"{self.name:<58} {self.value:>9.1f} {self.unit:<6} {bound:<14} {verdict:<7} {self.against}"


def key(*names: str) -> keys.Key:
    return keys.Key("000000000000", "eu-central-1", "cluster", *names)


def flushes(folder: Path, seconds: float) -> float:
    """How often per second a program that does nothing else writes 8 KiB and flushes them (fdatasync).

    Into a file that is there already, as the write-ahead log mostly is: nothing but the bytes goes to the disk.
    """
    path = folder / "probe"
    path.write_bytes(bytes(4 << 20))
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            os.pwrite(descriptor, os.urandom(8192), count % 500 * 8192)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return count / seconds


async def rate(clients: int, seconds: float, write: Callable[[int, int], Awaitable[int]]) -> float:
    """Answers per second to clients that each wait for one before they write the next."""
    count = 0
    end = time.monotonic() + seconds

    async def client(number: int) -> None:
        nonlocal count
        turn = 0
        while time.monotonic() < end:
            await write(number, turn)
            turn += 1
            count += 1

    await asyncio.gather(*map(client, range(clients)))
    return count / seconds


async def written(store: interface.Store, folder: Path, seconds: float) -> list[Figure]:
    """Writes by turns with the bare disk."""
    generations = [await store.put(key(str(client)), BODY) for client in range(CLIENTS)]

    async def put(client: int, _: int) -> int:
        return await store.put(key(str(client)), BODY)

    async def observe(client: int, turn: int) -> int:
        return await store.observe(key(str(client)), f"{turn}".encode() + BODY, generations[client])

    bare: list[float] = []
    many: list[float] = []
    one: list[float] = []
    seen: list[float] = []
    for _ in range(3):
        bare.append(flushes(folder, seconds))
        seen.append(await rate(1, seconds, observe))
        many.append(await rate(CLIENTS, seconds, put))
        one.append(await rate(1, seconds, put))
        generations = [await store.put(key(str(client)), BODY) for client in range(CLIENTS)]
    disk, together, alone, observed = map(statistics.median, (bare, many, one, seen))
    said = f"the disk flushes {disk:.0f} times a second"
    return [
        Figure(f"acknowledged writes of {CLIENTS} clients", together, "/s", least=1000, against=said),
        Figure("  beside the disk's flushes", together / disk, "x"),
        Figure("acknowledged writes of one client", alone, "/s"),
        Figure("  beside the disk's flushes (each waits for one)", alone / disk, "x", most=1.25),
        Figure("observations of one client (none waits for one)", observed, "/s"),
    ]


async def read(store: interface.Store, seconds: float) -> list[Figure]:
    """One state, read again and again while 16 clients write."""
    times: list[float] = []

    async def reading() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            await store.get(key("1"))
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0)

    async def put(client: int, _: int) -> int:
        return await store.put(key(str(client)), BODY)

    _, beside = await asyncio.gather(reading(), rate(CLIENTS, seconds, put))
    cuts = statistics.quantiles(times, n=100)
    return [
        Figure("reading a state while they write, median", cuts[49] * 1e6, "us", against=f"{beside:.0f} writes/s"),
        Figure("  99 of 100 within", cuts[98] * 1e6, "us"),
    ]


async def opening(folder: Path) -> list[Figure]:
    """The start with a large store, checked as at every start."""
    places = local.Places(folder)
    async with local.opened(places) as store:
        for first in range(0, LARGE, writes.MOST):
            puts = [writes.Put(key(str(n)), BODY * 2) for n in range(first, min(first + writes.MOST, LARGE))]
            await store.commit(*puts)
    times: list[float] = []
    for _ in range(5):
        began = time.monotonic()
        async with local.opened(places):
            times.append(time.monotonic() - began)
    size = places.database.stat().st_size / 1e6
    return [
        Figure(f"opening a store of {LARGE} states, {size:.0f} MB", statistics.median(times) * 1000, "ms", most=500)
    ]


async def measure(folder: Path, seconds: float) -> list[Figure]:
    async with local.opened(local.Places(folder / "store")) as store:
        figures = await written(store, folder, seconds) + await read(store, seconds)
    return figures + await opening(folder / "large")


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of the store beside the flushes of its disk.")
    parser.add_argument("--folder", type=Path, default=None, help="where: a folder on the disk to measure")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each part")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), options.seconds))
    if options.output == "json":
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
    else:
        print("\n".join(figure.line() for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
