"""What is kept of a cluster's insights, and what becomes of it with each look. Pure but for `read` and `written`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import msgspec

from roadstead.clusters.insights import checks, deprecations, facts, finding
from roadstead.core import foreign
from roadstead.store import keys, kinds

KIND = "insight-report"
EVERY = 300.0
"""Seconds between two looks that nobody asked for."""
STALE = 3 * EVERY
"""Seconds after which what was found says nothing any more."""
LONGEST = 60.0
"""Seconds of a refresh; then nobody is at work on it."""
_LATE = f"nobody has looked at the cluster within {LONGEST:.0f} s: its controllers are not at work"
_MOST = 100
"""Resources of an insight."""


@dataclass(frozen=True)
class Request:
    """The desired state: the last refresh that was asked for. id: empty: none was yet."""

    refresh: str = ""
    asked_at: float = 0.0


@dataclass(frozen=True)
class Result:
    """Of a check, by its word. since: when its status became what it is. refreshed: None: never."""

    check: str
    finding: finding.Finding
    since: float
    refreshed: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The observation. Times in seconds since 1970."""

    at: float
    """When it was made."""
    version: str
    """The minor that the cluster had."""
    looked_at: float | None = None
    """When its API was looked at last."""
    results: tuple[Result, ...] = ()
    history: tuple[facts.ApiHistory, ...] = ()
    settled: str = ""
    """The last refresh that ended."""
    settled_at: float = 0.0
    problem: str = ""
    """Why that failed."""

    def __post_init__(self) -> None:
        foreign.bind(self, "problem")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is known at a time. seen: the last look into the cluster; away: why there is no other now."""

    at: float
    around: facts.Around
    seen: facts.InCluster | None = None
    failed: facts.LookFailed | None = None
    away: str = ""


@dataclass(frozen=True)
class Refresh:
    """`status`: of the model's InsightsRefreshStatus."""

    status: str
    message: str
    started: float
    ended: float | None = None


REPORTS = kinds.Kind(KIND, Request)
"""By cluster."""


def key(account: str, region: str, cluster: str) -> keys.Key:
    return REPORTS.key(account, region, cluster)


def read(body: bytes) -> Report:
    """Of an observation."""
    return msgspec.json.decode(body, type=Report)


def written(report: Report) -> bytes:
    return msgspec.json.encode(report)


def after(before: Report | None, look: Look, request: Request) -> Report:
    """What is kept after a look."""
    seen, was = look.seen, {each.check: each for each in before.results} if before else {}
    history = before.history if before else ()
    if seen is not None and (before is None or before.looked_at != seen.at):
        history = deprecations.merged(history, seen.servers, seen.at)
    why = _unknown(look)
    results = []
    for check in checks.CHECKS:
        last = was.get(check.word)
        at: float | None = look.at
        if check.outside is not None:
            found = check.outside(look.around)
        elif check.inside is None or seen is None or why:
            found, at = finding.Finding(finding.Status.UNKNOWN, why), last.refreshed if last else None
        else:
            found, at = check.inside(seen, look.around, history), seen.at
        since = last.since if last and last.finding.status is found.status else look.at
        results.append(Result(check.word, _bounded(found), since, at))
    report = Report(
        at=look.at,
        version=look.around.version,
        looked_at=seen.at if seen else before.looked_at if before else None,
        results=tuple(results),
        history=history,
        settled=before.settled if before else "",
        settled_at=before.settled_at if before else 0.0,
        problem=before.problem if before else "",
    )
    return _settled(report, look, request)


def open_refresh(request: Request, report: Report | None) -> str:
    """The refresh that was asked for and of which no end is kept; empty: none."""
    return "" if report is not None and report.settled == request.refresh else request.refresh


def refresh(request: Request, report: Report | None, now: float) -> Refresh | None:
    """The last one. None: none was ever asked for."""
    if not request.refresh:
        return None
    if report is not None and report.settled == request.refresh:
        if report.problem:
            return Refresh("FAILED", report.problem, request.asked_at, report.settled_at)
        return Refresh("COMPLETED", "Insights refresh completed successfully", request.asked_at, report.settled_at)
    if now - request.asked_at < LONGEST:
        return Refresh("IN_PROGRESS", "Insights refresh is in progress", request.asked_at)
    return Refresh("FAILED", _LATE, request.asked_at, request.asked_at + LONGEST)


def moment(at: float) -> str:
    """For people."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unknown(look: Look) -> str:
    """Why nothing is known of the inside of the cluster; empty: it is."""
    last = f"it was looked at last at {moment(look.seen.at)}" if look.seen else "it was not looked at yet"
    if look.away:
        return f"{look.away}; {last}"
    if look.seen is None or look.at - look.seen.at > STALE:
        return last
    return ""


def _settled(report: Report, look: Look, request: Request) -> Report:
    """With the end of the refresh that was asked for, if this is it."""
    wanted = open_refresh(request, report)
    if not wanted:
        return report
    if look.at - request.asked_at >= LONGEST:
        # It was told to have failed already, and stays so.
        return replace(report, settled=wanted, settled_at=request.asked_at + LONGEST, problem=_LATE)
    if look.seen is not None and look.seen.refresh == wanted:
        return replace(report, settled=wanted, settled_at=look.seen.at, problem="")
    if look.failed is not None and look.failed.refresh == wanted:
        return replace(report, settled=wanted, settled_at=look.failed.at, problem=look.failed.reason)
    if look.away:
        return replace(report, settled=wanted, settled_at=look.at, problem=look.away)
    return report


def _bounded(found: finding.Finding) -> finding.Finding:
    """At most so many resources, the worst first."""
    order = list(finding.Status)
    worst = sorted(found.resources, key=lambda each: -order.index(each.status))
    return replace(found, resources=tuple(worst[:_MOST]))
