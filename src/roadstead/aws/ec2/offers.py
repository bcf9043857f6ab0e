"""What a region offers: regions and zones. Data."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import resources
from roadstead.network import regions, views

_REGION_FILTERS = {
    "region-name": filters.plain("RegionName"),
    "endpoint": filters.plain("Endpoint"),
    "opt-in-status": filters.plain("OptInStatus"),
}
ZONE_FILTERS = {
    "zone-name": filters.plain("ZoneName"),
    "zone-id": filters.plain("ZoneId"),
    "region-name": filters.plain("RegionName"),
    "group-name": filters.plain("GroupName"),
    "state": filters.plain("State"),
    "zone-type": filters.plain("ZoneType"),
    "opt-in-status": filters.plain("OptInStatus"),
    **filters.nothing("group-long-name message parent-zone-id parent-zone-name"),
}


@calls.operation("ec2", "DescribeRegions", on=resources.ANYTHING)
async def describe_regions(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    wanted = asked.get("RegionNames") or sorted(regions.CODES)
    for name in wanted:
        if name not in regions.CODES:
            store_access.refuse("InvalidParameterValue", f"Invalid region name: {name}")
    shown = [
        {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
        for name in wanted
    ]
    return {"Regions": filters.applied(shown, asked, _REGION_FILTERS)}


@calls.operation("ec2", "DescribeAvailabilityZones", on=resources.ANYTHING)
async def describe_availability_zones(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    offered = regions.zones(call.region)
    for member, known in (("ZoneNames", {zone.name for zone in offered}), ("ZoneIds", {zone.id for zone in offered})):
        for wanted in asked.get(member, ()):
            if wanted not in known:
                store_access.refuse("InvalidParameterValue", f"Invalid availability zone: [{wanted}]")
    names, ids = asked.get("ZoneNames"), asked.get("ZoneIds")
    shown = [
        views.zone(call.region, zone)
        for zone in offered
        if (not names or zone.name in names) and (not ids or zone.id in ids)
    ]
    return {"AvailabilityZones": filters.applied(shown, asked, ZONE_FILTERS)}
