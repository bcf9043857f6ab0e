"""What a region offers: regions, zones, instance types. The same everywhere, and data."""

from __future__ import annotations

from typing import Any

from roadstead.aws import calls, kept
from roadstead.aws.ec2 import filters
from roadstead.network import regions, sizes, views

_REGION_FILTERS = {
    "region-name": filters.plain("RegionName"),
    "endpoint": filters.plain("Endpoint"),
    "opt-in-status": filters.plain("OptInStatus"),
}
_ZONE_FILTERS = {
    "zone-name": filters.plain("ZoneName"),
    "zone-id": filters.plain("ZoneId"),
    "region-name": filters.plain("RegionName"),
    "group-name": filters.plain("GroupName"),
    "state": filters.plain("State"),
    "zone-type": filters.plain("ZoneType"),
    "opt-in-status": filters.plain("OptInStatus"),
    "message": lambda _: (),
}
_SIZE_FILTERS: dict[str, filters.Values] = {
    "instance-type": filters.plain("InstanceType"),
    "current-generation": filters.plain("CurrentGeneration"),
    "bare-metal": filters.plain("BareMetal"),
    "hypervisor": filters.plain("Hypervisor"),
    "burstable-performance-supported": filters.plain("BurstablePerformanceSupported"),
    "processor-info.supported-architecture": lambda shown: shown["ProcessorInfo"]["SupportedArchitectures"],
    "supported-usage-class": lambda shown: shown["SupportedUsageClasses"],
    "supported-virtualization-type": lambda shown: shown["SupportedVirtualizationTypes"],
    "supported-root-device-type": lambda shown: shown["SupportedRootDeviceTypes"],
    "vcpu-info.default-vcpus": lambda shown: [str(shown["VCpuInfo"]["DefaultVCpus"])],
    "memory-info.size-in-mib": lambda shown: [str(shown["MemoryInfo"]["SizeInMiB"])],
}
_OFFER_FILTERS = {"instance-type": filters.plain("InstanceType"), "location": filters.plain("Location")}


@calls.operation("ec2", "DescribeRegions")
async def describe_regions(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    wanted = asked.get("RegionNames") or sorted(regions.CODES)
    for name in wanted:
        if name not in regions.CODES:
            kept.refuse("InvalidParameterValue", f"Invalid region name: {name}")
    shown = [
        {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
        for name in wanted
    ]
    return {"Regions": filters.applied(shown, asked, _REGION_FILTERS)}


@calls.operation("ec2", "DescribeAvailabilityZones")
async def describe_availability_zones(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    offered = regions.zones(call.region)
    for member, known in (("ZoneNames", {zone.name for zone in offered}), ("ZoneIds", {zone.id for zone in offered})):
        for wanted in asked.get(member, ()):
            if wanted not in known:
                kept.refuse("InvalidParameterValue", f"Invalid availability zone: [{wanted}]")
    names, ids = asked.get("ZoneNames"), asked.get("ZoneIds")
    shown = [
        views.zone(call.region, zone)
        for zone in offered
        if (not names or zone.name in names) and (not ids or zone.id in ids)
    ]
    return {"AvailabilityZones": filters.applied(shown, asked, _ZONE_FILTERS)}


@calls.operation("ec2", "DescribeInstanceTypes")
async def describe_instance_types(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    wanted = asked.get("InstanceTypes") or ()
    known = {size.name for size in sizes.ALL}
    strange = sorted(set(wanted) - known)
    if strange:
        kept.refuse("InvalidInstanceType", f"The following supplied instance types do not exist: {strange}")
    shown = [views.size(size) for size in sizes.ALL if not wanted or size.name in wanted]
    return {"InstanceTypes": filters.applied(shown, asked, _SIZE_FILTERS)}


@calls.operation("ec2", "DescribeInstanceTypeOfferings")
async def describe_instance_type_offerings(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Every type is offered in every zone."""
    filters.not_dry(asked)
    kind = asked.get("LocationType", "region")
    zones = regions.zones(call.region)
    places = {
        "region": [call.region],
        "availability-zone": [zone.name for zone in zones],
        "availability-zone-id": [zone.id for zone in zones],
    }
    shown: list[dict[str, Any]] = [
        {"InstanceType": size.name, "LocationType": kind, "Location": place}
        for size in sizes.ALL
        for place in places.get(kind, ())
    ]
    return {"InstanceTypeOfferings": filters.applied(shown, asked, _OFFER_FILTERS)}
