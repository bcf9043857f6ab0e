"""`scale nodegroup`: change the sizes of one nodegroup, or of those that a config file has."""

from __future__ import annotations

from roadstead.cli import asked, config, service, show, validity
from roadstead.cli.actions import reach, waiting
from roadstead.core import errors
from roadstead.wire import client


def nodegroups(call: asked.FlagValues) -> None:
    """`scale nodegroup`. All sizes are checked before the first is asked for."""
    of = call.file_name or call.text("cluster")
    if not of:
        raise errors.Invalid("--cluster must be set")
    groups = wanted(call)
    for group in groups:
        validity.check_sizes(group.min_size, group.desired_capacity, group.max_size)
    with reach.connection(call) as api:
        for group in groups:
            scale(api, of, group, reach.log(call), reach.deadline(call) if call.truth("wait") else None)


def wanted(call: asked.FlagValues) -> list[config.ManagedNodeGroup]:
    """The nodegroups to scale, with the sizes that were asked for. Raises Invalid."""
    name = call.text("name") or call.name
    if call.file is None:
        if not name:
            raise errors.Invalid("a config file is required when --name is not set or when scaling multiple nodegroups")
        asks = [call.number(flag) for flag in ("nodes-min", "nodes", "nodes-max")]
        if asks == [None, None, None]:
            raise errors.Invalid("at least one of minimum, maximum and desired nodes must be set")
        least, nodes, most = asks
        return [config.ManagedNodeGroup(name=name, min_size=least, desired_capacity=nodes, max_size=most)]
    groups = call.file.managed_node_groups or ()
    chosen = [group for group in groups if name is None or group.name == name]
    if not groups:
        raise errors.Invalid("no nodegroups found in config file")
    if not chosen:
        raise errors.NotFound(f"node group {name} not found")
    for group in chosen:
        if not group.name:
            raise errors.Invalid("nodegroup name must be set")
        if group.desired_capacity is None:
            raise errors.Invalid("number of nodes must be 0 or greater")
    return chosen


def scale(api: service.Api, of: str, group: config.ManagedNodeGroup, log: show.Log, deadline: float | None) -> None:
    """One nodegroup; with a deadline, wait until it is done. Raises in eksctl's words."""
    name = group.name or ""
    log.line(f'scaling nodegroup "{name}" in cluster {of}')
    sizes = {"minSize": group.min_size, "desiredSize": group.desired_capacity, "maxSize": group.max_size}
    try:
        update = api.call(
            "eks",
            "UpdateNodegroupConfig",
            clusterName=of,
            nodegroupName=name,
            scalingConfig={key: size for key, size in sizes.items() if size is not None},
        )["update"]["id"]
        log.line("initiated scaling of nodegroup")
        if deadline is None:
            log.line(
                f"to see the status of the scaling run `roadstead get nodegroup --cluster {of} "
                f"--region {api.region} --name {name}`"
            )
            return
        log.line(f'waiting for scaling of nodegroup "{name}" to complete')
        waiting.until(lambda: waiting.updated(api, of, name, update), f'nodegroup "{name}"', deadline)
        log.line("nodegroup successfully scaled")
    except client.ServiceError as error:
        raise errors.Failed(
            f'failed to scale nodegroup "{name}" for cluster "{of}", error: {error.fault.code}: {error.fault.message}',
            code=error.fault.code,
        ) from error
