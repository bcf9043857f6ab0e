"""Customers' stories while `serve` is killed at random moments: nothing acknowledged is missing, nothing is twice.

ROADSTEAD_STORY_KILLS sets another number of kills, ROADSTEAD_STORY_SEED other moments.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testkit import api_served
from tests.wire import serve_with_provider, story

from roadstead.clusters import observed, spec
from roadstead.store import keys

KILLS = int(os.environ.get("ROADSTEAD_STORY_KILLS", "16"))
SEED = int(os.environ.get("ROADSTEAD_STORY_SEED", "4"))
LONGEST = 0.6
"""Seconds that a serve may live before it is killed: one story takes about as long."""
DEADLINE = 30.0


@dataclass
class Lives:
    """serve, killed again and again in a thread of its own, on the same state and port; then one that stays."""

    folder: Path
    port: int
    kills: int = 0
    done: bool = False
    lives: list[api_served.Served] = field(default_factory=list)
    _up: threading.Event = field(default_factory=threading.Event)
    _end: threading.Event = field(default_factory=threading.Event)
    _failed: list[BaseException] = field(default_factory=list)

    def up(self) -> None:
        """Wait until one is up. A caller whose connection broke comes here before the next one may be."""
        assert self._up.wait(DEADLINE), "serve did not come up again"
        if self._failed:
            raise AssertionError("serve could not be started again") from self._failed[0]

    def end(self) -> None:
        self._end.set()

    def run(self) -> None:
        moments = random.Random(SEED)
        try:
            while self.kills < KILLS and not self._end.is_set():
                with self._one() as running:
                    self._end.wait(moments.uniform(0.0, LONGEST))
                    # Before the kill: who sees it must not find this still set.
                    self._up.clear()
                    running.process.kill()
                    running.process.wait()
                    self.kills += 1
            with self._one():
                self.done = True
                self._end.wait()
        except BaseException as error:
            self._failed.append(error)
            self._up.set()
            raise

    @contextlib.contextmanager
    def _one(self) -> Iterator[api_served.Served]:
        provider = ("--provider", str(self.folder / "provider.json"))
        places = (self.folder / "state", self.folder / "home")
        with api_served.served(*places, *provider, module="tests.wire.serve_with_provider", port=self.port) as running:
            self.lives.append(running)
            self._up.set()
            yield running


def own_port() -> int:
    """Free, and if may be none that the kernel gives to who asks for any: nobody takes it between two lives."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first, last = map(int, given.read_text().split()) if given.exists() else (49_152, 65_535)
    ports = [port for port in range(20_000, 32_000) if not first <= port <= last] or range(20_000, 32_000)
    while True:
        port = random.choice(ports)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def killed(folder: Path) -> Iterator[Lives]:
    lives = Lives(folder, own_port())
    thread = threading.Thread(target=lives.run)
    thread.start()
    try:
        yield lives
    finally:
        lives.end()
        thread.join()


def soon(true: Callable[[], bool]) -> bool:
    """Whether it comes true: the agent's file tells nobody that it was written."""
    until = time.monotonic() + DEADLINE
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


def hosts(folder: Path) -> dict[str, dict[str, observed.Part]]:
    """The parts that there are, by the names of their owner."""
    read = serve_with_provider.read(folder / "provider.json")
    return {
        "/".join(keys.Key.parse(owner).names): there
        for owner, mine in read.items()
        if (there := {name: host.part for name, host in mine.items() if host.part.phase is not observed.Phase.ABSENT})
    }


def test_nothing_acknowledged_is_missing_and_nothing_is_there_twice(tmp_path: Path) -> None:
    with killed(tmp_path) as lives:
        lives.up()
        customer = story.Customer(story.clients(lives.lives[0].profile), lives.up)
        told: list[str] = []
        deleted: list[str] = []
        while not lives.done:
            name = f"shop-{len(told) + len(deleted)}"
            story.cluster(customer, name)
            if name[-1] in "02468":
                story.delete(customer, name)
                deleted.append(name)
            else:
                told.append(name)
            if len(told) == 6:
                # Regions have room for few VPCs.
                story.delete(customer, told[0])
                deleted.append(told.pop(0))
        assert lives.kills == KILLS
        assert customer.broken >= KILLS // 2, "most kills were when nobody asked anything"
        assert story.found(customer) == customer.ledger
        assert sorted(customer.ledger.clusters) == sorted(told)
        assert soon(lambda: set(hosts(tmp_path)) == {*told, *(f"{name}/workers" for name in told)})
        for name in told:
            # An upgrade starts each API server once more, and nothing that runs no Kubernetes, and no node.
            assert {part: seen.incarnation for part, seen in hosts(tmp_path)[name].items()} == {
                part: 2 if part in spec.API else 1 for part in spec.MEMBERS
            }
            assert [seen.incarnation for seen in hosts(tmp_path)[f"{name}/workers"].values()] == [1, 1, 1]
        happened = story.events(customer)
        for name in (*told, *deleted):
            lived = ["Ready", "Ready", *(["Deleted"] if name in deleted else [])]
            assert happened[f"cluster/{name}"] == happened[f"nodegroup/{name}/workers"] == lived, name
    lines = [line for one in lives.lives for line in one.lines]
    assert [line for line in lines if {"trace", "Traceback"} & {*line, *line["message"].split()[:1]}] == []
    assert "ERROR" not in {line.get("level") for line in lines}
