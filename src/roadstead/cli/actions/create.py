"""`create cluster`: fill the ClusterConfig; print it, or make it by the AWS API like any customer could.

What is there already by name or tag is taken, so a command that was cut off may be given again.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import click
from msgspec import structs

from roadstead.cli import asked, config, defaults, documents, service, show, validity
from roadstead.cli.actions import bodies, get, parts, reach, waiting
from roadstead.core import errors
from roadstead.wire import client

_SHIPS = ("barque", "brig", "clipper", "cutter", "dhow", "galleon", "ketch", "lugger", "schooner", "sloop", "yawl")
_MOODS = ("bold", "brisk", "calm", "eager", "fair", "gentle", "keen", "merry", "proud", "steady", "swift", "trim")


def cluster(call: asked.Asked) -> None:
    wanted = filled(call, made_up(reach.region(call)))
    if call.truth("dry-run"):
        click.echo(documents.yaml_text(documents.tree(wanted)), nl=False)
        return
    log, deadline = reach.log(call), reach.deadline(call)
    with reach.connection(call) as api:
        make(api, wanted, log, deadline)


def made_up(region: str) -> defaults.Names:
    name = f"{secrets.choice(_MOODS)}-{secrets.choice(_SHIPS)}-{int(time.time())}"
    return defaults.Names(region, name, f"ng-{secrets.token_hex(4)}")


def filled(call: asked.Asked, names: defaults.Names) -> config.ClusterConfig:
    """The whole ClusterConfig of a call, from flags or from a file, with its defaults. Raises Invalid."""
    given = call.file if call.file is not None else from_flags(call)
    if call.truth("without-nodegroup"):
        given = structs.replace(given, managed_node_groups=None)
    for index, group in enumerate((given.managed_node_groups or ()) if call.file is not None else ()):
        if not group.name:
            raise errors.Invalid(f"managedNodeGroups[{index}].name must be set")
    whole = defaults.filled(given, names)
    validity.check(whole, documents.tree(whole))
    return whole


def from_flags(call: asked.Asked) -> config.ClusterConfig:
    """What the flags and the name argument say. Raises Invalid, in eksctl's words."""
    if not call.truth("managed"):
        raise errors.Invalid("--managed=false is not supported: Roadstead has managed nodegroups only")
    zones, node_zones = call.texts("zones"), call.texts("node-zones")
    if node_zones and not set(node_zones) <= set(zones):
        raise errors.Invalid(
            "validation for --zones and --node-zones failed: zones must be defined if node-zones is provided and "
            "must be a superset of node-zones"
        )
    if zones and (call.texts("vpc-private-subnets") or call.texts("vpc-public-subnets")):
        raise errors.Invalid("--vpc-private-subnets/--vpc-public-subnets and --zones cannot be used at the same time")
    given = asked.filled(call)
    metadata = given.metadata or config.Metadata()
    return structs.replace(
        given,
        metadata=structs.replace(metadata, name=metadata.name or call.name),
        managed_node_groups=given.managed_node_groups or (config.ManagedNodeGroup(),),
    )


def make(api: service.Api, wanted: config.ClusterConfig, log: show.Log, deadline: float) -> None:
    """The parts, the cluster, its nodegroups; waits for each to be ACTIVE. Raises Failed or Busy."""
    metadata = wanted.metadata or config.Metadata()
    name = metadata.name or ""
    log.line(f"using region {metadata.region}")
    log.line(f"using Kubernetes version {metadata.version}")
    log.line(f'creating EKS cluster "{name}" in "{metadata.region}" region')
    try:
        subnets = _subnets(api, wanted, log)
        iam = wanted.iam or config.Iam()
        role = iam.service_role_arn or _role(api, parts.cluster_role(name), metadata, log)
        log.line(f'building cluster "{name}"')
        api.call("eks", "CreateCluster", **bodies.cluster(wanted, role, list(subnets)))
        log.line(f'waiting for cluster "{name}" to become active')
        waiting.until(lambda: waiting.active(api, "DescribeCluster", name=name), f'cluster "{name}"', deadline)
        groups = wanted.managed_node_groups or ()
        for group in groups:
            node_role = (group.iam and group.iam.instance_role_arn) or _role(api, parts.node_role(name), metadata, log)
            log.line(f'building nodegroup "{group.name}"')
            body = bodies.nodegroup(metadata, group, node_role, parts.chosen(group, subnets))
            api.call("eks", "CreateNodegroup", **body)
        for group in groups:
            log.line(f'waiting for nodegroup "{group.name}" to become active')
            named = {"clusterName": name, "nodegroupName": group.name or ""}
            waiting.until(
                lambda named=named: waiting.active(api, "DescribeNodegroup", **named),  # type: ignore[misc]
                f'nodegroup "{group.name}"',
                deadline,
            )
            log.line(f'created 1 managed nodegroup(s) in cluster "{name}"', "✔")
    except client.ServiceError as error:
        raise get.failed(f'failed to create cluster "{name}"', error) from error
    log.line(f'EKS cluster "{name}" in "{metadata.region}" region is ready', "✔")


