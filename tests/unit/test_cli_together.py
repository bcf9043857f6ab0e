"""Calls side by side: an interruption waits for what was begun, at whatever moment it comes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from roadstead.cli.infrastructure import together


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Whoever runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_answers_are_in_the_order_of_the_calls() -> None:
    assert together.together(*(lambda number=number: number for number in range(20))) == list(range(20))
    assert together.together() == []


def test_all_are_made_when_one_fails() -> None:
    made: list[int] = []

    def one(number: int) -> None:
        made.append(number)
        if number == 3:
            raise ValueError(number)

    with pytest.raises(ValueError, match="3"):
        together.each(one, range(20))
    assert sorted(made) == list(range(20))


@pytest.mark.parametrize("after", [False, True])
def test_one_that_comes_while_a_thread_is_started_waits_for_its_call(
    monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """It would be raised in the middle of that, and nobody would know of the thread any more."""
    start, done = threading.Thread.start, threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        if after:
            start(thread)
        interrupt()
        if not after:
            start(thread)

    def call() -> None:
        time.sleep(0.2)
        done.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        together.together(call)
    assert not isinstance(raised.value, together.Abandoned)
    assert done.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_while_it_waits_begins_no_more() -> None:
    made: list[int] = []
    begun, heard = threading.Barrier(9, timeout=20), threading.Event()

    def one(number: int) -> None:
        if number < 8:
            begun.wait()
            heard.wait(20)
        time.sleep(0.2)
        made.append(number)

    def hear(number: int, frame: FrameType | None) -> None:
        heard.set()
        signal.default_int_handler(number, frame)

    def later() -> None:
        begun.wait()
        interrupt()

    signal.signal(signal.SIGINT, hear)
    other = threading.Thread(target=later)
    other.start()
    with pytest.raises(KeyboardInterrupt):
        together.each(one, range(100))
    other.join()
    assert set(range(8)) <= set(made)
    assert len(made) < 100


def test_a_second_one_waits_for_nothing() -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()
    heard: list[int] = []

    def call() -> None:
        begun.set()
        go.wait(60)
        ended.set()

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    def twice() -> None:
        begun.wait(20)
        for times in (1, 2):
            interrupt()
            # Two that are not heard yet are one.
            while len(heard) < times:
                time.sleep(0.01)

    signal.signal(signal.SIGINT, hear)
    other = threading.Thread(target=twice)
    other.start()
    try:
        with pytest.raises(together.Abandoned):
            together.together(call)
        assert not ended.is_set()
    finally:
        go.set()
        other.join()
    assert ended.wait(20)
