"""A hundred times `kill -9` in the middle of writes: nothing acknowledged is lost, no transaction is torn.

A process of its own (this file run as a program) forks the one that is killed, so that a hundred of them take seconds.
ROADSTEAD_KILLS sets another number of rounds.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from roadstead.store import interface, keys, writes
from roadstead.store.sqlite import local, writer

CLIENTS = 4
ROUNDS = int(os.environ.get("ROADSTEAD_KILLS", "100"))
LONGEST = 0.06
"""Seconds that a process may live before it is killed, where that is enough to write."""
MOST = 1.0
"""Where it is not: a slow machine's processes live longer."""
UNCHECKED = 4
"""Lives between one look and the next."""

# Few changes are kept, so that some kills fall into a compaction.
LIMITS = writer.WriterLimits(changes=200)


def key(kind: str, client: int) -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, f"client-{client}")


async def last(store: interface.Store, client: int) -> int:
    """The number of the client's last transaction. Asserts that all of it is there, and all before it."""
    left, right = await store.get(key("left", client)), await store.get(key("right", client))
    secret = await store.secret(key("secret", client))
    records = await store.records(key("book", client), newest=True, limit=1_000)
    if left is None:
        assert (right, secret, records) == (None, None, ())
        return 0
    number = int(left.desired.body)
    assert right is not None
    assert secret is not None
    assert right.desired.body == left.desired.body == secret.value
    assert right.desired.generation == left.desired.generation == secret.generation == records[0].revision
    assert [int(record.body) for record in records] == list(range(number, number - len(records), -1))
    assert number == len(records) or len(records) == 1_000
    if left.observation is not None:
        # A process begins with observing what the one before it put last.
        assert int(left.observation.body) in (number, number - 1), "a killed process loses no observation either"
    return number


async def write(folder: Path) -> None:
    """Write for ever; a line `CLIENT NUMBER` on stdout for what is acknowledged."""

    async def client(store: interface.Store, name: int) -> None:
        number = await last(store, name)
        if (state := await store.get(key("left", name))) is not None:
            await store.observe(key("left", name), state.desired.body, state.desired.generation)
        while True:
            number += 1
            body = str(number).encode()
            generation = await store.commit(
                writes.Put(key("left", name), body),
                writes.Put(key("right", name), body),
                writes.PutSecret(key("secret", name), body),
                writes.Append(key("book", name), body, at=0.0),
            )
            os.write(1, f"{name} {number}\n".encode())
            await store.observe(key("left", name), body, generation)

    async with local.opened(local.Places(folder), LIMITS) as store, asyncio.TaskGroup() as tasks:
        for name in range(CLIENTS):
            tasks.create_task(client(store, name))


def fork_for_ever(folder: Path) -> None:
    """For each line on stdin a process that writes; its id on stderr. It is reaped with the next line."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(write(folder))
            except BaseException:
                os.write(1, f"failed {traceback.format_exc()!r}\n".encode())
            # Whatever happened, it is there to be killed.
            signal.pause()
        os.write(2, f"{pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, b"dead\n")


@contextmanager
def forker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, __file__, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as process:
        assert process.stdin is not None
        try:
            yield process
        except BaseException:
            # One that still writes ends when nobody reads what it says.
            process.kill()
            raise
        process.stdin.close()


def one_life(process: subprocess.Popen[bytes], seconds: float) -> dict[int, int]:
    """Let one process write and kill it; what it has acknowledged last, by client."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    pid = int(process.stderr.readline())
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return dict(_acknowledged(process.stdout))


def _acknowledged(lines: IO[bytes]) -> Iterator[tuple[int, int]]:
    for line in iter(lines.readline, b""):
        if line == b"dead\n":
            return
        assert not line.startswith(b"failed"), line.decode()
        client, number = line.split()
        yield int(client), int(number)
    raise AssertionError("the process that forks has ended")


def test_kills_lose_nothing_acknowledged_and_tear_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    known = dict.fromkeys(range(CLIENTS), 0)
    lives = 0

    async def check() -> None:
        async with local.opened(local.Places(folder), LIMITS) as store:
            for client in range(CLIENTS):
                number = await last(store, client)
                # Each killed process may have kept one more than it came to say.
                assert known[client] <= number <= known[client] + UNCHECKED, f"client {client}, life {lives}"
                known[client] = number

    longest = LONGEST
    with forker(folder) as process:
        for lives in range(1, ROUNDS + 1):
            told = one_life(process, random.uniform(0, longest))
            # Where most are killed before they write, nothing is shown.
            longest = max(LONGEST, longest * 0.9) if told else min(MOST, longest * 1.2)
            known |= told
            # Mostly the next process finds what the killed one left, and carries on; sometimes this one looks.
            if lives % UNCHECKED == 0 or lives == ROUNDS:
                asyncio.run(check())
    assert min(known.values()) > ROUNDS // 4, "most lives were too short to write anything"


if __name__ == "__main__":
    fork_for_ever(Path(sys.argv[1]))
