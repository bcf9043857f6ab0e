"""A section: one file that serve writes and porter reads, of a strict type, with a revision of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from roadstead.contract.messages.desired import Message


class Body(Message, frozen=True, kw_only=True):
    """What every section begins with."""

    format: int
    """Of the file: one with another number than its section's is not read."""
    revision: int
    """Of the store that it was made from."""


Content = TypeVar("Content", bound=Body)


@dataclass(frozen=True)
class Section(Generic[Content]):
    """`name`: a word; a type with values of its own for all but what `Body` has, as nothing may be there."""

    name: str
    form: type[Content]
    format: int = 1

    @property
    def file(self) -> str:
        """Its name in the folder of sections."""
        return f"{self.name}.json"

    @property
    def empty(self) -> Content:
        return self.form(format=self.format, revision=0)

    def read(self, body: bytes) -> Content:
        """Raises msgspec.DecodeError (ValidationError), UnicodeDecodeError for what is none of this format."""
        found = msgspec.json.decode(body, type=self.form)
        if found.format != self.format:
            raise msgspec.ValidationError(f"{self.name} of format {found.format}; this program reads {self.format}")
        return found


def written(content: Body) -> bytes:
    """JSON, as a section reads it. It has secrets in the clear: who writes it to a file sees to who may read that."""
    return msgspec.json.encode(content)
