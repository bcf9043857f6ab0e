"""Calls side by side: the service answers many at once, and most of a call is waiting for its answer.

Ctrl-C does not cut them off. A call that was sent is done, or will be, whether its answer is read or not; so what was
begun is awaited before the interruption goes on, and who takes back afterwards finds all of it. Only the main thread is
interrupted, which is why even a single call is made by another one.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent import futures

Answer = TypeVar("Answer")

_MOST = 8
_HEARS = 0.5
"""Seconds: Python does not hear a signal that comes just when a thread begins to wait, until the wait is over."""


class Abandoned(KeyboardInterrupt):
    """Interrupted again while calls were awaited: nobody knows what became of them."""


def together(*calls: Callable[[], Answer]) -> list[Answer]:
    """The answers, in the order of the calls. All are made, also when one fails; then raises the first failure.

    When it is interrupted, no more calls are begun; raises KeyboardInterrupt when those that were are done.
    """
    if not calls:
        return []
    from concurrent import futures

    begun: list[futures.Future[Answer]] = []
    threads = futures.ThreadPoolExecutor(min(len(calls), _MOST), thread_name_prefix="calls")
    try:
        # An interruption within would leave a call that is made and that nobody knows.
        with _uninterrupted():
            begun = [threads.submit(call) for call in calls]
        _await(begun)
    except KeyboardInterrupt:
        try:
            threads.shutdown(wait=False, cancel_futures=True)
            _await([one for one in begun if not one.cancelled()])
        except KeyboardInterrupt as again:
            raise Abandoned from again
        raise
    finally:
        threads.shutdown(wait=False)
    return [one.result() for one in begun]


def _await(begun: Sequence[futures.Future[Any]]) -> None:
    from concurrent import futures

    while futures.wait(begun, _HEARS).not_done:
        pass


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C is heard at the end of it. Only the main thread is interrupted."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    heard: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        before(*heard[0])


def each(call: Callable[[Answer], None], things: Sequence[Answer]) -> None:
    """The call for each of the things, side by side."""
    together(*(lambda thing=thing: call(thing) for thing in things))
