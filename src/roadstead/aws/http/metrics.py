"""Counts and durations of requests, in Prometheus's text form.

Forty lines instead of a client library: two families and a few gauges are all there is. Labels are services and
operations of the models and HTTP statuses, never what a caller chose, so that their number is bounded.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds."""

_Labels = tuple[str, str, int]


class Requests:
    """What has been asked since the start, by service, operation and status."""

    def __init__(self) -> None:
        self._buckets: dict[_Labels, list[int]] = {}
        self._seconds: dict[_Labels, float] = {}

    def count(self, service: str, operation: str, status: int, seconds: float) -> None:
        """A request that was answered. `status`: of HTTP."""
        labels = (service, operation, status)
        row = self._buckets.get(labels)
        if row is None:
            row = self._buckets[labels] = [0] * (len(BUCKETS) + 1)
            self._seconds[labels] = 0.0
        row[bisect.bisect_left(BUCKETS, seconds)] += 1
        self._seconds[labels] += seconds

    def exposed(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All of it as text. gauges: name to its help and value."""
        return "\n".join([*self._counts(), *self._durations(), *_gauges(gauges), ""])

    def _counts(self) -> Iterable[str]:
        yield "# HELP roadstead_requests_total Requests to the AWS APIs."
        yield "# TYPE roadstead_requests_total counter"
        for labels, row in sorted(self._buckets.items()):
            yield f"roadstead_requests_total{{{_text(labels)}}} {sum(row)}"

    def _durations(self) -> Iterable[str]:
        yield "# HELP roadstead_request_duration_seconds From the whole request to its answer."
        yield "# TYPE roadstead_request_duration_seconds histogram"
        for labels, row in sorted(self._buckets.items()):
            text, total = _text(labels), 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), row, strict=True):
                total += count
                yield f'roadstead_request_duration_seconds_bucket{{{text},le="{bound}"}} {total}'
            yield f"roadstead_request_duration_seconds_sum{{{text}}} {self._seconds[labels]:.6f}"
            yield f"roadstead_request_duration_seconds_count{{{text}}} {total}"


def _text(labels: _Labels) -> str:
    service, operation, status = labels
    return f'service="{service}",operation="{operation}",status="{status}"'


def _gauges(gauges: Mapping[str, tuple[str, float]]) -> Iterable[str]:
    for name, (said, value) in sorted(gauges.items()):
        yield f"# HELP {name} {said}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {value:g}"
