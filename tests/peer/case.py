"""One call and what AWS answers to it: the form of a case. Cases are data; they are run in order, on each peer anew.

A case may keep parts of its answer (`keep`: a name and where it is found), and later ones use them as `$name`, in what
they ask as in what they expect. Places in answers are JMESPath.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal["call", "wait", "pages"]
Signed = Literal["well", "wrong secret", "unknown key"]


@dataclass(frozen=True)
class Answer:
    """That it is answered. `holds`: by place a value, or a pattern that the whole text at this place fits.

    Beside that, each answer must be of the operation's model: required members there, enums of the values it lists.
    """

    holds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """That it is refused, with one of these codes and this status."""

    codes: tuple[str, ...]
    status: int = 400


@dataclass(frozen=True)
class Case:
    """`name` is unique. `lacking`: that Roadstead does not have it, or not so, yet."""

    name: str
    service: str
    operation: str
    asked: Mapping[str, Any]
    want: Answer | Fault
    how: How = "call"
    keep: Mapping[str, str] = field(default_factory=dict)
    signed: Signed = "well"
    region: str = "eu-central-1"
    lacking: bool = False


def fault(*codes: str, status: int = 400) -> Fault:
    return Fault(codes, status)


def fits(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


def filled(value: Any, kept: Mapping[str, Any]) -> Any:
    """The value with every `$name` replaced. Raises KeyError for one that was not kept."""
    match value:
        case str() if value.startswith("$"):
            return kept[value[1:]]
        case Mapping():
            return {name: filled(one, kept) for name, one in value.items()}
        case list() | tuple():
            return [filled(one, kept) for one in value]
        case _:
            return value
