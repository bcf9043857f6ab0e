"""`delete cluster|nodegroup`: ask for deletion, and take back what `create cluster` made for the cluster.

From any state: what is gone already is as good as deleted, and what an earlier call has begun is awaited.
"""

from __future__ import annotations

import functools
import time
from typing import Any

from roadstead.cli import asked, service
from roadstead.cli.actions import access, get, reach
from roadstead.cli.actions import nodegroups as groups
from roadstead.cli.infrastructure import lookups, parts, together, unmake
from roadstead.cli.live import follow, progress
from roadstead.core import errors
from roadstead.wire import client


def nodegroups(call: asked.FlagValues) -> None:
    """`delete nodegroup`. With a file and without `--approve` it says what it would do, and does nothing."""
    of = call.file_name or call.text("cluster")
    if not of:
        raise errors.Invalid("--cluster must be set")
    names = wanted(call)
    stage = reach.stage(call, "nodes")
    log = stage.log
    # eksctl's rule: with a file the plan is shown, unless it is approved.
    if call.file is not None and not call.truth("approve"):
        log.line(f'(plan) would delete {len(names)} nodegroup(s) from cluster "{of}": {", ".join(names) or "none"}')
        log.line("no changes were applied, run again with '--approve' to apply the changes", "!")
        return
    with reach.connection(call) as api, stage.screen:
        stage.goes_on = _goes_on(of, api.region)
        for name in names:
            log.line(f'deleting nodegroup "{name}" from cluster "{of}"')
        together.each(lambda name: _delete_nodegroup(api, of, name, drain=call.truth("drain")), names)
        if call.truth("wait"):
            for name in names:
                log.line(f'waiting for deletion of nodegroup "{name}"')
            stage.begin("nodes")
            stage.until(
                functools.partial(follow.look, api, of, names),
                _without,
                lambda seen: not seen.nodegroups,
                f"deletion of nodegroup(s) {', '.join(names)}",
            )
    log.line(f'deleted {len(names)} nodegroup(s) from cluster "{of}"', "✔")


def _goes_on(of: str, region: str) -> str:
    return f"the deletion goes on: {groups.watch_hint(of, region)}"


def _without(shown: progress.CreationProgress, seen: progress.ProgressSeen, now: float) -> progress.CreationProgress:
    return shown if seen.nodegroups else shown.end("nodes", now)


def wanted(call: asked.FlagValues) -> list[str]:
    """The names to delete: the one given, or the file's that match the globs. Raises Invalid."""
    name = call.text("name") or call.name
    if call.file is None:
        if not name:
            raise errors.Invalid("--name must be set")
        return [name]
    names = [group.name for group in call.file.managed_node_groups or () if group.name]
    include = (*call.texts("include"), *call.texts("only"))
    return [each for each in names if groups.matches(each, include, call.texts("exclude"))]


def cluster(call: asked.FlagValues) -> None:
    """`delete cluster`: the cluster with its nodegroups, then what was made for it, then the kubeconfig's entries."""
    name = reach.cluster(call)
    stage = reach.stage(call, *progress.DELETE)
    with reach.connection(call) as api, stage.screen:
        stage.goes_on = _goes_on(name, api.region)
        try:
            _cluster(api, stage, name, force=call.truth("force"), wait=call.truth("wait"))
        except client.ServiceError as error:
            raise get.failed(f'unable to delete cluster "{name}"', error) from error
        except KeyboardInterrupt:
            stage.screen.close()
            stage.log.line("interrupted: what was asked to be deleted goes on being deleted", "!")
            stage.log.line(groups.watch_hint(name, api.region))
            again = f"roadstead delete cluster --name={name} --region={api.region}"
            stage.log.line(f"the same command takes back what is left: {again}")
            raise
    stage.log.line("all cluster resources were deleted", "✔")


