"""Metrics and the journal: what is exposed and written down, and what never is."""

from __future__ import annotations

import json
import logging

from roadstead.aws.http import logs, metrics


def test_durations_are_a_cumulative_histogram() -> None:
    requests = metrics.Requests()
    for seconds in (0.0005, 0.001, 0.003, 99.0):
        requests.count("eks", "ListClusters", 200, seconds)
    requests.count("eks", "ListClusters", 404, 0.002)
    lines = requests.exposed({"roadstead_connections": ("Connections now.", 3.0)}).splitlines()
    labels = 'service="eks",operation="ListClusters",status="200"'
    assert f"roadstead_requests_total{{{labels}}} 4" in lines
    assert f'roadstead_request_duration_seconds_bucket{{{labels},le="0.001"}} 2' in lines
    assert f'roadstead_request_duration_seconds_bucket{{{labels},le="0.005"}} 3' in lines
    assert f'roadstead_request_duration_seconds_bucket{{{labels},le="10.0"}} 3' in lines
    assert f'roadstead_request_duration_seconds_bucket{{{labels},le="+Inf"}} 4' in lines
    assert f"roadstead_request_duration_seconds_count{{{labels}}} 4" in lines
    assert "roadstead_connections 3" in lines
    assert len([line for line in lines if line.startswith("# TYPE")]) == 3


def line(message: str, **fields: object) -> dict[str, object]:
    record = logging.LogRecord("roadstead", logging.INFO, "", 0, message, (), None)
    setattr(record, logs.FIELDS, fields)
    text = logs.Lines().format(record)
    assert "\n" not in text
    made: dict[str, object] = json.loads(text)
    return made


def test_a_line_is_one_object_whatever_is_in_it() -> None:
    assert line("two\nlines", operation="List\nClusters")["operation"] == "List\nClusters"
    assert line("no \ud800 text", region="\ud800")["message"] == "no ? text"
    assert line("other", path=object)["level"] == "INFO"
