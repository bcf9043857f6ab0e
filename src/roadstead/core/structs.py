"""The types of messages, made ready before there are threads.

msgspec makes what it knows of a type when it first decodes one, and notes it at the type while it is half made: another
thread that decodes the same type in that moment reads a null pointer, and the process is gone (msgspec 0.22, seen as a
segmentation fault of serve just after its start).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


def prepare() -> int:
    """Makes all types of messages ready that were imported so far, in some milliseconds; how many there are."""
    types: set[type[Any]] = {*_below(msgspec.Struct)}
    for each in types:
        msgspec.json.Decoder(each)
    return len(types)


def _below(of: type[Any]) -> Iterator[type[Any]]:
    for each in of.__subclasses__():
        yield each
        yield from _below(each)
