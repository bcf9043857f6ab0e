"""What programs say to people: the one place that writes to standard output and standard error.

All that goes out is escaped (`foreign`), whoever wrote it, so no command has to know where its words came from. A test
of the house finds what writes around it.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable
from typing import Protocol, TextIO

from roadstead.core import foreign


class Stream(Protocol):
    """What can be drawn on: standard output, standard error, or a test's `StringIO`."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def out(said: str = "", *, end: str = "\n") -> None:
    """Lines on standard output."""
    _write(sys.stdout, foreign.page(said) + end)


def err(said: str, *, end: str = "\n") -> None:
    """Lines on standard error."""
    _write(sys.stderr, foreign.page(said) + end)


def drawn(said: str, stream: Stream) -> None:
    """What moves the cursor or has colours: of those few who draw, and who escape themselves what they put into it."""
    _write(stream, said)


def copied(chunks: Iterable[bytes]) -> None:
    """A log on standard output as it comes. What is no UTF-8 is escaped, too: `\\x9b`."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for chunk in chunks:
        out(decoder.decode(chunk), end="")
    out(decoder.decode(b"", True), end="")


def stream(*, error: bool) -> TextIO:
    """Where `drawn` draws."""
    return sys.stderr if error else sys.stdout


def _write(to: Stream, said: str) -> None:
    # A terminal of another encoding is told what it can show.
    coding = getattr(to, "encoding", None) or "utf-8"
    to.write(said.encode(coding, "backslashreplace").decode(coding))
    to.flush()
