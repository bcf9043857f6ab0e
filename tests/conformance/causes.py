"""Why cases do not pass, as far as it is known: causes.toml, held against what a run showed. Pure but for reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from tests.conformance import record as records

FILE = Path(__file__).parent / "causes.toml"


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`case`: an expression that its cases' names have. `versions`: minors; none means all."""

    case: str
    cause: str
    versions: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cause: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class Explained:
    """`failed`: the cause by the case's name, None where none is known. `idle`: causes of no failure any more."""

    failed: dict[str, str | None]
    idle: tuple[Cause, ...]


def read(content: bytes | None = None) -> tuple[Cause, ...]:
    return msgspec.toml.decode(FILE.read_bytes() if content is None else content, type=_File).cause


def explained(record: records.Record, names: Iterable[str], known: Sequence[Cause]) -> Explained:
    """Of these cases of a run. A cause is idle when its cases were run and all of them passed."""
    minor = ".".join(record.version.split(".")[:2])
    known = [cause for cause in known if not cause.versions or minor in cause.versions]
    verdicts = {name: record.verdict(name) for name in names}
    failed = {name: _cause(name, known) for name, verdict in verdicts.items() if verdict == "failed"}
    idle = []
    for cause in known:
        fits = [verdict for name, verdict in verdicts.items() if re.search(cause.case, name)]
        if fits and set(fits) <= {"passed", "unsteady"}:
            idle.append(cause)
    return Explained(failed, tuple(idle))


def _cause(name: str, known: Sequence[Cause]) -> str | None:
    return next((cause.cause for cause in known if re.search(cause.case, name)), None)
