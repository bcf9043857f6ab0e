"""`serve` with the reconciler of clusters and a small agent.

    python -m tests.wire.serve_with_provider --provider FILE (and what serve takes)

The agent's hosts are lines in a file: like real ones they go on while serve is dead. A part is ready a moment after it
was told of. It is to generations and incarnations what clusters.provider.Provider asks for.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from roadstead.clusters import observed, provider
from roadstead.contract import leaving
from roadstead.serve import main as serve_main
from roadstead.store import keys

MAKING = 0.04
"""Seconds until a part that was started is ready."""

Phase = observed.Phase


class Host(msgspec.Struct, frozen=True):
    """A part as it is, and what it was told to be: the release that its next start takes."""

    part: observed.Part
    release: str


Hosts = dict[str, dict[str, Host]]
"""By the text of the owner's key and the part's name."""


def read(file: Path) -> Hosts:
    """All that the agent has ever known; also for tests, while or after serve runs."""
    return msgspec.json.decode(file.read_bytes(), type=Hosts) if file.exists() else {}


class FileProvider:
    """See clusters.provider.Provider."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hosts = read(file)
        self._changed: asyncio.Queue[keys.Key] = asyncio.Queue()

    async def prepare(self, release: str) -> None:
        del release  # There is nothing that it would be made of.

    async def tell(self, owner: keys.Key, generation: int, parts: Mapping[str, provider.PartSpec]) -> None:
        for part, wanted in parts.items():
            there = self._part(owner, part)
            if generation <= there.generation:
                continue
            release = there.release if wanted.runs_kubernetes else wanted.release
            told = replace(there, generation=generation, release=release)
            fresh = told if there.phase is Phase.READY else _started(told, wanted.release)
            self._keep(owner, Host(fresh, wanted.release))

    async def replace(
        self, owner: keys.Key, part: str, generation: int, incarnation: int, wanted: provider.PartSpec
    ) -> None:
        there = self._part(owner, part)
        if (there.generation, there.incarnation) == (generation, incarnation) and there.phase is not Phase.ABSENT:
            self._keep(owner, Host(_started(there, wanted.release), wanted.release))

    async def remove(self, owner: keys.Key, generation: int, parts: Collection[str], leave: leaving.Leave) -> None:
        del leave  # Nothing runs on the hosts here.
        for part in parts:
            there = self._part(owner, part)
            if generation >= there.generation:
                gone = observed.Part(part, generation=generation, incarnation=there.incarnation)
                self._keep(owner, Host(gone, ""))

    async def see(self, owner: keys.Key) -> observed.Projection:
        parts = {name: _now(host.part) for name, host in self._hosts.get(owner.text, {}).items()}
        if owner.kind != "cluster" or all(part.phase is not Phase.READY for part in parts.values()):
            return observed.Projection(parts)
        return observed.Projection(parts, endpoint="https://198.51.100.1", authority="Q0E=")

    async def changes(self) -> AsyncIterator[keys.Key]:
        for text in self._hosts:
            self._tell_of(keys.Key.parse(text))
        while True:
            yield await self._changed.get()

    def _part(self, owner: keys.Key, part: str) -> observed.Part:
        host = self._hosts.get(owner.text, {}).get(part)
        return observed.Part(part) if host is None else _now(host.part)

    def _keep(self, owner: keys.Key, host: Host) -> None:
        """In one step: a kill leaves the file as it was, or as it shall be."""
        self._hosts.setdefault(owner.text, {})[host.part.name] = host
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._hosts))
        fresh.replace(self._file)
        self._tell_of(owner)

    def _tell_of(self, owner: keys.Key) -> None:
        self._changed.put_nowait(owner)
        asyncio.get_running_loop().call_later(MAKING, self._changed.put_nowait, owner)


def _started(part: observed.Part, release: str) -> observed.Part:
    return replace(
        part, phase=Phase.MAKING, release=release, incarnation=part.incarnation + 1, reason="", since=time.time()
    )


def _now(part: observed.Part) -> observed.Part:
    if part.phase is Phase.MAKING and part.since is not None and time.time() >= part.since + MAKING:
        return replace(part, phase=Phase.READY)
    return part


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--provider", type=Path, required=True)
    own, others = parser.parse_known_args(arguments)
    return serve_main.main(others, agent=FileProvider(own.provider))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
