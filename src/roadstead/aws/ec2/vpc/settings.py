"""Attributes of VPCs, their DHCP options and network ACLs, and what an account's EC2 is like."""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import found
from roadstead.network import defaults

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
_ACCOUNT = {"supported-platforms": "VPC", "default-vpc": "none"}


@calls.operation("ec2", "DescribeVpcAttribute")
async def describe_vpc_attribute(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """One attribute at a time, as EC2 has it."""
    filters.not_dry(asked)
    vpc = await found.vpc(call, asked["VpcId"])
    name: str = asked["Attribute"]
    return {"VpcId": vpc.id, f"{name[0].upper()}{name[1:]}": {"Value": defaults.ATTRIBUTES[name]}}


@calls.operation("ec2", "DescribeDhcpOptions")
async def describe_dhcp_options(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [defaults.dhcp_options(call.account, call.region)]
    ids = [id for id in asked.get("DhcpOptionsIds") or () if id != "default"]
    chosen = filters.named(shown, "DhcpOptionsId", ids, code="InvalidDhcpOptionID.NotFound", what="dhcpOption")
    return {"DhcpOptions": filters.applied(chosen, asked, _OPTIONS_FILTERS)}


@calls.operation("ec2", "DescribeNetworkAcls")
async def describe_network_acls(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    subnets = await found.subnets(call)
    shown = [
        defaults.network_acl(call.account, vpc, (subnet for subnet in subnets if subnet.vpc == vpc.id))
        for vpc in await found.vpcs(call)
    ]
    ids = asked.get("NetworkAclIds")
    chosen = filters.named(shown, "NetworkAclId", ids, code="InvalidNetworkAclID.NotFound", what="networkAcl")
    return {"NetworkAcls": filters.applied(chosen, asked, _ACL_FILTERS)}


@calls.operation("ec2", "DescribeAccountAttributes")
async def describe_account_attributes(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """No VPC is the default: each is made by somebody."""
    filters.not_dry(asked)
    wanted = asked.get("AttributeNames") or _ACCOUNT
    shown = [
        {"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]}
        for name, value in _ACCOUNT.items()
        if name in wanted
    ]
    return {"AccountAttributes": shown}
