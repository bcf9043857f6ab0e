"""Calls side by side: the service answers many at once, and most of a call is waiting for its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Answer = TypeVar("Answer")

_MOST = 8


def together(*calls: Callable[[], Answer]) -> list[Answer]:
    """The answers, in the order of the calls. All are made, also when one fails; then raises the first failure."""
    if len(calls) < 2:
        return [call() for call in calls]
    from concurrent import futures

    with futures.ThreadPoolExecutor(min(len(calls), _MOST), thread_name_prefix="calls") as threads:
        begun = [threads.submit(call) for call in calls]
    return [one.result() for one in begun]


def each(call: Callable[[Answer], None], things: Sequence[Answer]) -> None:
    """The call for each of the things, side by side."""
    together(*(lambda thing=thing: call(thing) for thing in things))
