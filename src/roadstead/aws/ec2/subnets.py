"""Subnets: create, describe, change, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, ids, tags
from roadstead.aws.ec2.vpc import lookups, resources, wishes
from roadstead.core import errors
from roadstead.network import regions, spec, views
from roadstead.store import facts, keys, writes

_PUBLIC = "MapPublicIpOnLaunch"
FILTERS = {
    "subnet-id": filters.plain("SubnetId"),
    "subnet-arn": filters.plain("SubnetArn"),
    "vpc-id": filters.plain("VpcId"),
    "cidr": filters.plain("CidrBlock"),
    "cidr-block": filters.plain("CidrBlock"),
    "cidrBlock": filters.plain("CidrBlock"),
    "availability-zone": filters.plain("AvailabilityZone"),
    "availabilityZone": filters.plain("AvailabilityZone"),
    "availability-zone-id": filters.plain("AvailabilityZoneId"),
    "available-ip-address-count": filters.plain("AvailableIpAddressCount"),
    "availableIpAddressCount": filters.plain("AvailableIpAddressCount"),
    "default-for-az": filters.plain("DefaultForAz"),
    "defaultForAz": filters.plain("DefaultForAz"),
    "enable-dns64": filters.plain("EnableDns64"),
    "ipv6-native": filters.plain("Ipv6Native"),
    "map-customer-owned-ip-on-launch": filters.plain("MapCustomerOwnedIpOnLaunch"),
    "private-dns-name-options-on-launch.hostname-type": filters.at("PrivateDnsNameOptionsOnLaunch", "HostnameType"),
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": filters.at(
        "PrivateDnsNameOptionsOnLaunch", "EnableResourceNameDnsARecord"
    ),
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": filters.at(
        "PrivateDnsNameOptionsOnLaunch", "EnableResourceNameDnsAAAARecord"
    ),
    "map-public-ip-on-launch": filters.plain("MapPublicIpOnLaunch"),
    "owner-id": filters.plain("OwnerId"),
    "state": filters.plain("State"),
    **filters.nothing(
        """customer-owned-ipv4-pool enable-lni-at-device-index ipv6-cidr-block-association.association-id
        ipv6-cidr-block-association.ipv6-cidr-block ipv6-cidr-block-association.state outpost-arn"""
    ),
}


@calls.operation("ec2", "CreateSubnet", on=(resources.NEW_SUBNET, resources.VPC), context=resources.NEW)
async def create_subnet(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await resources.may_tag(call, asked, resources.NEW_SUBNET)
    filters.not_dry(asked)
    wishes.check(asked, "subnet")
    if not asked.get("CidrBlock"):
        store_access.refuse("MissingParameter", "The request must contain the parameter cidrBlock")
    vpc_key = spec.vpc_key(call.account, call.region, asked["VpcId"]) if asked["VpcId"] else None
    vpc = await call.store.get(vpc_key) if vpc_key else None
    if vpc_key is None or vpc is None:
        ids.absent(asked["VpcId"], "InvalidVpcID.NotFound", f"The vpc ID '{asked['VpcId']}' does not exist")
    with store_access.coded({errors.Invalid: "InvalidParameterValue"}):
        cidr = spec.canonical(asked["CidrBlock"])
    with store_access.coded({errors.Invalid: "InvalidSubnet.Range"}):
        spec.check_subnet(cidr, spec.read_vpc(vpc.desired.body).cidr)
    all_subnets = keys.Prefix(call.account, call.region, spec.SUBNET)
    zone = zone_of(call, asked)
    for _ in range(store_access.TRIES):
        states, revision = await store_access.listed(call.store, all_subnets)
        siblings = [one for one in map(_read, states) if one.vpc == asked["VpcId"]]
        with store_access.coded({errors.Conflict: "InvalidSubnet.Conflict"}):
            spec.check_free(cidr, siblings)
        if len(siblings) >= spec.MOST_SUBNETS:
            store_access.refuse("SubnetLimitExceeded", f"The VPC has {len(siblings)} subnets, as many as there may be.")
        wanted = spec.Subnet(
            id=store_access.id_of(call, "subnet"),
            vpc=asked["VpcId"],
            cidr=cidr,
            zone=zone.name,
            zone_id=zone.id,
            tags=tags.asked_for(asked, "subnet"),
            created_at=call.now.timestamp(),
        )
        put = spec.SUBNETS.put(spec.subnet_key(call.account, call.region, wanted.id), wanted, writes.Absent())
        try:
            with store_access.coded({errors.NotFound: "InvalidVpcID.NotFound"}):
                await call.store.commit(
                    put, writes.Require(vpc_key, writes.Present()), writes.Unchanged(all_subnets, revision)
                )
        except errors.Conflict:
            # Another subnet came first: is there still room?
            continue
        return {"Subnet": views.subnet(call.account, call.region, wanted)}
    raise errors.Busy("many subnets are being made: try again")


@calls.operation("ec2", "DescribeSubnets", on=resources.ANYTHING)
async def describe_subnets(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [views.subnet(call.account, call.region, subnet) for subnet in await lookups.subnets(call)]
    chosen = filters.named(shown, "SubnetId", asked.get("SubnetIds"), code="InvalidSubnetID.NotFound", what="subnet")
    return {"Subnets": filters.applied(chosen, asked, FILTERS)}


@calls.operation("ec2", "ModifySubnetAttribute", on=resources.SUBNET, context=resources.ATTRIBUTE)
async def modify_subnet_attribute(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Of the attributes MapPublicIpOnLaunch is kept; to say of the others what holds anyway changes nothing."""
    id = asked["SubnetId"]
    ids.check([id], "InvalidSubnetID.NotFound")
    changes = {member: value for member, value in asked.items() if member != "SubnetId"}
    other = {member: value for member, value in changes.items() if member != _PUBLIC and not _holds(member, value)}
    for member in other:
        store_access.refuse(
            "UnsupportedOperation", f"{member} cannot be changed yet: a subnet here is as it is described."
        )

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        if state is None:
            ids.absent(id, "InvalidSubnetID.NotFound", f"The subnet ID '{id}' does not exist")
        if not changes:
            store_access.refuse("MissingParameter", "The request must contain an attribute to be changed")
        wanted = _read(state)
        public = asked.get(_PUBLIC, {}).get("Value", wanted.public_addresses)
        if public == wanted.public_addresses:
            return ()
        return (spec.SUBNETS.put(state.key, replace(wanted, public_addresses=public)),)

    await store_access.changed(call, spec.subnet_key(call.account, call.region, id), change)
    return {}


