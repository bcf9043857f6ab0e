"""Instances: the nodes of nodegroups, as they were seen last."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, instance_filters
from roadstead.aws.ec2.vpc import interfaces, lookups, resources
from roadstead.clusters import nodegroups, observed, views
from roadstead.clusters.allocation import names
from roadstead.contract import naming
from roadstead.network import regions, sizes
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
_WELL: Mapping[observed.Phase, tuple[str, str]] = {
    observed.Phase.MAKING: ("initializing", "initializing"),
    observed.Phase.READY: ("ok", "passed"),
    observed.Phase.FAILING: ("impaired", "failed"),
}
"""EC2's words for how an instance is, and for whether it is reached."""
_STATUS_FILTERS: dict[str, filters.Values] = {
    "availability-zone": filters.plain("AvailabilityZone"),
    "instance-state-code": filters.at("InstanceState", "Code"),
    "instance-state-name": filters.at("InstanceState", "Name"),
    "instance-status.status": filters.at("InstanceStatus", "Status"),
    "instance-status.reachability": filters.at("InstanceStatus", "Details", "Status"),
    "system-status.status": filters.at("SystemStatus", "Status"),
    "system-status.reachability": filters.at("SystemStatus", "Details", "Status"),
    **filters.nothing(
        """application-status.status attached-ebs-status.status availability-zone-id event.code event.description
        event.instance-event-id event.not-after event.not-before event.not-before-deadline operator.managed
        operator.principal"""
    ),
}


@calls.operation("ec2", "DescribeInstances", on=resources.ANYTHING)
async def describe_instances(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Each instance is a reservation of its own."""
    filters.not_dry(asked)
    ids = asked.get("InstanceIds")
    chosen = filters.named(await shown(call), "InstanceId", ids, code="InvalidInstanceID.NotFound", what="instance")
    within = [{**instance, **_of_reservation(call.account, instance)} for instance in chosen]
    fitting = filters.applied(within, asked, instance_filters.FILTERS)
    return {"Reservations": [_reservation(instance) for instance in fitting]}


@calls.operation("ec2", "DescribeInstanceStatus", on=resources.ANYTHING)
async def describe_instance_status(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Of instances that run, unless all are asked for: well when their node is."""
    filters.not_dry(asked)
    ids, whole = asked.get("InstanceIds"), asked.get("IncludeAllInstances")
    statuses = [_status(instance, phase) for instance, phase in await _all(call)]
    chosen = filters.named(statuses, "InstanceId", ids, code="InvalidInstanceID.NotFound", what="instance")
    chosen = [status for status in chosen if whole or status["InstanceState"]["Name"] == "running"]
    return {"InstanceStatuses": filters.applied(chosen, asked, _STATUS_FILTERS)}


async def shown(call: calls.Call) -> list[dict[str, Any]]:
    """The model's Instance of each node that was seen."""
    return [instance for instance, _ in await _all(call)]


async def _all(call: calls.Call) -> list[tuple[dict[str, Any], observed.Phase]]:
    """The model's Instance of each node that was seen, and how it is."""
    there = await lookups.region(call)
    groups = {state.key.names[0]: there.group_of(state) for state in there.clusters}
    attached: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for interface in await interfaces.every(call, there):
        attached[interface["Attachment"].get("InstanceId", "")].append(interfaces.of_instance(interface))
    pairs: list[tuple[dict[str, Any], observed.Phase]] = []
    for state in await store_access.everything(call.store, keys.Prefix(call.account, call.region, nodegroups.KIND)):
        seen = views.seen(state)
        wanted = nodegroups.read(state.desired.body)
        for part in seen.parts if seen else ():
            group = groups.get(wanted.cluster)
            within = [group.identifier] if group is not None else []
            instance = {**_instance(state, wanted, part), "SecurityGroups": within}
            pairs.append(({**instance, "NetworkInterfaces": attached[instance["InstanceId"]]}, part.phase))
    return pairs


def _status(instance: Mapping[str, Any], phase: observed.Phase) -> dict[str, Any]:
    """The model's InstanceStatus."""
    status, passed = _WELL.get(phase, ("not-applicable", "insufficient-data"))
    said = {"Status": status, "Details": [{"Name": "reachability", "Status": passed}]}
    return {
        "InstanceId": instance["InstanceId"],
        "AvailabilityZone": instance["Placement"]["AvailabilityZone"],
        "InstanceState": instance["State"],
        "InstanceStatus": said,
        "SystemStatus": said,
    }


def _instance(state: facts.State, wanted: nodegroups.Nodegroup, part: observed.Part) -> dict[str, Any]:
    subnet, zone = nodegroups.subnet_of(wanted, part.name)
    size = sizes.find(wanted.types[0])
    code, name = _STATES[part.phase]
    shown: dict[str, Any] = {
        "InstanceId": names.instance(state.key, state.desired.created, part.name),
        "InstanceType": size.name,
        "State": {"Code": code, "Name": name},
        "AmiLaunchIndex": 0,
        "Placement": {
            "AvailabilityZone": zone,
            "AvailabilityZoneId": next(each.id for each in regions.zones(state.key.region) if each.name == zone),
            "GroupName": "",
            "Tenancy": "default",
        },
        "SubnetId": subnet,
        "VpcId": wanted.vpc,
        "Architecture": size.architecture,
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [],
        "EbsOptimized": False,
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "Monitoring": {"State": "disabled"},
        "ProductCodes": [],
        "PublicDnsName": "",
        "SourceDestCheck": True,
        "StateTransitionReason": "",
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
        shown["PrivateDnsName"] = naming.node(part.address, state.key.region)
    return shown


def _of_reservation(account: str, instance: Mapping[str, Any]) -> dict[str, str]:
    """What is shown of the reservation, and what instances are filtered by all the same."""
    return {"ReservationId": f"r-{instance['InstanceId'].removeprefix('i-')}", "OwnerId": account}


def _reservation(instance: Mapping[str, Any]) -> dict[str, Any]:
    """The model's Reservation, of an instance with `_of_reservation`."""
    outer = ("ReservationId", "OwnerId")
    inner = {member: value for member, value in instance.items() if member not in outer}
    return {**{member: instance[member] for member in outer}, "Groups": [], "Instances": [inner]}
