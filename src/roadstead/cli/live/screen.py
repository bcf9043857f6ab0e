"""The terminal: lines of progress above, the picture below them, redrawn in place. One write for each change.

Where nobody looks (a pipe, CI, TERM=dumb, NO_COLOR) there is no picture, and nothing but lines is written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

from roadstead.cli.live import picture, progress
from roadstead.core import foreign, terminal

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: terminals that know it show all of what is between at once, others ignore it."""
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


class ScreenStream(Protocol):
    """Standard output or standard error, or a test's `StringIO`."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...
    def isatty(self) -> bool: ...


def wanted(stream: ScreenStream, environment: Mapping[str, str]) -> bool:
    """Whether there is somebody who sees a picture."""
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return (
        stream.isatty()
        and environment.get("TERM", "dumb") != "dumb"
        and not environment.get("NO_COLOR")
        and environment.get("CI", "").lower() in ("", "0", "false")
        and encoding in ("utf8", "")
    )


class LiveScreen(AbstractContextManager["LiveScreen"]):
    """Lines and one picture on a stream. The last picture stays when it is closed, and lines go on below it."""

    def __init__(self, stream: ScreenStream, *, live: bool, size: Callable[[], os.terminal_size] | None = None) -> None:
        self.live = live
        self._stream = stream
        self._size = size or shutil.get_terminal_size
        self._drawn: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lines go on below the last picture."""
        self._drawn = []

    def line(self, text: str) -> None:
        """One line above the picture."""
        text = foreign.line(text)
        if not self._drawn:
            self._write(f"{text}\n")
            return
        self._write(f"{_BEGIN}{self._up()}{_CLEAR_BELOW}{text}\n{_joined(self._drawn)}{_END}")

    def draw(self, shown: progress.CreationProgress, now: float) -> None:
        """The picture in the place of the last one; without a terminal nothing. `now`: of time.monotonic."""
        if not self.live:
            return
        columns, rows = self._size()
        made = picture.lines(shown, now, max(columns - 1, 1))
        if len(made) >= rows:
            # What cannot be seen cannot be redrawn in place: the end is what changes.
            made = made[-max(rows - 1, 1) :]
        self._write(f"{_BEGIN}{self._up()}{_joined(made)}{_CLEAR_BELOW}{_END}")
        self._drawn = made

    def _up(self) -> str:
        """To where the picture begins. A terminal that was made narrower has broken lines that were wider."""
        columns = max(self._size().columns, 1)
        rows = sum(max(-(-len(line) // columns), 1) for line in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _write(self, text: str) -> None:
        terminal.drawn(text, self._stream)


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
