"""The end of a version's support as boto3 sees it, on days of one's choice: a cluster is updated as if its owner had
asked for it, its nodegroups go on, and no new cluster has the version."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testkit.worlds import parts
from tests.unit import aws_api
from tests.wire import customer as customers

from roadstead.core import clock as clocks

SHOP = {"name": "shop"}
GROUP = {"clusterName": "shop", "nodegroupName": "workers"}
Story = Callable[[aws_api.Place], None]


def live(folder: Path, *days: tuple[str, Story]) -> None:
    """Each story on its day: between them serve is down, and what it has made goes on."""

    async def lived() -> None:
        world = parts.World(clocks.FakeClock())
        for day, story in days:
            moment = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
            async with aws_api.opened(folder, world, day=moment) as place, asyncio.timeout(aws_api.DEADLINE):
                await asyncio.to_thread(story, place)

    asyncio.run(lived())


def events(place: aws_api.Place) -> list[dict[str, Any]]:
    """Of updates and ends of support, oldest first."""
    found = place.client("roadstead").get_paginator("list_events").paginate().build_full_result()["events"]
    return [each for each in found if each["reason"].startswith(("Support", "AutomaticUpdate"))]


def until(place: aws_api.Place, version: str, reason: str) -> dict[str, Any]:
    """The cluster, when it is ACTIVE with the version, and the last event has the reason."""
    eks = place.client("eks")
    while True:
        eks.get_waiter("cluster_active").wait(**SHOP, WaiterConfig=customers.QUICK)
        found: dict[str, Any] = eks.describe_cluster(**SHOP)["cluster"]
        told = events(place)
        if (found["status"], found["version"]) == ("ACTIVE", version) and told and told[-1]["reason"] == reason:
            return found


def test_a_cluster_is_announced_and_updated_and_the_version_goes(tmp_path: Path) -> None:
    made: dict[str, Any] = {}

    def before(place: aws_api.Place) -> None:
        someone = customers.Customer(place)
        made.update(cluster=someone.cluster(), nodes=someone.nodes(1))
        someone.eks.create_cluster(**made["cluster"], version="1.34", upgradePolicy={"supportType": "STANDARD"})
        shown = until(place, "1.34", "SupportEnding")
        assert shown["upgradePolicy"] == {"supportType": "STANDARD"}
        someone.eks.create_nodegroup(**made["nodes"])
        someone.eks.get_waiter("nodegroup_active").wait(**GROUP, WaiterConfig=customers.QUICK)
        (event,) = events(place)
        assert event["resourceArn"] == shown["arn"]
        assert event["facts"] == {"version": "1.34", "ends": "2026-12-02", "next": "1.35", "days": "43"}
        assert event["message"] == (
            "standard support of Kubernetes 1.34 ends on 2026-12-02, in 43 days: as its supportType is STANDARD, the "
            "cluster is updated to 1.35 then; to choose when, update it before, or set supportType EXTENDED"
        )
        assert someone.eks.list_updates(**SHOP)["updateIds"] == []

    def on_the_day(place: aws_api.Place) -> None:
        eks = place.client("eks")
        until(place, "1.35", "AutomaticUpdateDone")
        (id,) = eks.list_updates(**SHOP)["updateIds"]
        update = eks.describe_update(**SHOP, updateId=id)["update"]
        assert (update["type"], update["status"], update["errors"]) == ("VersionUpdate", "Successful", [])
        assert {"type": "Version", "value": "1.35"} in update["params"]
        assert [each["reason"] for each in events(place)] == [
            "SupportEnding",
            "AutomaticUpdateBegun",
            "AutomaticUpdateDone",
        ]
        # Nodes are whose they are.
        assert eks.describe_nodegroup(**GROUP)["nodegroup"]["version"] == "1.34"
        # Past its standard support a version is for who extends it.
        asked = {**made["cluster"], "name": "two", "version": "1.34"}
        code, said = refused(place, **asked, upgradePolicy={"supportType": "STANDARD"})
        assert (code, "ended on 2026-12-02" in said) == ("InvalidParameterException", True)
        eks.create_cluster(**asked)

    def later(place: aws_api.Place) -> None:
        code, said = refused(place, **{**made["cluster"], "name": "three", "version": "1.34"})
        assert code == "InvalidParameterException"
        assert said == (
            "unsupported Kubernetes version 1.34: its extended support ended on 2027-12-02; this Roadstead offers "
            "1.35, 1.36, 1.37"
        )
        told = place.client("eks").describe_cluster_versions(includeAll=True)["clusterVersions"]
        assert {each["clusterVersion"]: each["versionStatus"] for each in told} == {
            "1.37": "EXTENDED_SUPPORT",
            "1.36": "EXTENDED_SUPPORT",
            "1.35": "EXTENDED_SUPPORT",
            "1.34": "UNSUPPORTED",
        }

    live(tmp_path, ("2026-10-20", before), ("2026-12-02", on_the_day), ("2027-12-02", later))


def test_a_cluster_without_support_goes_on_with_its_nodegroups(tmp_path: Path) -> None:
    made: dict[str, Any] = {}

    def before(place: aws_api.Place) -> None:
        someone = customers.Customer(place)
        someone.active()
        made.update(cluster=someone.cluster(), nodes=someone.nodes(1))

    def after(place: aws_api.Place) -> None:
        eks = place.client("eks")
        until(place, "1.37", "SupportEnded")
        code, said = refused(place, **{**made["cluster"], "name": "two"})
        assert (code, said) == (
            "InvalidParameterException",
            "unsupported Kubernetes version 1.37: its extended support ended on 2028-12-01; a newer Roadstead has "
            "newer versions",
        )
        active = eks.get_waiter("nodegroup_active")
        eks.create_nodegroup(**made["nodes"])
        active.wait(**GROUP, WaiterConfig=customers.QUICK)
        eks.update_nodegroup_config(**GROUP, scalingConfig={"maxSize": 3, "desiredSize": 3})
        active.wait(**GROUP, WaiterConfig=customers.QUICK)
        assert len(eks.list_nodegroups(clusterName="shop")["nodegroups"]) == 1
        nodes = place.client("ec2").describe_instances()["Reservations"]
        assert [each["Instances"][0]["State"]["Name"] for each in nodes] == ["running"] * 3
        eks.update_cluster_config(**SHOP, deletionProtection=True)
        eks.get_waiter("cluster_active").wait(**SHOP, WaiterConfig=customers.QUICK)
        assert events(place)[-1]["reason"] == "SupportEnded"

    live(tmp_path, ("2026-11-01", before), ("2028-12-02", after))


def refused(place: aws_api.Place, **asked: Any) -> tuple[str, str]:
    """Code and sentence of a CreateCluster that is refused."""
    eks = place.client("eks")
    try:
        eks.create_cluster(**asked)
    except eks.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError("it was not refused")