@calls.operation("ec2", "DeleteSubnet", on=resources.SUBNET)
async def delete_subnet(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Only when nothing is in it."""
    filters.not_dry(asked)
    id = asked["SubnetId"]
    key = spec.subnet_key(call.account, call.region, id) if id else None
    if key is None or await call.store.get(key) is None:
        ids.absent(id, "InvalidSubnetID.NotFound", f"The subnet ID '{id}' does not exist")
    users = await call.kinds.users(call.store, key)
    if users.keys:
        store_access.refuse(
            "DependencyViolation", f"The subnet '{id}' has dependencies and cannot be deleted: {users} is in it."
        )
    with store_access.coded({errors.Conflict: "DependencyViolation", errors.NotFound: "InvalidSubnetID.NotFound"}):
        await call.store.commit(writes.Delete(key, writes.Present()), *users.guards)
    return {}


def _holds(member: str, value: object) -> bool:
    """Whether an attribute of all subnets here has that value: none is on, and names are by addresses."""
    if member == "PrivateDnsHostnameTypeOnLaunch":
        return value == "ip-name"
    return value == {"Value": False}


def _read(state: facts.State) -> spec.Subnet:
    return spec.read_subnet(state.desired.body)


def zone_of(call: calls.Call, asked: calls.Asked) -> regions.Zone:
    """The zone that is asked for by name or id, or the first. Raises InvalidParameterValue."""
    offered: Sequence[regions.Zone] = regions.zones(call.region)
    name, id = asked.get("AvailabilityZone"), asked.get("AvailabilityZoneId")
    for zone in offered:
        if name in (None, zone.name) and id in (None, zone.id):
            return zone
    store_access.refuse(
        "InvalidParameterValue",
        f"Value ({name or id}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
        f"following availability zones: {', '.join(zone.name for zone in offered)}.",
    )
