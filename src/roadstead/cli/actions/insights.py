"""`get insights`: whether a cluster is ready for the next minor, after a look at it now if that is asked for."""

from __future__ import annotations

from typing import Any

from roadstead.cli import asked, service, show
from roadstead.cli.actions import get, reach, waiting
from roadstead.core import errors, terminal
from roadstead.wire import client, services

_COLUMNS = ("NAME", "STATUS", "VERSION", "REFRESHED", "REASON")


def insights(call: asked.FlagValues) -> None:
    """Raises NotFound for a cluster that there is not, Failed for a refresh that failed."""
    of = reach.cluster(call)
    asks: dict[str, Any] = {"clusterName": of}
    if status := call.text("status"):
        asks["filter"] = {"statuses": [status]}
    chunk = call.number("chunk-size") or 0
    if chunk > 0:
        asks["maxResults"] = min(chunk, 100)
    with reach.connection(call) as api:
        try:
            if call.truth("refresh"):
                _refresh(api, of, reach.deadline(call))
            listed = [each for page in service.pages(api, "eks", "ListInsights", **asks) for each in page["insights"]]
            if call.text("output") != "table":
                listed = [_whole(api, of, each["id"]) for each in listed]
        except client.ServiceError as error:
            raise get.failed(f'unable to show insights of cluster "{of}"', error) from error
    if not listed and call.text("output") == "table":
        terminal.out("No insights found")
        return
    columns = {name: [row[index] for row in map(_row, listed)] for index, name in enumerate(_COLUMNS)}
    shape = services.load("eks").shape("Insight")
    get.printed(call, columns, [show.go_shaped(shape, each) for each in listed])


def _refresh(api: service.Api, of: str, deadline: float) -> None:
    """Until the cluster was looked at."""
    api.call("eks", "StartInsightsRefresh", clusterName=of)

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = api.call("eks", "DescribeInsightsRefresh", clusterName=of)
        return None if found["status"] == "IN_PROGRESS" else found

    last = waiting.until(ended, f'a refresh of the insights of cluster "{of}"', deadline)
    if last["status"] == "FAILED":
        raise errors.Failed(f'the insights of cluster "{of}" are not refreshed: {last["message"]}')


def _whole(api: service.Api, of: str, id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.call("eks", "DescribeInsight", clusterName=of, id=id)["insight"]
    return found


def _row(insight: dict[str, Any]) -> tuple[str, ...]:
    status, at = insight["insightStatus"], insight.get("lastRefreshTime")
    refreshed = show.moment(at) if at is not None else "-"
    return insight["name"], status["status"], insight["kubernetesVersion"], refreshed, status["reason"]
