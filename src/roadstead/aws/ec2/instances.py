"""Instances: the nodes of nodegroups, as they were seen last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadstead.aws import calls, kept
from roadstead.aws.ec2 import filters
from roadstead.clusters import nodegroups, observed, views
from roadstead.clusters.hands import names
from roadstead.network import sizes
from roadstead.network import views as network
from roadstead.store import facts, keys

_STATES: Mapping[observed.Phase, tuple[int, str]] = {
    observed.Phase.MAKING: (0, "pending"),
    observed.Phase.READY: (16, "running"),
    observed.Phase.FAILING: (16, "running"),
    observed.Phase.REFUSED: (0, "pending"),
    observed.Phase.ABSENT: (48, "terminated"),
}
"""EC2's codes and names of states."""
_FILTERS: dict[str, filters.Values] = {
    "instance-id": filters.plain("InstanceId"),
    "instance-type": filters.plain("InstanceType"),
    "instance-state-name": lambda shown: [shown["State"]["Name"]],
    "instance-state-code": lambda shown: [str(shown["State"]["Code"])],
    "availability-zone": lambda shown: [shown["Placement"]["AvailabilityZone"]],
    "subnet-id": filters.plain("SubnetId"),
    "vpc-id": filters.plain("VpcId"),
    "private-ip-address": filters.plain("PrivateIpAddress"),
    "private-dns-name": filters.plain("PrivateDnsName"),
    "architecture": filters.plain("Architecture"),
}


@calls.operation("ec2", "DescribeInstances")
async def describe_instances(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Each instance is a reservation of its own."""
    filters.not_dry(asked)
    states = await kept.everything(call.store, keys.Prefix(call.account, call.region, nodegroups.KIND))
    shown = [instance for state in states for instance in instances(state)]
    ids = asked.get("InstanceIds")
    chosen = filters.named(shown, "InstanceId", ids, code="InvalidInstanceID.NotFound", what="instance")
    fitting = filters.applied(chosen, asked, _FILTERS)
    return {"Reservations": [_reservation(call.account, instance) for instance in fitting]}


def instances(state: facts.State) -> list[dict[str, Any]]:
    """The model's Instance of each node of a nodegroup that was seen."""
    seen = views.seen(state)
    wanted = nodegroups.read(state.desired.body)
    return [_instance(state, wanted, part) for part in seen.parts] if seen else []


def _instance(state: facts.State, wanted: nodegroups.Nodegroup, part: observed.Part) -> dict[str, Any]:
    subnet, zone = nodegroups.subnet_of(wanted, part.name)
    size = sizes.find(wanted.types[0])
    code, name = _STATES[part.phase]
    shown: dict[str, Any] = {
        "InstanceId": names.instance(state.key, state.desired.created, part.name),
        "InstanceType": size.name,
        "State": {"Code": code, "Name": name},
        "Placement": {"AvailabilityZone": zone, "Tenancy": "default"},
        "SubnetId": subnet,
        "VpcId": wanted.vpc,
        "Architecture": size.architecture,
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "RootDeviceType": "ebs",
        "LaunchTime": views.moment(part.since or wanted.created_at),
        "Tags": network.tags(
            {
                "eks:cluster-name": wanted.cluster,
                "eks:nodegroup-name": wanted.name,
                f"kubernetes.io/cluster/{wanted.cluster}": "owned",
            }
        ),
    }
    if part.address:
        shown["PrivateIpAddress"] = part.address
        shown["PrivateDnsName"] = names.node(part.address, state.key.region)
    return shown


def _reservation(account: str, instance: Mapping[str, Any]) -> dict[str, Any]:
    id = f"r-{instance['InstanceId'].removeprefix('i-')}"
    return {"ReservationId": id, "OwnerId": account, "Groups": [], "Instances": [instance]}
