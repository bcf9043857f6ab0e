"""A few operations for tests of the AWS API: small, and each shows one thing that an operation may do.

Run as a program it is `serve` with these operations and no others: `python -m tests.wire.api_operations --state ...`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from roadstead.aws import calls, registry
from roadstead.aws.authorization import resources
from roadstead.core import errors
from roadstead.serve import main
from roadstead.store import keys, writes

takes: Callable[[], Awaitable[object]] = functools.partial(asyncio.sleep, 0.3)
"""What the operation that takes its time waits for. Tests set another."""
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def cluster_key(call: calls.Call, name: str) -> keys.Key:
    return keys.Key(call.account, call.region, "cluster", name)


@calls.operation(
    "eks", "CreateCluster", again="DescribeCluster", errors="ResourceInUseException", on=resources.ANYTHING
)
async def create_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    body = msgspec.json.encode({"made": call.request_id})
    await call.store.put(cluster_key(call, asked["name"]), body, writes.Absent())
    return {"cluster": {"name": asked["name"], "createdAt": call.now, "id": call.request_id}}


@calls.operation("eks", "DescribeCluster", on=resources.ANYTHING)
async def describe_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    state = await call.store.get(cluster_key(call, asked["name"]))
    if state is None:
        raise errors.NotFound(f"No cluster found for name: {asked['name']}.", clusterName=asked["name"])
    made: dict[str, str] = msgspec.json.decode(state.desired.body)
    return {"cluster": {"name": asked["name"], "id": made["made"], "status": "ACTIVE", "createdAt": LONG_AGO}}


@calls.operation("eks", "ListClusters", on=resources.ANYTHING)
async def list_clusters(call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    """Its whole list: the registry cuts the pages."""
    page = await call.store.list(keys.Prefix(call.account, call.region, "cluster"), limit=1000)
    return {"clusters": [state.key.names[0] for state in page.items]}


@calls.operation("eks", "DeleteCluster", on=resources.ANYTHING)
async def delete_cluster(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await call.store.delete(cluster_key(call, asked["name"]), writes.Present())
    return {"cluster": {"name": asked["name"], "status": "DELETING"}}


@calls.operation("eks", "ListNodegroups", on=resources.ANYTHING)
async def list_nodegroups(_call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Pages by itself: its token is the next number."""
    first, limit = int(asked.get("nextToken", "0")), asked.get("maxResults", 100)
    names = [f"group-{number}" for number in range(7)]
    more = {"nextToken": str(first + limit)} if first + limit < len(names) else {}
    return {"nodegroups": names[first : first + limit], **more}


@calls.operation("eks", "ListFargateProfiles", answers="empty", on=resources.ANYTHING)
async def list_fargate_profiles(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    return {"fargateProfileNames": []}


@calls.operation("eks", "DescribeAddon", on=resources.ANYTHING)
async def describe_addon(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    raise RuntimeError("the inside of it: /secret/path")


@calls.operation("eks", "DescribeUpdate", on=resources.ANYTHING)
async def describe_update(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    raise errors.Failed("the disk is full", command="/secret/command")


@calls.operation("eks", "DescribeInsight", on=resources.ANYTHING)
async def describe_insight(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    raise calls.OperationRefused("InvalidRequestException", "Not this one.")


@calls.operation("eks", "ListInsights", on=resources.ANYTHING)
async def list_insights(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    raise calls.OperationRefused("NoSuchCodeException", "A slip of ours.")


@calls.operation("eks", "DescribeAddonVersions", on=resources.ANYTHING)
async def describe_addon_versions(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    """Takes its time."""
    await takes()
    return {"addons": []}


@calls.operation("eks", "DescribeClusterVersions", on=resources.ANYTHING)
async def describe_cluster_versions(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    """More than any buffer between two processes holds."""
    return {"clusterVersions": [{"clusterVersion": f"1.{number}" + "x" * 200_000} for number in range(100)]}


@calls.operation("iam", "ListUsers", on=resources.ANYTHING)
async def list_users(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    def user(number: int) -> dict[str, Any]:
        name = f"user-{number}"
        arn = f"arn:aws:iam::123456789012:user/{name}"
        return {"UserName": name, "Path": "/", "UserId": f"AIDA{number:017}", "Arn": arn, "CreateDate": LONG_AGO}

    return {"Users": [user(number) for number in range(5)], "IsTruncated": False}


@calls.operation("iam", "GetRole", on=resources.ANYTHING)
async def get_role(_call: calls.Call, asked: calls.Asked) -> calls.Answer:
    raise errors.NotFound(f"The role with name {asked['RoleName']} cannot be found.")


@calls.operation("sts", "GetCallerIdentity", on=resources.ANYTHING)
async def get_caller_identity(call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    return {"UserId": call.caller.user_id, "Account": call.account, "Arn": call.caller.arn}


@calls.operation("ec2", "CreateVpc", on=resources.ANYTHING)
async def create_vpc(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    id = f"vpc-{call.request_id.replace('-', '')[:17]}"
    await call.store.put(keys.Key(call.account, call.region, "vpc", id), b"{}", writes.Absent())
    return {"Vpc": {"VpcId": id, "CidrBlock": asked["CidrBlock"]}}


@calls.operation("ec2", "CreateSubnet", on=resources.ANYTHING)
async def create_subnet(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    id = f"subnet-{call.request_id.replace('-', '')[:17]}"
    await call.store.put(keys.Key(call.account, call.region, "subnet", id), b"{}", writes.Absent())
    return {"Subnet": {"SubnetId": id, "VpcId": asked["VpcId"]}}


@calls.operation("ec2", "CreateNatGateway", on=resources.ANYTHING)
async def create_nat_gateway(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Has a token in its model, and nothing that could answer for it again."""
    id = f"nat-{call.request_id.replace('-', '')[:17]}"
    await call.store.put(keys.Key(call.account, call.region, "nat", id), b"{}", writes.Absent())
    return {"NatGateway": {"NatGatewayId": id, "SubnetId": asked.get("SubnetId", "")}}


@calls.operation("ec2", "DescribeVpcs", on=resources.ANYTHING)
async def describe_vpcs(call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    page = await call.store.list(keys.Prefix(call.account, call.region, "vpc"), limit=1000)
    return {"Vpcs": [{"VpcId": state.key.names[0]} for state in page.items]}


@calls.operation("logs", "DescribeLogGroups", on=resources.ANYTHING)
async def describe_log_groups(_call: calls.Call, _asked: calls.Asked) -> calls.Answer:
    return {"logGroups": []}


if __name__ == "__main__":
    sys.exit(main.main(services=(registry.Service((sys.modules[__name__],)),)))
