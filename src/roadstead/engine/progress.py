"""What is told while an engine is fetched or made: lines for a human."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One piece of news. A passing one (a count) is worth nothing once the next one is there."""

    engine: str
    """The release's id, `kubernetes-1.37.2`."""
    text: str
    passing: bool = False


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Teller:
    """Tells a listener about one release."""

    engine: str
    listener: Listener

    def line(self, text: str) -> None:
        """News that stays."""
        self.listener(Progress(self.engine, text))

    def passing(self, text: str) -> None:
        """News that the next one replaces, as a count."""
        self.listener(Progress(self.engine, text, passing=True))


def silent(progress: Progress) -> None:
    """A listener that tells nobody."""
    del progress


def size(count: int) -> str:
    """A number of bytes for a human: `147 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
