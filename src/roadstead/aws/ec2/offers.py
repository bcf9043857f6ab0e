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
SIZE_FILTERS: dict[str, filters.Values] = {
    "auto-recovery-supported": filters.plain("AutoRecoverySupported"),
    "bare-metal": filters.plain("BareMetal"),
    "burstable-performance-supported": filters.plain("BurstablePerformanceSupported"),
    "current-generation": filters.plain("CurrentGeneration"),
    "dedicated-hosts-supported": filters.plain("DedicatedHostsSupported"),
    "ebs-info.ebs-optimized-support": filters.at("EbsInfo", "EbsOptimizedSupport"),
    "ebs-info.encryption-support": filters.at("EbsInfo", "EncryptionSupport"),
    "ebs-info.nvme-support": filters.at("EbsInfo", "NvmeSupport"),
    "free-tier-eligible": filters.plain("FreeTierEligible"),
    "hibernation-supported": filters.plain("HibernationSupported"),
    "hypervisor": filters.plain("Hypervisor"),
    "instance-storage-supported": filters.plain("InstanceStorageSupported"),
    "instance-type": filters.plain("InstanceType"),
    "memory-info.size-in-mib": filters.at("MemoryInfo", "SizeInMiB"),
    "network-info.efa-supported": filters.at("NetworkInfo", "EfaSupported"),
    "network-info.ena-support": filters.at("NetworkInfo", "EnaSupport"),
    "network-info.encryption-in-transit-supported": filters.at("NetworkInfo", "EncryptionInTransitSupported"),
    "network-info.ipv4-addresses-per-interface": filters.at("NetworkInfo", "Ipv4AddressesPerInterface"),
    "network-info.ipv6-addresses-per-interface": filters.at("NetworkInfo", "Ipv6AddressesPerInterface"),
    "network-info.ipv6-supported": filters.at("NetworkInfo", "Ipv6Supported"),
    "network-info.maximum-network-cards": filters.at("NetworkInfo", "MaximumNetworkCards"),
    "network-info.maximum-network-interfaces": filters.at("NetworkInfo", "MaximumNetworkInterfaces"),
    "nitro-enclaves-support": filters.plain("NitroEnclavesSupport"),
    "nitro-tpm-support": filters.plain("NitroTpmSupport"),
    "processor-info.supported-architecture": filters.at("ProcessorInfo", "SupportedArchitectures"),
    "supported-boot-mode": filters.at("SupportedBootModes"),
    "supported-root-device-type": filters.at("SupportedRootDeviceTypes"),
    "supported-usage-class": filters.at("SupportedUsageClasses"),
    "supported-virtualization-type": filters.at("SupportedVirtualizationTypes"),
    "vcpu-info.default-cores": filters.at("VCpuInfo", "DefaultCores"),
    "vcpu-info.default-threads-per-core": filters.at("VCpuInfo", "DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": filters.at("VCpuInfo", "DefaultVCpus"),
    **filters.nothing(
        """ebs-info.attachment-limit-type ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps
        ebs-info.ebs-optimized-info.baseline-iops ebs-info.ebs-optimized-info.baseline-throughput-in-mbps
        ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps ebs-info.ebs-optimized-info.maximum-iops
        ebs-info.ebs-optimized-info.maximum-throughput-in-mbps ebs-info.maximum-ebs-attachments
        instance-storage-info.disk.count instance-storage-info.disk.size-in-gb instance-storage-info.disk.type
        instance-storage-info.encryption-support instance-storage-info.nvme-support
        instance-storage-info.total-size-in-gb network-info.bandwidth-weightings
        network-info.efa-info.maximum-efa-interfaces network-info.flexible-ena-queues-support
        network-info.network-performance nitro-tpm-info.supported-versions
        processor-info.supported-features processor-info.sustained-clock-speed-in-ghz reboot-migration-support
        vcpu-info.valid-cores vcpu-info.valid-threads-per-core"""
    ),
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
    return {"AvailabilityZones": filters.applied(shown, asked, ZONE_FILTERS)}


@calls.operation("ec2", "DescribeInstanceTypes")
async def describe_instance_types(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    wanted = asked.get("InstanceTypes") or ()
    known = {size.name for size in sizes.ALL}
    strange = sorted(set(wanted) - known)
    if strange:
        kept.refuse("InvalidInstanceType", f"The following supplied instance types do not exist: {strange}")
    shown = [views.size(size) for size in sizes.ALL if not wanted or size.name in wanted]
    return {"InstanceTypes": filters.applied(shown, asked, SIZE_FILTERS)}


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
