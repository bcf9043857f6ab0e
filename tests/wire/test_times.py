"""Timestamps in all formats, there and back, and against the standard library's own."""

from __future__ import annotations

import datetime as dt
import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.wire import exchange
from roadstead.wire.codec import times

moments = st.datetimes(timezones=st.just(dt.UTC))


@given(moments)
def test_there_and_back(moment: dt.datetime) -> None:
    whole = moment.replace(microsecond=0)
    assert times.from_text(times.to_text(moment, "iso8601"), "iso8601") == moment
    assert times.from_text(times.to_text(moment, "rfc822"), "rfc822") == whole
    assert times.to_text(moment, "rfc822") == email.utils.format_datetime(whole, usegmt=True)
    assert times.from_epoch(times.to_epoch(whole)) == whole
    assert times.iso(moment, always_milliseconds=True)[-5:-1].isdigit() or moment.microsecond % 1000 == 0


@given(st.integers(-(2**31), 2**33 - 1), st.integers(0, 999_999))
def test_microseconds_survive_as_epoch_numbers(seconds: int, micro: int) -> None:
    moment = times.from_epoch(seconds) + dt.timedelta(microseconds=micro)
    assert times.from_epoch(times.to_epoch(moment)) == moment
    assert times.from_text(times.to_text(moment, "unixtimestamp"), "unixtimestamp") == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-01T12:00:00Z",
        "2026-11-01T13:00:00.000+01:00",
        "1793534400",
        "Sun, 01 Nov 2026 12:00:00 GMT",
        "2026-11-01T12:00Z",
    ],
)
def test_clients_differ(text: str) -> None:
    assert times.from_text(text, "iso8601") == dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1e99",
        "Sun, 31 Feb 2026 12:00:00 GMT",
        "Sun, 01 Foo 2026 12:00:00 GMT",
        "２０２６",
    ],
)
def test_what_is_no_moment_is_malformed(text: str) -> None:
    with pytest.raises(exchange.Malformed):
        times.from_text(text, "iso8601")


@given(st.one_of(st.text(), st.floats().map(str), st.integers().map(str)))
def test_nothing_else_comes_out(text: str) -> None:
    try:
        times.from_text(text, "rfc822")
    except exchange.Malformed:
        return
