"""A table as its chains and its named sets, what changes between two of them, and what a listing says of one. Pure.

A table is replaced as a whole in one transaction: declared, so that the deletion finds it, deleted, written. The state
of connections under way lives in conntrack and is not touched by that. Where only elements of named sets and maps
differ these alone are changed, in one transaction as well: a packet meets all of the change or nothing of it, and the
work does not grow with what else is in the table.

Elements are written as nft lists them with numbers for names (`6 . 8080`), so that a listing can be compared. Source:
nft(8), "SETS", "MAPS".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SAFE = re.compile(r"[A-Za-z0-9./_-]+")
_BLOCK = re.compile(r"^\t(?:set|map) (\S+) \{\n(.*?)^\t\}\n", re.MULTILINE | re.DOTALL)
_ELEMENTS = re.compile(r"^\t\telements = \{ (.*?) \}\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class NamedSet:
    """A set, or a map. `type` as nft has it: `ifname`, or `inet_service : ipv4_addr . inet_service`."""

    type: str
    elements: Mapping[str, str] = field(default_factory=dict)
    """What each element leads to; empty in a set."""

    @property
    def word(self) -> str:
        """What nft calls it."""
        return "map" if " : " in self.type else "set"


@dataclass(frozen=True)
class Table:
    """A table of family inet. `rules` are its counters and chains, as lines of nft."""

    name: str
    rules: str
    sets: Mapping[str, NamedSet] = field(default_factory=dict)

    def text(self) -> str:
        """The transaction that puts it in the place of whatever there is."""
        sets = "".join(_declared(name, one) for name, one in self.sets.items())
        return f"{removal(self.name)}table inet {safe(self.name)} {{\n{sets}{self.rules}}}\n"


def removal(table: str) -> str:
    """Remove the table, whether it is there or not."""
    return f"table inet {safe(table)}\ndelete table inet {safe(table)}\n"


def change(before: Table, after: Table) -> str | None:
    """The transaction by elements from one to the other; empty when nothing differs, None when more than they do."""
    if (before.name, before.rules, _types(before)) != (after.name, after.rules, _types(after)):
        return None
    lines = []
    for name, wanted in after.sets.items():
        old, new = before.sets[name].elements, wanted.elements
        gone = [key for key in sorted(old) if old[key] != new.get(key)]
        come = [key for key in sorted(new) if new[key] != old.get(key)]
        if gone:
            lines.append(f"delete element inet {safe(after.name)} {safe(name)} {{ {', '.join(gone)} }}\n")
        if come:
            lines.append(f"add element inet {safe(after.name)} {safe(name)} {{ {_said(come, new)} }}\n")
    return "".join(lines)


@dataclass(frozen=True)
class Listing:
    """A table as nft lists it: the elements of its sets, and all the rest."""

    rest: str
    elements: Mapping[str, Mapping[str, str]]


def listing(text: str, table: Table) -> Listing:
    """What a listing of the table says. Sets that the table does not name are of the rest."""
    elements: dict[str, Mapping[str, str]] = {}

    def cut(block: re.Match[str]) -> str:
        name = block[1]
        if name not in table.sets:
            return block[0]
        found = _ELEMENTS.search(block[2])
        listed = re.split(r",\s+", found[1]) if found else []
        elements[name] = {key: value for key, _, value in (each.partition(" : ") for each in listed)}
        return block[0].replace(found[0], "") if found else block[0]

    return Listing(_BLOCK.sub(cut, text), elements)


def wanted(table: Table, rest: str) -> Listing:
    """What a listing of the table says while nobody else changes it. `rest`: as it was when its rules were put."""
    return Listing(rest, {name: dict(one.elements) for name, one in table.sets.items()})


def safe(word: str) -> str:
    """The word. Raises ValueError for one that could be more than a word in a rule."""
    if not _SAFE.fullmatch(word):
        raise ValueError(f"{word!r} does not belong in a rule")
    return word


def is_safe(word: str) -> bool:
    """Whether it is a word and no more, wherever it stands in a rule."""
    return _SAFE.fullmatch(word) is not None


def _types(table: Table) -> dict[str, str]:
    return {name: one.type for name, one in table.sets.items()}


def _declared(name: str, one: NamedSet) -> str:
    held = f"    elements = {{ {_said(sorted(one.elements), one.elements)} }}\n" if one.elements else ""
    return f"  {one.word} {safe(name)} {{\n    type {one.type}\n{held}  }}\n"


def _said(keys: list[str], elements: Mapping[str, str]) -> str:
    return ", ".join(f"{key} : {elements[key]}" if elements[key] else key for key in keys)
