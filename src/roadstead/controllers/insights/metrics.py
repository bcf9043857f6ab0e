"""What an API server counts of deprecated APIs, in the text format of Prometheus.

Source: Prometheus, "Exposition formats"; Kubernetes, "Metrics Reference": the names of metrics and labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from roadstead.clusters.insights import facts

_DEPRECATED = "apiserver_requested_deprecated_apis"
_REQUESTS = "apiserver_request_total"
_WATCHES = "apiserver_longrunning_requests"
_STARTED = "process_start_time_seconds"

WANTED = tuple(name.encode() for name in (_DEPRECATED + "{", _REQUESTS + "{", _WATCHES + "{", _STARTED + " "))
"""What the lines begin with that `read` needs: a few hundred of tens of thousands."""
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
MOST = 100
"""Deprecated APIs: who serves custom resources decides how many there are."""


def read(server: str, lines: Iterable[bytes]) -> facts.ApiServer:
    """Of the API server of that name."""
    started = 0.0
    removed: dict[facts.ApiName, str] = {}
    requests: dict[facts.ApiName, float] = {}
    watches: dict[facts.ApiName, float] = {}
    for line in lines:
        head, _, value = line.decode(errors="replace").strip().rpartition(" ")
        name = head.partition("{")[0]
        if name == _STARTED:
            started = _number(value)
            continue
        labels = dict(_LABEL.findall(head))
        api = facts.ApiName(labels.get("group", ""), labels.get("version", ""), labels.get("resource", ""))
        if name == _DEPRECATED:
            # A subresource may have another end than its resource: the nearest is told.
            ends = [end for end in (removed.get(api, ""), labels.get("removed_release", "")) if end]
            removed[api] = min(ends, key=lambda end: facts.minor(end) or (0, 0), default="")
        elif name == _REQUESTS:
            requests[api] = requests.get(api, 0.0) + _number(value)
        elif name == _WATCHES:
            watches[api] = watches.get(api, 0.0) + _number(value)
    uses = tuple(
        facts.ApiUse(api, removed[api], int(requests.get(api, 0)), int(watches.get(api, 0)))
        for api in sorted(removed, key=lambda api: (removed[api] == "", api))[:MOST]
    )
    return facts.ApiServer(server, started, uses)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
