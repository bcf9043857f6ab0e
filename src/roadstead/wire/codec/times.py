"""Timestamps as they stand on the wire, both ways. Inside they are aware datetimes in UTC.

Formats by place (Smithy, timestampFormat trait): JSON and CBOR bodies epoch seconds, query forms and XML ISO 8601,
headers RFC 822, query strings and labels ISO 8601; a model may name another for a member.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import assert_never

from roadstead.wire import exchange, shapes

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC = re.compile(
    r"(?:[A-Za-z]{3}, )?(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:\.\d{1,9})? (?:GMT|UTC|[+-]0000)",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


def from_epoch(seconds: float) -> dt.datetime:
    """Raises Malformed for what is no moment between the years 1 and 9999."""
    try:
        if isinstance(seconds, int):
            return _EPOCH + dt.timedelta(seconds=seconds)
        # The fraction by itself: a number as large as the whole in microseconds would be rounded twice.
        whole = math.floor(seconds)
        return _EPOCH + dt.timedelta(seconds=whole, microseconds=round((seconds - whole) * 1_000_000))
    except (OverflowError, ValueError) as error:
        raise exchange.Malformed("the timestamp is out of range") from error


def to_epoch(moment: dt.datetime) -> int | float:
    """Whole seconds as an integer, others as a float of microseconds."""
    since = _aware(moment) - _EPOCH
    whole = since.days * 86_400 + since.seconds
    return (whole * 1_000_000 + since.microseconds) / 1_000_000 if since.microseconds else whole


def from_text(text: str, form: shapes.TimestampFormat) -> dt.datetime:
    """Of the given format; since clients differ, the other formats are understood too. Raises Malformed."""
    text = text.strip()
    if found := _ISO.fullmatch(text):
        return _from_iso(found)
    if _NUMBER.fullmatch(text):
        number = float(text)
        return from_epoch(int(number) if number.is_integer() else number)
    if (found := _RFC.fullmatch(text)) and found[2].title() in _MONTHS:
        month = 1 + _MONTHS.index(found[2].title())
        hour, minute, second = int(found[4]), int(found[5]), int(found[6])
        try:
            return dt.datetime(int(found[3]), month, int(found[1]), hour, minute, second, tzinfo=dt.UTC)
        except ValueError as error:
            raise exchange.Malformed("not a moment of the calendar") from error
    raise exchange.Malformed(f"not a timestamp of the form {form}")


def to_text(moment: dt.datetime, form: shapes.TimestampFormat) -> str:
    """`moment`: aware, or taken as UTC."""
    match form:
        case "iso8601":
            return iso(moment)
        case "rfc822":
            return _rfc822(_aware(moment).astimezone(dt.UTC))
        case "unixtimestamp":
            return str(to_epoch(moment))
        case _:
            assert_never(form)


def iso(moment: dt.datetime, *, always_milliseconds: bool = False) -> str:
    """`2026-11-01T12:00:00Z`, with a fraction of three or six digits where there is one (ec2: always three)."""
    utc = _aware(moment).astimezone(dt.UTC)
    plain = utc.replace(tzinfo=None)
    if utc.microsecond % 1000:
        return plain.isoformat(timespec="microseconds") + "Z"
    if utc.microsecond or always_milliseconds:
        return plain.isoformat(timespec="milliseconds") + "Z"
    return plain.isoformat(timespec="seconds") + "Z"


def _rfc822(utc: dt.datetime) -> str:
    # By hand: strftime speaks the machine's language, and importing email.utils costs the CLI 7 ms.
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day:02} {month} {utc.year:04} {utc.hour:02}:{utc.minute:02}:{utc.second:02} GMT"


def from_number(value: float) -> dt.datetime:
    """Raises Malformed for numbers that are not finite, too."""
    if isinstance(value, float) and not math.isfinite(value):
        raise exchange.Malformed("the timestamp is not a finite number")
    return from_epoch(value)


def _from_iso(found: re.Match[str]) -> dt.datetime:
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    offset = dt.timedelta()
    if zone and zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        digits = zone[1:].replace(":", "")
        offset = sign * dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    micro = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        local = dt.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micro, dt.UTC
        )
        return local - offset
    except (ValueError, OverflowError) as error:
        raise exchange.Malformed("not a moment of the calendar") from error


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
