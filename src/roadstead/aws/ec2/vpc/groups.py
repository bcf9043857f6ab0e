"""Security groups: the one of each VPC and the one of each cluster. What they say holds.

Nobody enforces others yet, so no operation makes, changes or deletes one.
"""

from __future__ import annotations

from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2 import ids as resource_ids
from roadstead.aws.ec2.vpc import lookups, resources
from roadstead.network import defaults

_IN, _OUT = "IpPermissions", "IpPermissionsEgress"
_FILTERS: dict[str, filters.Values] = {
    "description": filters.plain("Description"),
    "group-id": filters.plain("GroupId"),
    "group-name": filters.plain("GroupName"),
    "owner-id": filters.plain("OwnerId"),
    "vpc-id": filters.plain("VpcId"),
    "ip-permission.cidr": filters.at(_IN, "IpRanges", "CidrIp"),
    "ip-permission.protocol": filters.at(_IN, "IpProtocol"),
    "egress.ip-permission.cidr": filters.at(_OUT, "IpRanges", "CidrIp"),
    "egress.ip-permission.protocol": filters.at(_OUT, "IpProtocol"),
    **filters.nothing(
        """ip-permission.from-port ip-permission.group-id ip-permission.group-name ip-permission.ipv6-cidr
        ip-permission.prefix-list-id ip-permission.to-port ip-permission.user-id egress.ip-permission.from-port
        egress.ip-permission.group-id egress.ip-permission.group-name egress.ip-permission.ipv6-cidr
        egress.ip-permission.prefix-list-id egress.ip-permission.to-port egress.ip-permission.user-id"""
    ),
}
_RULE_FILTERS: dict[str, filters.Values] = {
    "group-id": filters.plain("GroupId"),
    "security-group-rule-id": filters.plain("SecurityGroupRuleId"),
}
_FOR_VPC_FILTERS: dict[str, filters.Values] = {
    "group-id": filters.plain("GroupId"),
    "description": filters.plain("Description"),
    "group-name": filters.plain("GroupName"),
    "owner-id": filters.plain("OwnerId"),
    "primary-vpc-id": filters.plain("PrimaryVpcId"),
}


@calls.operation("ec2", "DescribeSecurityGroups", on=resources.ANYTHING)
async def describe_security_groups(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [defaults.group(call.account, call.region, group) for group in (await lookups.region(call)).groups]
    ids, names = asked.get("GroupIds"), asked.get("GroupNames") or ()
    chosen = filters.named(shown, "GroupId", ids, code="InvalidGroup.NotFound", what="security group")
    for name in names:
        if all(group["GroupName"] != name for group in shown):
            store_access.refuse("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
    chosen = [group for group in chosen if not names or group["GroupName"] in names]
    return {"SecurityGroups": filters.applied(chosen, asked, _FILTERS)}


@calls.operation("ec2", "DescribeSecurityGroupRules", on=resources.ANYTHING)
async def describe_security_group_rules(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    groups = (await lookups.region(call)).groups
    shown = [rule for group in groups for rule in defaults.rules(call.account, call.region, group)]
    chosen = filters.named(
        shown,
        "SecurityGroupRuleId",
        asked.get("SecurityGroupRuleIds"),
        code="InvalidSecurityGroupRuleId.NotFound",
        what="security group rule",
    )
    return {"SecurityGroupRules": filters.applied(chosen, asked, _RULE_FILTERS)}


@calls.operation("ec2", "GetSecurityGroupsForVpc", on=resources.VPC)
async def get_security_groups_for_vpc(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    vpc = await lookups.vpc(call, asked["VpcId"])
    shown: list[dict[str, Any]] = [
        {
            "GroupId": group.id,
            "GroupName": group.name,
            "Description": group.description,
            "OwnerId": call.account,
            "PrimaryVpcId": vpc.id,
            "Tags": defaults.group(call.account, call.region, group)["Tags"],
        }
        for group in (await lookups.region(call)).groups
        if group.vpc.id == vpc.id
    ]
    return {"SecurityGroupForVpcs": filters.applied(shown, asked, _FOR_VPC_FILTERS)}


@calls.operation("ec2", "DescribeSecurityGroupReferences", answers="empty", on=resources.GROUPS)
async def describe_security_group_references(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """No VPC is peered with another, so no group of another VPC is named anywhere."""
    filters.not_dry(asked)
    await _there(call, asked["GroupId"])
    return {"SecurityGroupReferenceSet": []}


@calls.operation("ec2", "DescribeStaleSecurityGroups", answers="empty", on=resources.ANYTHING)
async def describe_stale_security_groups(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    await lookups.vpc(call, asked["VpcId"])
    return {"StaleSecurityGroupSet": []}


async def _there(call: calls.Call, ids: list[str]) -> None:
    known = {group.id for group in (await lookups.region(call)).groups}
    for id in ids:
        if id not in known:
            resource_ids.absent(id, "InvalidGroup.NotFound", f"The security group '{id}' does not exist")
