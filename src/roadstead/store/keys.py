"""The names of what is kept: account, region, kind, and the names below it.

A key's text, `ACCOUNT/REGION/KIND/NAME...`, is safe wherever it is written down: what is not a letter, a digit or one
of `-._~:@+=` is escaped as in a URL (%2F), so that the slash only ever divides. There is one text for each key, and
keys are ordered by their texts.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from functools import total_ordering

from roadstead.core import errors

GLOBAL = "aws-global"
"""The region of what belongs to an account and to no region."""
LONGEST = 1024
"""The longest text of a key, in bytes."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z][a-z0-9-]{0,31}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PLAIN = re.compile(r"[A-Za-z0-9._~:@+=-]+")
_SAFE = "-._~:@+="


@total_ordering
@dataclass(frozen=True, init=False)
class Key:
    """`Key("012345678901", "eu-central-1", "nodegroup", "shop", "workers")`.

    account: 12 digits; region: as AWS writes it, `aws-global` for what has none; kind: a word of ours in lower case;
    names: one or more, of any characters. Raises Invalid for others.
    """

    account: str
    region: str
    kind: str
    names: tuple[str, ...]
    text: str

    def __init__(self, account: str, region: str, kind: str, *names: str) -> None:
        if not names:
            raise errors.Invalid(f"a key of kind {kind!r} needs at least one name")
        object.__setattr__(self, "account", account)
        object.__setattr__(self, "region", region)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "text", _text((account, region, kind, *names)))

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key of a text that `text` gave. Raises Invalid for every other text."""
        parts = [urllib.parse.unquote(part, errors="surrogateescape") for part in text.split("/")]
        if len(parts) < 4:
            raise errors.Invalid(f"{text!r} is no key: it is ACCOUNT/REGION/KIND/NAME...", key=text)
        key = cls(*parts)
        if key.text != text:
            raise errors.Invalid(f"{text!r} is not how the key {key} is written", key=text)
        return key

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Key({self.text!r})"

    def __hash__(self) -> int:
        return hash(self.text)

    def __lt__(self, other: Key) -> bool:
        return self.text < other.text


@dataclass(frozen=True, init=False)
class Prefix:
    """The keys that begin with these parts (account, region, kind, names) and have at least one more.

    `Prefix()` is all keys. `Prefix(account, region, "nodegroup", "shop")` is the nodegroups below shop, and neither
    a key that ends with shop nor anything of a shop2.
    """

    parts: tuple[str, ...]
    text: str

    def __init__(self, *parts: str) -> None:
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "text", _text(parts) + "/" if parts else "")

    @property
    def bounds(self) -> tuple[str, str]:
        """Texts `low <= key < high` of all keys below it."""
        # All parts are ASCII, "0" follows "/", and "~" is the last character that a text has.
        return (self.text, self.text[:-1] + "0") if self.text else ("", "\x7f")

    def covers(self, key: Key) -> bool:
        """Whether a key is below it. The empty prefix covers all."""
        return key.text.startswith(self.text)

    def __str__(self) -> str:
        return self.text or "all keys"


def _text(parts: tuple[str, ...]) -> str:
    """The text of parts. Raises Invalid for parts of another form."""
    for what, pattern, part in zip(("account", "region", "kind"), (_ACCOUNT, _REGION, _KIND), parts, strict=False):
        if not pattern.fullmatch(part):
            raise errors.Invalid(f"{part!r} is no {what} of a key (it must match {pattern.pattern})", part=part)
    if not all(parts):
        raise errors.Invalid(f"a name in the key {'/'.join(parts)!r} is empty")
    try:
        text = "/".join(part if _PLAIN.fullmatch(part) else urllib.parse.quote(part, safe=_SAFE) for part in parts)
    except UnicodeEncodeError as error:
        raise errors.Invalid(f"a name in the key {parts!r} is no Unicode text: {error}") from error
    if len(text) > LONGEST:
        raise errors.Invalid(f"the key {text[:80]}... has {len(text)} bytes, more than {LONGEST}", length=len(text))
    return text