def _cluster(api: service.Api, stage: follow.Stage, name: str, *, force: bool, wait: bool) -> None:
    asks: tuple[Any, ...] = (
        functools.partial(lookups.cluster, api, name),
        functools.partial(lookups.infrastructure, api, name),
    )
    there, infrastructure = together.together(*asks)
    servers = [there["endpoint"]] if there is not None and there.get("endpoint") else []
    if there is None:
        # What an earlier call that was cut off has left is still taken back.
        if not (force or infrastructure.there):
            get.cluster(api, name)
        stage.log.line(f'there is no cluster "{name}"; going on with what was made for it', "!")
        stage.show(progress.deleting(stage.shown, progress.ProgressSeen(), time.monotonic()))
    else:
        stage.log.line(f'deleting EKS cluster "{name}"')
        stage.begin("nodes")
        _delete_nodes(api, stage, name)
        _delete_cluster(api, stage, name, wait=wait or infrastructure.there)
    stage.begin("network", "roles", "kubeconfig")
    if infrastructure.there:
        vpcs = "".join(f" of {id}" for id in infrastructure.vpcs)
        log_line = f"deleting {len(infrastructure.subnets)} subnet(s){vpcs}, {len(infrastructure.vpcs)} VPC(s)"
        stage.log.line(f"{log_line}, {len(infrastructure.roles)} role(s)")
    unmake.infrastructure(api, infrastructure)
    stage.end("network")
    stage.end("roles")
    if there is not None:
        _tell_of_roles(stage, name, there)
    _kubeconfig(api, stage, name, servers)


def _tell_of_roles(stage: follow.Stage, name: str, there: dict[str, Any]) -> None:
    """Roles that cannot be told from those of another region's cluster are not deleted."""
    of_cluster, of_nodes = parts.unplaced_roles(name)
    if there.get("roleArn", "").rpartition("/")[2] == of_cluster:
        stage.log.line(
            f'the roles "{of_cluster}" and "{of_nodes}" of an earlier release stay: they name no region, and another '
            f"region's \"{name}\" may have them; delete them by 'aws iam' when none has",
            "!",
        )


def _kubeconfig(api: service.Api, stage: follow.Stage, name: str, servers: list[str]) -> None:
    """A kubeconfig that cannot be changed is told of; the cluster is gone all the same."""
    try:
        changed = access.take_back(api.region, name, servers)
    except errors.Error as error:
        stage.log.line(f"the cluster's entries are still in the kubeconfig: {error.message}", "!")
        stage.fail("kubeconfig", "not changed")
        return
    for path in changed:
        stage.log.line(f'kubeconfig "{path}": the entries of the cluster have been removed', "✔")
    stage.end("kubeconfig")


def _delete_nodes(api: service.Api, stage: follow.Stage, name: str) -> None:
    """All nodegroups at once, so that none is drained into another; returns when there are none."""
    seen = follow.look_anyway(api, name)
    doomed = [group for group, status in seen.nodegroups.items() if status != "DELETING"]
    for group in doomed:
        stage.log.line(f'deleting nodegroup "{group}"')
    together.each(lambda group: _delete_nodegroup(api, name, group), doomed)
    for group in seen.nodegroups:
        stage.log.line(f'waiting for deletion of nodegroup "{group}"')
    stage.until(
        functools.partial(follow.look_anyway, api, name),
        progress.deleting,
        lambda seen: not seen.nodegroups,
        f'deletion of the nodegroups of cluster "{name}": {", ".join(seen.nodegroups)}',
    )


def _delete_cluster(api: service.Api, stage: follow.Stage, name: str, *, wait: bool) -> None:
    stage.begin("control plane")
    while True:
        try:
            api.call("eks", "DeleteCluster", name=name)
            break
        except client.ServiceError as error:
            if lookups.is_missing(error):
                return
            if error.fault.code != "ResourceInUseException" or time.monotonic() >= stage.deadline:
                raise
            # Somebody has made a nodegroup in the meantime.
            if not _nodegroup_came(api, name):
                raise
            _delete_nodes(api, stage, name)
    if not wait:
        return
    stage.log.line(f'waiting for deletion of cluster "{name}"')
    stage.until(
        functools.partial(follow.look_anyway, api, name),
        progress.deleting,
        lambda seen: seen.cluster is None,
        f'deletion of cluster "{name}"',
    )


def _nodegroup_came(api: service.Api, name: str) -> bool:
    return bool(follow.look_anyway(api, name).nodegroups)


def _delete_nodegroup(api: service.Api, of: str, name: str, *, drain: bool = True) -> None:
    try:
        if not drain:
            there = api.call("eks", "DescribeNodegroup", clusterName=of, nodegroupName=name)["nodegroup"]
            api.call("eks", "TagResource", resourceArn=there["nodegroupArn"], tags={parts.DRAIN: "false"})
        api.call("eks", "DeleteNodegroup", clusterName=of, nodegroupName=name)
    except client.ServiceError as error:
        raise get.failed(f'unable to delete nodegroup "{name}"', error) from error
