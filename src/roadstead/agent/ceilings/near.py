"""What is near its end, in sentences that stay the same for as long as it is so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

_NEAR, _OVER = 85, 75
"""Per cent: near from the first on, until below the second."""
_GIB = 1 << 30

What = Literal["memory", "processes"]


@dataclass(frozen=True)
class Use:
    """How much of a ceiling is in use: bytes without what the kernel gives back by itself, or processes."""

    used: int
    limit: int


def near(uses: Mapping[What, Use], before: Iterable[What]) -> tuple[What, ...]:
    """What is near its end, being so before or not."""
    was = set(before)
    return tuple(what for what, use in uses.items() if use.used * 100 >= use.limit * (_OVER if what in was else _NEAR))


def short(free: int, kept: int, *, before: bool) -> bool:
    """Whether less of the disk is free than is kept for the machine; over when a tenth more is."""
    return free < (kept * 11 // 10 if before else kept)


def of_host(what: What, limit: int) -> str:
    """Of one host."""
    return f"is near its limit of {_said(what, limit)}"


def of_all(what: What, limit: int) -> str:
    """Of all hosts together."""
    return f"all hosts of this machine together are near their limit of {_said(what, limit)}"


def of_disk(kept: int) -> str:
    """`kept`: bytes of it that are to stay free."""
    return (
        f"the machine's disk is near its end: less than {_gib(kept)} GiB are free where Roadstead keeps its state. "
        "When none is, what nodes and etcd write is lost"
    )


def _said(what: What, limit: int) -> str:
    return f"{_gib(limit)} GiB of memory" if what == "memory" else f"{limit} processes and threads"


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f}".removesuffix(".0")
