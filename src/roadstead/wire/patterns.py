"""The models' patterns in Python's words.

They are Java's (some written with JavaScript in mind), and AWS matches the whole value, anchored or not. What
differs, and is translated here:

- `\\p{L}`, `\\p{Z}`, `\\p{N}` and their like: Python's `re` has no classes by Unicode category; they become ranges.
- `\\uD800\\uDC00-\\uDBFF\\uDFFF`: pairs of surrogates are one character to Java; they become that character.
- `[\\w-_]`: a hyphen behind a class is itself.
- `[` within a class means itself to the models' authors, and `\\w`, `\\d`, `\\s` are ASCII (Java's default).

A pattern that cannot be translated raises Invalid; a test compiles those of all services, so that list is empty
until a model brings a new one.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import warnings

from roadstead.core import errors

_SCANNED = 0x32400
"""Letters, numbers and separators have all their code points below this one; a test looks at the rest."""

_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_PROPERTY = re.compile(r"\\([pP])\{(\w+)\}")
_POSIX = {
    "Alnum": "0-9A-Za-z",
    "Alpha": "A-Za-z",
    "ASCII": r"\x00-\x7f",
    "Cntrl": r"\x00-\x1f\x7f",
    "Digit": "0-9",
    "Graph": r"\x21-\x7e",
    "Lower": "a-z",
    "Print": r"\x20-\x7e",
    "Punct": r"!-/:-@\[-`{-~",
    "Space": r" \t\n\x0b\f\r",
    "Upper": "A-Z",
    "XDigit": "0-9A-Fa-f",
}


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern to `fullmatch` values with. Raises Invalid for one that cannot be translated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(translated(pattern), re.ASCII)
    except (re.error, RuntimeWarning, FutureWarning, OverflowError) as error:
        raise errors.Invalid(f"the pattern {pattern!r} cannot be said in Python: {error}", pattern=pattern) from error


def translated(pattern: str) -> str:
    """The pattern in Python's words. Raises Invalid for a property of characters that is not known."""
    text = _PAIR.sub(lambda found: f"\\U{_code_point(found[1], found[2]):08x}", pattern)
    out: list[str] = []
    inside = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            piece, at = _escape(text, at, inside)
            out.append(piece)
            if inside and piece in (r"\w", r"\d", r"\s") and text[at : at + 1] == "-" and text[at + 1 : at + 2] != "]":
                out.append(r"\-")
                at += 1
            continue
        if not inside and char == "[":
            inside = True
            start = 2 if text[at + 1 : at + 2] == "^" else 1
            out.append(text[at : at + start])
            at += start
            continue
        if inside and char == "]":
            inside = False
        out.append(f"\\{char}" if inside and char in "[&~|" else char)
        at += 1
    return "".join(out)


def _escape(text: str, at: int, inside: bool) -> tuple[str, int]:
    """The escape at a place, translated, and the place behind it."""
    if found := _PROPERTY.match(text, at):
        ranges = _ranges(found[2])
        if inside and found[1] == "P":
            raise errors.Invalid(f"{found[0]} within a class is not translated", pattern=text)
        piece = ranges if inside else f"[{'^' if found[1] == 'P' else ''}{ranges}]"
        return piece, found.end()
    return text[at : at + 2], at + 2


def _code_point(high: str, low: str) -> int:
    return 0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00)


@functools.cache
def _ranges(name: str) -> str:
    """The inside of a class: all characters of a category (`L`, `Lu`) or of a POSIX class (`Alnum`)."""
    if name in _POSIX:
        return _POSIX[name]
    if name[0] not in "LNZ" or len(name) > 2:
        raise errors.Invalid(f"characters of the property {name!r} are not known", property=name)
    parts: list[str] = []
    start = -1
    for code in range(_SCANNED + 1):
        within = code < _SCANNED and unicodedata.category(chr(code)).startswith(name)
        if within and start < 0:
            start = code
        elif not within and start >= 0:
            parts.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = -1
    return "".join(parts)
