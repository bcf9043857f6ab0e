"""What loops say of work that failed: warnings of the world, and the traces of faults."""

from __future__ import annotations

import asyncio
import logging

import pytest

from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import complaints
from roadstead.core.loops import loop as loops

log = logging.getLogger("tests.complaints")


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_fault_has_its_trace_as_often_as_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    mine: complaints.Complaints[str] = complaints.Complaints(log, "the images of {}".format)
    for key, error in (
        ("a", errors.Busy("not now")),
        ("a", raised(KeyError("x"))),
        ("a", raised(KeyError("x"))),
        ("b", raised(KeyError("x"))),
        ("a", raised(KeyError("y"))),
        ("a", errors.Busy("not now")),
        ("a", raised(KeyError("y"))),
    ):
        mine.failed(key, error, 0.5)
    mine.forget("a")
    mine.failed("a", raised(KeyError("y")), 0.5)
    traced = [bool(each.exc_info) for each in caplog.records]
    assert [each.levelname[0] for each in caplog.records] == list("WEEEEWEE")
    assert traced == [False, True, False, True, True, False, True, True]
    assert caplog.messages[:2] == [
        "the images of a: not now; tried again in 0.5 s",
        "the images of a: KeyError('x'), a fault of the program; tried again in 0.5 s",
    ]
    assert "in raised" in caplog.text


def test_in_a_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def work(key: str) -> None:
        raise ZeroDivisionError(key)

    async def story() -> None:
        mine: complaints.Complaints[str] = complaints.Complaints(log, str)
        clock = clocks.FakeClock()
        loop = loops.Loop(work, failed=mine.failed, clock=clock)
        running = asyncio.ensure_future(loop.run())
        loop.wake("a")
        for _ in range(3):
            await clock.advance(60.0)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(story())
    assert len(caplog.records) > 1
    assert [bool(each.exc_info) for each in caplog.records] == [True, *[False] * (len(caplog.records) - 1)]
    assert "in work" in caplog.text
