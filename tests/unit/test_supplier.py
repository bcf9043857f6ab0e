"""What serve asks the supplier, and what it does with the answer; the socket is a real one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from testkit.worlds import machine

from roadstead import engine, supplier
from roadstead.contract.messages import requests, supply
from roadstead.core import clock, errors
from roadstead.engine import settings
from roadstead.provider import engine_supply, mirror


def question(text: bytes) -> supply.Wanted:
    reading, writing = os.pipe()
    try:
        os.write(writing, text)
        os.close(writing)
        return supplier._question(reading)
    finally:
        os.close(reading)


@pytest.mark.parametrize("spec", ["1.37.2", "etcd", "seed-1.37.2", "kubernetes-1.36"])
def test_an_engine_is_asked_for_by_its_name(spec: str) -> None:
    assert question(msgspec.json.encode(supply.Wanted(engine=spec)) + b"\n").engine == spec


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"engine": "etcd"}',
        b'{"engine": "../etcd"}\n',
        b'{"engine": "etcd\\n"}\n',
        b'{"engine": "--help"}\n',
        b'{"engine": "etcd", "source": "path", "path": "/tmp"}\n',
        b'{"engine": "etcd", "environment": {"PATH": "/tmp"}}\n',
        b'"etcd"\n',
        b'{"engine": "\xff"}\n',
        b'{"engine": "' + b"e" * 300 + b'"}\n',
    ],
)
def test_nothing_else_is_asked_of_it(text: bytes) -> None:
    with pytest.raises(errors.Invalid, match="one line of JSON that names an engine"):
        question(text)


@contextlib.asynccontextmanager
async def answering(place: Path, answer: Callable[[str], supply.Supplied | bytes]) -> AsyncIterator[list[str]]:
    """A supplier that does as it is told; what it was asked for."""
    asked: list[str] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        spec = msgspec.json.decode(await reader.readline(), type=supply.Wanted).engine
        asked.append(spec)
        found = await asyncio.to_thread(answer, spec)
        writer.write(found if isinstance(found, bytes) else msgspec.json.encode(found) + b"\n")
        writer.close()

    async with await asyncio.start_unix_server(one, place):
        yield asked


def cached(folder: Path) -> settings.EngineSettings:
    """A cache that engines come to from a folder, and from nowhere else."""
    program = folder / "programs" / "pause-1.0" / "pause"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = settings.from_environment({"ROADSTEAD_CACHE": str(folder / "cache"), "PATH": os.environ["PATH"]})
    return dataclasses.replace(found, modules=None, downloads={}, path=folder / "programs")


async def until_known(shelved: engine_supply.EngineSupply) -> None:
    """Raises what is known of the engine once nobody is at it any more."""
    running = asyncio.create_task(shelved.run())
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(engine_supply.Coming):
                    return await shelved.here("pause")
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])


def shelf_of(given: settings.EngineSettings, socket: Path) -> engine_supply.EngineSupply:
    agent = machine.Machine()
    # What serve reads it does not make: it has no folder to take engines from.
    return engine_supply.EngineSupply(
        agent, mirror.AgentMirror(agent, clock.FakeClock()), dataclasses.replace(given, path=None), supplier=socket
    )


def test_serve_has_engines_made_and_only_reads_them(tmp_path: Path) -> None:
    given = cached(tmp_path)

    def make(spec: str) -> supply.Supplied:
        engine.get(spec, given=given)
        return supply.Supplied()

    async def story() -> None:
        async with answering(tmp_path / "socket", make) as asked:
            await until_known(shelf_of(given, tmp_path / "socket"))
            assert asked == ["pause"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            supply.Supplied(problem=requests.Problem(code="Failed", message="no network")),
            "is not to be had: no network",
        ),
        (supply.Supplied(), "the supplier has it, and it is not whole"),
        (b"", "the supplier does not answer"),
        (b'{"probl', "the supplier does not answer"),
    ],
)
def test_why_an_engine_is_not_to_be_had_is_told(tmp_path: Path, answer: supply.Supplied | bytes, words: str) -> None:
    async def story() -> None:
        async with answering(tmp_path / "socket", lambda _: answer):
            with pytest.raises(engine_supply.Unobtainable, match=words):
                await until_known(shelf_of(cached(tmp_path), tmp_path / "socket"))

    asyncio.run(story())


def test_a_supplier_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(engine_supply.Unobtainable, match="the supplier does not answer"):
        asyncio.run(until_known(shelf_of(cached(tmp_path), tmp_path / "socket")))
