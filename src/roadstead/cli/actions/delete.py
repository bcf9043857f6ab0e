"""`delete cluster|nodegroup`: ask for deletion, and take back what `create cluster` made for the cluster."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from roadstead.cli import asked, service, show
from roadstead.cli.actions import get, parts, reach, waiting
from roadstead.core import errors
from roadstead.wire import client


def nodegroups(call: asked.Asked) -> None:
    of = call.file_name or call.text("cluster")
    if not of:
        raise errors.Invalid("--cluster must be set")
    names = wanted(call)
    log = reach.log(call)
    # eksctl's rule: with a file the plan is shown, unless it is approved.
    if call.file is not None and not call.truth("approve"):
        log.line(f'(plan) would delete {len(names)} nodegroup(s) from cluster "{of}": {", ".join(names) or "none"}')
        log.line("no changes were applied, run again with '--approve' to apply the changes", "!")
        return
    with reach.connection(call) as api:
        for name in names:
            log.line(f'deleting nodegroup "{name}" from cluster "{of}"')
            _delete_nodegroup(api, of, name)
        if call.truth("wait"):
            _wait_nodegroups(api, of, names, reach.deadline(call))
    log.line(f'deleted {len(names)} nodegroup(s) from cluster "{of}"', "✔")


def wanted(call: asked.Asked) -> list[str]:
    """The names to delete: the one given, or the file's that match the globs. Raises Invalid."""
    name = call.text("name") or call.name
    if call.file is None:
        if not name:
            raise errors.Invalid("--name must be set")
        return [name]
    names = [group.name for group in call.file.managed_node_groups or () if group.name]
    include = (*call.texts("include"), *call.texts("only"))
    exclude = call.texts("exclude")
    return [
        each
        for each in names
        if (not include or any(fnmatch.fnmatchcase(each, glob) for glob in include))
        and not any(fnmatch.fnmatchcase(each, glob) for glob in exclude)
    ]


def cluster(call: asked.Asked) -> None:
    name = reach.cluster(call)
    log, deadline = reach.log(call), reach.deadline(call)
    with reach.connection(call) as api:
        made = see(api, name)
        try:
            found = get.cluster(api, name)
        except errors.NotFound as error:
            # What an earlier delete that was cut off has left is still taken back.
            if not (call.truth("force") or made.there):
                raise
            log.line(f"{error.message}; going on with what was made for it", "!")
        else:
            if found.get("status") != "DELETING":
                _delete_cluster(api, name, log, deadline)
        if made.there or call.truth("wait"):
            log.line(f'waiting for deletion of cluster "{name}"')
            waiting.until(
                lambda: waiting.gone(api, "DescribeCluster", name=name), f'deletion of cluster "{name}"', deadline
            )
        take_back(api, made, log)
    log.line("all cluster resources were deleted", "✔")


def _delete_cluster(api: service.Api, name: str, log: show.Log, deadline: float) -> None:
    log.line(f'deleting EKS cluster "{name}"')
    groups = {each["nodegroupName"]: each.get("status") for each in get.described(api, name, None)}
    for group, status in groups.items():
        if status != "DELETING":
            log.line(f'deleting nodegroup "{group}"')
            _delete_nodegroup(api, name, group)
    _wait_nodegroups(api, name, list(groups), deadline)
    try:
        api.call("eks", "DeleteCluster", name=name)
    except client.ServiceError as error:
        raise get.failed(f'unable to delete cluster "{name}"', error) from error


def _delete_nodegroup(api: service.Api, of: str, name: str) -> None:
    try:
        api.call("eks", "DeleteNodegroup", clusterName=of, nodegroupName=name)
    except client.ServiceError as error:
        raise get.failed(f'unable to delete nodegroup "{name}"', error) from error


def _wait_nodegroups(api: service.Api, of: str, names: list[str], deadline: float) -> None:
    for name in names:
        waiting.until(
            lambda name=name: waiting.gone(api, "DescribeNodegroup", clusterName=of, nodegroupName=name),  # type: ignore[misc]
            f'deletion of nodegroup "{name}"',
            deadline,
        )


@dataclass(frozen=True)
class Made:
    """What was made for a cluster, as far as it is there."""

    vpcs: list[str]
    subnets: list[str]
    roles: list[parts.Role]

    @property
    def there(self) -> bool:
        return bool(self.vpcs or self.subnets or self.roles)


def see(api: service.Api, cluster: str) -> Made:
    mine = [{"Name": f"tag:{parts.OWNER}", "Values": [cluster]}]
    return Made(
        [each["VpcId"] for each in api.call("ec2", "DescribeVpcs", Filters=mine).get("Vpcs", [])],
        [each["SubnetId"] for each in api.call("ec2", "DescribeSubnets", Filters=mine).get("Subnets", [])],
        [role for role in (parts.cluster_role(cluster), parts.node_role(cluster)) if _role_is_there(api, role.name)],
    )


def _role_is_there(api: service.Api, name: str) -> bool:
    try:
        api.call("iam", "GetRole", RoleName=name)
    except client.ServiceError as error:
        if error.fault.code in ("NoSuchEntity", "NoSuchEntityException"):
            return False
        raise
    return True


def take_back(api: service.Api, made: Made, log: show.Log) -> None:
    for subnet in made.subnets:
        log.line(f"deleting subnet {subnet}")
        api.call("ec2", "DeleteSubnet", SubnetId=subnet)
    for vpc in made.vpcs:
        log.line(f"deleting VPC {vpc}")
        api.call("ec2", "DeleteVpc", VpcId=vpc)
    for role in made.roles:
        log.line(f'deleting role "{role.name}"')
        attached = api.call("iam", "ListAttachedRolePolicies", RoleName=role.name).get("AttachedPolicies", [])
        for policy in attached:
            api.call("iam", "DetachRolePolicy", RoleName=role.name, PolicyArn=policy["PolicyArn"])
        api.call("iam", "DeleteRole", RoleName=role.name)
