"""`get events`: what happened, oldest first; with --watch also what happens from now on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from roadstead.cli import asked, service, show
from roadstead.cli.actions import get, reach
from roadstead.core import errors, foreign, terminal
from roadstead.wire import services

_PAUSE = 0.5
_WIDTHS = {"TIME": 24, "SEVERITY": 16, "RESOURCE": 32, "REASON": 16}
"""Of columns while it is watched: nobody knows what will come. Multiples of a tab."""


def events(call: asked.FlagValues) -> None:
    """Raises NotFound for a cluster that there is not, and of which nothing is known."""
    of = call.file_name or call.text("cluster") or call.name
    asks: dict[str, Any] = {}
    if severity := call.text("severity"):
        asks["severity"] = severity
    chunk = call.number("chunk-size") or 0
    if chunk > 0:
        asks["maxResults"] = min(chunk, 1000)
    with reach.connection(call, forever=call.truth("watch") and "timeout" not in call.given) as api:
        if of:
            asks["resourceArn"] = arn(api, of)
        found = _all(api, **asks)
        if of and not found and not call.truth("watch"):
            get.cluster(api, of)
        if call.truth("watch"):
            _watch(call, api, found, asks)
            return
    if not found and call.text("output") == "table":
        terminal.out("No events found")
        return
    columns = {name: [row[index] for row in map(_row, found)] for index, name in enumerate((*_WIDTHS, "MESSAGE"))}
    get.printed(call, columns, _shaped(found))


def arn(api: service.Api, cluster: str) -> str:
    """Of a cluster, also of one that is gone: its events are still there."""
    account = api.call("sts", "GetCallerIdentity")["Account"]
    return f"arn:aws:eks:{api.region}:{account}:cluster/{cluster}"


def _all(api: service.Api, **asks: Any) -> list[dict[str, Any]]:
    return [each for page in service.pages(api, "roadstead", "ListEvents", **asks) for each in page["events"]]


def _watch(call: asked.FlagValues, api: service.Api, found: list[dict[str, Any]], asks: dict[str, Any]) -> None:
    """Until it is interrupted, or the time is over that was asked for."""
    form = call.text("output") or "table"
    say: Callable[[Sequence[dict[str, Any]]], None] = _say_lines if form == "table" else _sayer(form)
    if form == "table":
        terminal.out(_line((*_WIDTHS, "MESSAGE")))
    say(found)
    deadline = reach.deadline(call) if "timeout" in call.given else None
    for fresh in _coming(api, found, asks, deadline):
        say(fresh)


def _coming(
    api: service.Api, found: list[dict[str, Any]], asks: dict[str, Any], deadline: float | None
) -> Iterator[list[dict[str, Any]]]:
    last = found[-1] if found else None
    while deadline is None or time.monotonic() < deadline:
        time.sleep(_PAUSE)
        since = {"startTime": last["time"]} if last is not None else {}
        try:
            fresh = [each for each in _all(api, **asks, **since) if last is None or each["id"] > last["id"]]
        except errors.Error as error:
            if not service.is_away(error):
                raise
            # For a moment: what happens meanwhile is seen when it is back.
            continue
        if fresh:
            last = fresh[-1]
            yield fresh


def _say_lines(found: Sequence[dict[str, Any]]) -> None:
    for each in found:
        terminal.out(_line(_row(each)))


def _sayer(form: str) -> Callable[[Sequence[dict[str, Any]]], None]:
    """One document for each event, as kubectl does when it watches."""

    def say(found: Sequence[dict[str, Any]]) -> None:
        for each in _shaped(found):
            terminal.out(
                ("---\n" if form == "yaml" else "") + show.document(each, form), end="\n" if form == "json" else ""
            )

    return say


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    resource = event["resourceArn"].split(":", 5)[-1]
    return show.moment(event["time"]), event["severity"], resource, event["reason"], event["message"]


def _line(cells: Sequence[str]) -> str:
    *columns, last = map(foreign.line, cells)
    padded = (cell.ljust(width - 1) + " " for cell, width in zip(columns, _WIDTHS.values(), strict=True))
    return "".join(padded) + last


def _shaped(found: Sequence[dict[str, Any]]) -> list[Any]:
    shape = services.load("roadstead").shape("Event")
    return [show.go_shaped(shape, each) for each in found]