def _subnets(api: service.Api, wanted: config.ClusterConfig, log: show.Log) -> dict[str, tuple[str, bool]]:
    """Zone and public-or-not of each subnet by its id: those given, those there from before, or new ones."""
    vpc = wanted.vpc or config.Vpc()
    if vpc.subnets is not None:
        return _given_subnets(api, vpc.subnets)
    metadata = wanted.metadata or config.Metadata()
    name, given = metadata.name or "", metadata.tags or {}
    mine = [{"Name": f"tag:{parts.OWNER}", "Values": [name]}]
    vpcs = [each["VpcId"] for each in api.call("ec2", "DescribeVpcs", Filters=mine).get("Vpcs", [])]
    if not vpcs:
        log.line(f"creating a VPC with {vpc.cidr}")
        made = api.call(
            "ec2",
            "CreateVpc",
            CidrBlock=vpc.cidr,
            TagSpecifications=bodies.ec2_tags("vpc", parts.tags(name, given, Name=f"{parts.stack(name)}/VPC")),
        )
        vpcs = [made["Vpc"]["VpcId"]]
    there = {each["CidrBlock"]: each["SubnetId"] for each in _described(api, Filters=mine)}
    found: dict[str, tuple[str, bool]] = {}
    for subnet in parts.subnets(name, vpc.cidr or "", wanted.availability_zones or ()):
        id = there.get(subnet.cidr)
        if id is None:
            log.line(f"creating subnet {subnet.cidr} in {subnet.zone} ({'public' if subnet.public else 'private'})")
            tags = parts.tags(name, given, Name=subnet.name, **{subnet.role: "1"})
            id = api.call(
                "ec2",
                "CreateSubnet",
                VpcId=vpcs[0],
                CidrBlock=subnet.cidr,
                AvailabilityZone=subnet.zone,
                TagSpecifications=bodies.ec2_tags("subnet", tags),
            )["Subnet"]["SubnetId"]
        found[id] = (subnet.zone, subnet.public)
    return found


def _given_subnets(api: service.Api, given: config.Subnets) -> dict[str, tuple[str, bool]]:
    public = {each.id for each in (given.public or {}).values()}
    ids = public | {each.id for each in (given.private or {}).values()}
    if None in ids or not ids:
        raise errors.Invalid("vpc.subnets: each subnet needs the id of one that is there")
    return {
        each["SubnetId"]: (each["AvailabilityZone"], each["SubnetId"] in public)
        for each in _described(api, SubnetIds=sorted(id for id in ids if id))
    }


def _described(api: service.Api, **values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.call("ec2", "DescribeSubnets", **values).get("Subnets", [])
    return found


def _role(api: service.Api, role: parts.Role, metadata: config.Metadata, log: show.Log) -> str:
    """The ARN of a role, made when it is not there. Policies are attached again: that changes nothing."""
    try:
        arn: str = api.call("iam", "GetRole", RoleName=role.name)["Role"]["Arn"]
    except client.ServiceError as error:
        if error.fault.code not in ("NoSuchEntity", "NoSuchEntityException"):
            raise
        log.line(f'creating role "{role.name}"')
        tags = parts.tags(metadata.name or "", metadata.tags or {})
        arn = api.call(
            "iam",
            "CreateRole",
            RoleName=role.name,
            AssumeRolePolicyDocument=role.trust,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )["Role"]["Arn"]
    for policy in role.policies:
        api.call("iam", "AttachRolePolicy", RoleName=role.name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    return arn
