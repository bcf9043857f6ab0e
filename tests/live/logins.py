"""Logins that nobody has seen before, one after the other: what they take while porters come and go."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from testkit import kube, waiting
from tests.live import service, shared

from roadstead.cli import profile
from roadstead.cli import token as command
from roadstead.wire import sigv4

PAUSE = 0.05
"""Seconds between two."""
BOUND = 3.5
"""Seconds for one that a porter had taken when it died or froze: two until a frozen one is ended, half a one until the
API server asks again, and one for a busy machine."""
AFTER = 2.0
"""Seconds for one that waited, from when a porter is back."""


@dataclass
class Told:
    """`took`: seconds of each by when it was begun; `refused`: what was answered to those that did not get in."""

    took: list[tuple[float, float]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def longest(self, since: float) -> float:
        """Of those that ended since then."""
        return max((seconds for began, seconds in self.took if began + seconds >= since), default=0.0)

    def go_on(self, since: float) -> None:
        """Wait for some that began after that."""
        waiting.until("logins go on", lambda: sum(began > since for began, _ in self.took) > 5, 20, 0.05)


@contextlib.contextmanager
def going_on(cluster: shared.Cluster) -> Iterator[Told]:
    """Until the end of the block."""
    admin = cluster.service.admin
    assert admin.secret is not None
    access = profile.ApiAccess(admin.region, admin.endpoint, sigv4.Credentials(admin.access_key, admin.secret))
    host, _, port = cluster.endpoint.removeprefix("https://").partition(":")
    told, over = Told(), threading.Event()

    def one(number: int) -> None:
        # Dates of the last quarter of an hour, a second each: no two are one, and API servers keep what they know.
        now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=number)
        token = command.token(shared.NAME, access, now)
        began = time.monotonic()
        with contextlib.closing(kube.Api(host, int(port), cluster.tls, 20, token, cluster.service.netns)) as api:
            try:
                assert api.ask("GET", kube.path("namespaces", "default")).json
            except (OSError, AssertionError) as error:
                told.refused.append(f"{time.monotonic() - began:.2f} s: {error}")
        told.took.append((began, time.monotonic() - began))

    def all_of_them() -> None:
        for number in range(800):
            if over.wait(PAUSE):
                return
            one(number)

    thread = threading.Thread(target=all_of_them)
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join(60)


def without_one(told: Told, porter: service.Program, fault: signal.Signals) -> None:
    """One dies, or freezes and is ended by its peer: who had asked it is in as soon as the API server asks again."""
    told.go_on(time.monotonic())
    began = time.monotonic()
    assert porter.process is not None
    os.kill(porter.pid, fault)
    # Nobody here ends it.
    assert porter.process.wait(10) == -signal.SIGKILL
    ended = time.monotonic() - began
    told.go_on(time.monotonic())
    porter.start()
    longest = told.longest(began)
    print(f"\n{fault.name}: one porter was ended after {ended:.2f} s; the longest login took {longest:.2f} s")
    assert not told.refused, told.refused
    assert longest < BOUND


def without_both(told: Told, porters: tuple[service.Program, service.Program]) -> None:
    """New logins wait, and are in soon after one is back."""
    told.go_on(time.monotonic())
    for each in porters:
        each.kill()
    began = time.monotonic()
    took = porters[0].start()
    back = time.monotonic()
    told.go_on(back)
    porters[1].start()
    waited = max((start + seconds - back for start, seconds in told.took if start < back), default=0.0)
    print(f"\nof two that were killed one was back after {took:.2f} s; who waited was in {waited:.2f} s later")
    assert not told.refused, told.refused
    assert waited <= AFTER
    assert told.longest(began) < took + AFTER
