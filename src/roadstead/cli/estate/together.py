"""Calls side by side: the service answers many at once, and most of a call is waiting for its answer.

Ctrl-C does not cut them off. A call that was sent is done, or will be, whether its answer is read or not; so what was
begun is awaited before the interruption goes on, and who takes back afterwards finds all of it. Only the main thread is
interrupted, which is why even a single call is made by another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Answer = TypeVar("Answer")

_MOST = 8


class Abandoned(KeyboardInterrupt):
    """Interrupted again while calls were awaited: nobody knows what became of them."""


def together(*calls: Callable[[], Answer]) -> list[Answer]:
    """The answers, in the order of the calls. All are made, also when one fails; then raises the first failure.

    When it is interrupted, no more calls are begun; raises KeyboardInterrupt when those that were are done.
    """
    if not calls:
        return []
    from concurrent import futures

    threads = futures.ThreadPoolExecutor(min(len(calls), _MOST), thread_name_prefix="calls")
    try:
        begun = [threads.submit(call) for call in calls]
        futures.wait(begun)
    except KeyboardInterrupt:
        try:
            threads.shutdown(cancel_futures=True)
        except KeyboardInterrupt as again:
            raise Abandoned from again
        raise
    finally:
        threads.shutdown(wait=False)
    return [one.result() for one in begun]


def each(call: Callable[[Answer], None], things: Sequence[Answer]) -> None:
    """The call for each of the things, side by side."""
    together(*(lambda thing=thing: call(thing) for thing in things))
