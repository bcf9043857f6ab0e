"""Text that somebody else wrote (a tenant, a node, a program): bounded where it is kept, escaped where it is shown.

Written to a terminal as it is, such text moves the cursor, sets titles, answers in the reader's name, or reads in
another order than it stands (ECMA-48; Unicode, annex 9). It is kept as it came, since programs may want it, but no
longer than a person reads; and it is escaped as JSON has it, so that JSON that is escaped once more says the same.
"""

from __future__ import annotations

import re

MOST = 1024
"""Characters of a sentence that is kept: as many as a message of Kubernetes' own events has."""

_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
"""Control characters, line breaks, what changes the direction of text, and what is no Unicode."""
_PAGE = re.compile(_LINE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
"""The same but for line feeds and tabs."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def bounded(text: str, most: int = MOST) -> str:
    """At most so many characters, with how many were cut off where some were; what is no Unicode is `?`.

    Text that was bounded stays as it is.
    """
    if len(text) > most:
        # The number itself takes room, which is left for its greatest length.
        room = max(most - len(_cut(len(text))), 0)
        text = (text[:room] + _cut(len(text) - room))[:most]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def bind(thing: object, *names: str) -> None:
    """For `__post_init__` of what is kept: these fields of a frozen dataclass are bounded however it is made."""
    for name in names:
        object.__setattr__(thing, name, bounded(getattr(thing, name)))


def _cut(count: int) -> str:
    return f" ... ({count} more characters)"


def line(text: str) -> str:
    """One line, for a cell, a log, a line of progress: `\\u001b`, `\\n`."""
    return _LINE.sub(_escape, text)


def page(text: str) -> str:
    """Lines that were put together here, of parts that may be anything: line feeds and tabs stay."""
    return _PAGE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"
