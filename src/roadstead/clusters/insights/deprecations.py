"""APIs that the next minor removes, and whether they are still asked for.

API servers count requests of deprecated APIs from their start on, and say neither when the last one came nor whose it
was. So counts are held against those of the look before: an API is in use as long as they grow, and is not any more
when they have not grown for QUIET seconds. Before the second look nobody knows, and it counts as used.

Source: Kubernetes, "Metrics For Kubernetes System Components" (`apiserver_requested_deprecated_apis`), KEP-1333.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status

QUIET = 15 * 60.0
"""Seconds without a request after which nobody seems to use it: longer than most clients wait between two."""
FORGOTTEN = 24 * 3600.0
"""Seconds after which that it was used says nothing any more."""


def merged(
    before: Iterable[facts.ApiHistory], servers: Iterable[facts.ApiServer], at: float
) -> tuple[facts.ApiHistory, ...]:
    """What is remembered after a look."""
    known = {each.api: each for each in before}
    found: dict[facts.ApiName, facts.ApiHistory] = {}
    for server in servers:
        for use in server.uses:
            was = found.get(use.api) or known.get(use.api)
            counted = was.counts.get(server.name) if was else None
            more = counted is None or counted[0] != server.started or use.requests > counted[1]
            found[use.api] = facts.ApiHistory(
                api=use.api,
                removed=use.removed,
                since=was.since if was else at,
                last=at if was is None or more or use.watching else was.last,
                counts={**(was.counts if was else {}), server.name: (server.started, use.requests)},
            )
    for api, was in known.items():
        # Servers that were started anew have counted none yet.
        if api not in found and at - was.last < FORGOTTEN:
            found[api] = was
    return tuple(found[api] for api in sorted(found))


def find(seen: facts.InCluster, around: facts.Around, history: Iterable[facts.ApiHistory]) -> finding.Finding:
    """Each API that the next minor lacks and that was asked for within a day."""
    following = facts.following(around.version)
    lately = [each for each in history if seen.at - each.last < FORGOTTEN]
    going = [each for each in lately if _is_gone(each.removed, following)]
    beside = {each.api: each for each in seen.apis}
    resources, details = [], []
    for each in going:
        about = beside.get(each.api) or facts.ApiAround(each.api)
        resources.append(_resource(each, about, seen.at))
        clients = tuple(finding.ApiClient(writer.manager, writer.at) for writer in about.writers)
        details.append(finding.Deprecation(each.api.path, each.removed, about.replacement, clients))
    unknown = [f"{server.name}: {server.trouble}" for server in seen.servers if server.trouble]
    status = finding.worst([*(each.status for each in resources), *([Status.UNKNOWN] if unknown else [])])
    said = f"APIs that {following} removes and that were requested: {len(going)}" if going else _none(lately, following)
    if unknown:
        said += f"; what was requested of {'; '.join(unknown)}, is not known"
    return finding.Finding(status, said, tuple(resources), tuple(details))


def _resource(each: facts.ApiHistory, about: facts.ApiAround, now: float) -> finding.ResourceFinding:
    quiet = now - each.last
    status = Status.ERROR if quiet <= QUIET else Status.WARNING
    said = f"requested, seen first at {_moment(each.since)} and last at {_moment(each.last)}; {each.removed} removes it"
    if about.writers:
        names = ", ".join(writer.manager for writer in about.writers)
        said += f"; objects were written by it by {names}; who only reads is not known"
    else:
        said += "; who asks for it is not known: API servers do not count by client"
    return finding.ResourceFinding(status, said, uri=each.api.path)


def _none(lately: Iterable[facts.ApiHistory], following: str) -> str:
    """What was requested that is deprecated, and stays for now."""
    stays = [f"{each.api.path}" + (f" (until {each.removed})" if each.removed else "") for each in lately]
    more = f"; deprecated, requested, and still there: {', '.join(stays)}" if stays else ""
    return f"no API that {following} removes was requested{more}"


def _is_gone(removed: str, following: str) -> bool:
    at, then = facts.minor(removed), facts.minor(following)
    return at is not None and then is not None and at <= then


def _moment(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
