"""Network interfaces: whatever has an address in a VPC, as addresses are allotted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import lookups, resources
from roadstead.clusters import spec as clusters
from roadstead.clusters.allocation import ipam
from roadstead.core import addresses
from roadstead.network import defaults, spec
from roadstead.store import keys

_FILTERS: dict[str, filters.Values] = {
    "addresses.primary": filters.at("PrivateIpAddresses", "Primary"),
    "addresses.private-ip-address": filters.at("PrivateIpAddresses", "PrivateIpAddress"),
    "attachment.attachment-id": filters.at("Attachment", "AttachmentId"),
    "attachment.delete-on-termination": filters.at("Attachment", "DeleteOnTermination"),
    "attachment.device-index": filters.at("Attachment", "DeviceIndex"),
    "attachment.instance-id": filters.at("Attachment", "InstanceId"),
    "attachment.instance-owner-id": filters.at("Attachment", "InstanceOwnerId"),
    "attachment.status": filters.at("Attachment", "Status"),
    "availability-zone": filters.plain("AvailabilityZone"),
    "availability-zone-id": filters.plain("AvailabilityZoneId"),
    "description": filters.plain("Description"),
    "group-id": filters.at("Groups", "GroupId"),
    "group-name": filters.at("Groups", "GroupName"),
    "interface-type": filters.plain("InterfaceType"),
    "mac-address": filters.plain("MacAddress"),
    "network-interface-id": filters.plain("NetworkInterfaceId"),
    "owner-id": filters.plain("OwnerId"),
    "private-dns-name": filters.plain("PrivateDnsName"),
    "private-ip-address": filters.plain("PrivateIpAddress"),
    "requester-managed": filters.plain("RequesterManaged"),
    "source-dest-check": filters.plain("SourceDestCheck"),
    "status": filters.plain("Status"),
    "subnet-id": filters.plain("SubnetId"),
    "vpc-id": filters.plain("VpcId"),
    **filters.nothing(
        """addresses.association.owner-id addresses.association.public-ip association.allocation-id
        association.association-id association.ip-owner-id association.public-dns-name association.public-ip
        attachment.attach-time ipv6-addresses.ipv6-address operator.managed operator.principal requester-id"""
    ),
}
_OF_INSTANCE = (
    "NetworkInterfaceId",
    "InterfaceType",
    "Status",
    "Description",
    "OwnerId",
    "VpcId",
    "SubnetId",
    "MacAddress",
    "PrivateIpAddress",
    "PrivateDnsName",
    "PrivateIpAddresses",
    "Ipv4Prefixes",
    "Ipv6Addresses",
    "SourceDestCheck",
    "Groups",
)


@calls.operation("ec2", "DescribeNetworkInterfaces", on=resources.ANYTHING)
async def describe_network_interfaces(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = await every(call, await lookups.region(call))
    ids = asked.get("NetworkInterfaceIds")
    code = "InvalidNetworkInterfaceID.NotFound"
    chosen = filters.named(shown, "NetworkInterfaceId", ids, code=code, what="networkInterface")
    return {"NetworkInterfaces": filters.applied(chosen, asked, _FILTERS)}


async def every(call: calls.Call, there: lookups.Region) -> list[dict[str, Any]]:
    """The model's NetworkInterface of all that have addresses."""
    shown: list[dict[str, Any]] = []
    for state in await store_access.everything(call.store, keys.Prefix(call.account, call.region, ipam.KIND)):
        subnets = [subnet for subnet in there.subnets.values() if subnet.vpc == state.key.names[0]]
        for one in of(there, ipam.read(state.desired.body)):
            subnet = _around(one.address, subnets)
            if subnet is not None:
                shown.append(defaults.interface(call.account, call.region, subnet, one))
    return shown


def of_instance(interface: Mapping[str, Any]) -> dict[str, Any]:
    """The model's InstanceNetworkInterface, which tells less."""
    attachment = {key: value for key, value in interface["Attachment"].items() if not key.startswith("Instance")}
    return {**{member: interface[member] for member in _OF_INSTANCE}, "Attachment": attachment}


def of(there: lookups.Region, allotted: ipam.VpcAddresses) -> Iterable[defaults.Interface]:
    """Those of what has addresses in a VPC, by address. An owner is `c-1a2b3c4d`, or one of its nodes, `c-...i-...`."""
    single = sorted((each for each in allotted.holders if "/" not in each), key=ipaddress.IPv4Address)
    for address in single:
        owner = allotted.holders[address]
        id, _, node = owner.partition(".")
        state = there.cluster(id)
        group = there.group_of(state) if state is not None else None
        if state is None or group is None:
            # A cluster that is gone, or going: what it had is given back in a moment.
            continue
        name = clusters.read(state.desired.body).name
        prefixes = tuple(each for each in allotted.of(owner) if "/" in each) if node else ()
        said = f"node {node} of the cluster {name}" if node else f"control plane of the cluster {name}"
        yield defaults.Interface(address, owner, said, group, prefixes, node or None)


def _around(address: str, subnets: Iterable[spec.Subnet]) -> spec.Subnet | None:
    return next((subnet for subnet in subnets if addresses.contains(subnet.cidr, address)), None)
