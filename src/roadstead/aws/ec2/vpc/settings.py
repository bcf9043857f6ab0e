"""Attributes of VPCs, their DHCP options and network ACLs, and what an account's EC2 is like."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import lookups, resources
from roadstead.network import defaults, spec
from roadstead.store import facts, writes

_ACL_FILTERS: dict[str, filters.Values] = {
    "association.association-id": filters.at("Associations", "NetworkAclAssociationId"),
    "association.network-acl-id": filters.at("Associations", "NetworkAclId"),
    "association.subnet-id": filters.at("Associations", "SubnetId"),
    "default": filters.plain("IsDefault"),
    "entry.cidr": filters.at("Entries", "CidrBlock"),
    "entry.egress": filters.at("Entries", "Egress"),
    "entry.protocol": filters.at("Entries", "Protocol"),
    "entry.rule-action": filters.at("Entries", "RuleAction"),
    "entry.rule-number": filters.at("Entries", "RuleNumber"),
    "network-acl-id": filters.plain("NetworkAclId"),
    "owner-id": filters.plain("OwnerId"),
    "vpc-id": filters.plain("VpcId"),
    **filters.nothing("entry.icmp.code entry.icmp.type entry.ipv6-cidr entry.port-range.from entry.port-range.to"),
}
_OPTIONS_FILTERS: dict[str, filters.Values] = {
    "dhcp-options-id": filters.plain("DhcpOptionsId"),
    "key": filters.at("DhcpConfigurations", "Key"),
    "value": filters.at("DhcpConfigurations", "Values", "Value"),
    "owner-id": filters.plain("OwnerId"),
}
_ALWAYS: Mapping[str, str] = {
    "enableDnsSupport": "a VPC always has its resolver",
    "enableNetworkAddressUsageMetrics": "nobody counts addresses",
}


@calls.operation("ec2", "DescribeVpcAttribute", on=resources.VPC)
async def describe_vpc_attribute(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """One attribute at a time, as EC2 has it."""
    filters.not_dry(asked)
    vpc = await lookups.vpc(call, asked["VpcId"])
    name: str = asked["Attribute"]
    return {"VpcId": vpc.id, f"{name[0].upper()}{name[1:]}": {"Value": defaults.attributes(vpc)[name]}}


@calls.operation("ec2", "ModifyVpcAttribute", on=resources.VPC, context=resources.ATTRIBUTE)
async def modify_vpc_attribute(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """One attribute at a time, as EC2 has it. Names of the world are kept and shown; of the others only what holds."""
    wanted = {f"{name[0].lower()}{name[1:]}": value for name, value in asked.items() if name != "VpcId"}
    vpc = await lookups.vpc(call, asked["VpcId"])
    if not wanted:
        store_access.refuse("MissingParameter", "The request must contain an attribute to be changed")
    if len(wanted) > 1:
        store_access.refuse(
            "InvalidParameterCombination", f"Attributes are changed one at a time, not {', '.join(wanted)}."
        )
    ((name, given),) = wanted.items()
    value = given.get("Value", False)
    if name != "enableDnsHostnames":
        if value != defaults.attributes(vpc)[name]:
            store_access.refuse("UnsupportedOperation", f"{name} cannot be {str(value).lower()} here: {_ALWAYS[name]}.")
        return {}

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        if state is None:
            store_access.refuse("InvalidVpcID.NotFound", f"The vpc ID '{vpc.id}' does not exist")
        now = spec.read_vpc(state.desired.body)
        return (spec.VPCS.put(state.key, dataclasses.replace(now, dns_hostnames=value)),)

    await store_access.changed(call, spec.vpc_key(call.account, call.region, vpc.id), change)
    return {}


@calls.operation("ec2", "DescribeDhcpOptions", on=resources.ANYTHING)
async def describe_dhcp_options(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [defaults.dhcp_options(call.account, call.region)]
    ids = [id for id in asked.get("DhcpOptionsIds") or () if id != "default"]
    chosen = filters.named(shown, "DhcpOptionsId", ids, code="InvalidDhcpOptionID.NotFound", what="dhcpOption")
    return {"DhcpOptions": filters.applied(chosen, asked, _OPTIONS_FILTERS)}


@calls.operation("ec2", "DescribeNetworkAcls", on=resources.ANYTHING)
async def describe_network_acls(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    subnets = await lookups.subnets(call)
    shown = [
        defaults.network_acl(call.account, vpc, (subnet for subnet in subnets if subnet.vpc == vpc.id))
        for vpc in await lookups.vpcs(call)
    ]
    ids = asked.get("NetworkAclIds")
    chosen = filters.named(shown, "NetworkAclId", ids, code="InvalidNetworkAclID.NotFound", what="networkAcl")
    return {"NetworkAcls": filters.applied(chosen, asked, _ACL_FILTERS)}


@calls.operation("ec2", "DescribeAccountAttributes", on=resources.ANYTHING)
async def describe_account_attributes(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    default = next((vpc.id for vpc in await lookups.vpcs(call) if vpc.default), "none")
    values = {"supported-platforms": "VPC", "default-vpc": default}
    wanted = asked.get("AttributeNames") or values
    shown = [
        {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
        for name, value in values.items()
        if name in wanted
    ]
    return {"AccountAttributes": shown}
