"""Nodegroups: asked for all at once, followed until their nodes are Ready, told as eksctl tells it. `create nodegroup`.

A nodegroup is ACTIVE when its nodes are Ready.
"""

from __future__ import annotations

import fnmatch
import functools
import time
from collections.abc import Mapping, Sequence

from msgspec import structs

from roadstead.cli import asked, config, defaults, documents, service, show, validity
from roadstead.cli.actions import get, reach
from roadstead.cli.infrastructure import bodies, lookups, make, parts, refusals, together
from roadstead.cli.live import follow, progress, warnings
from roadstead.core import errors, terminal
from roadstead.wire import client

Subnets = Mapping[str, tuple[str, bool]]
"""Zone and public-or-not by the id."""


def create(call: asked.FlagValues) -> None:
    """`create nodegroup`. Raises in eksctl's words."""
    of = call.file_name or call.text("cluster")
    if not of:
        raise errors.Invalid("--cluster must be set")
    wanted = filled(call, of, reach.region(call))
    if call.truth("dry-run"):
        terminal.out(documents.yaml_text(documents.tree(wanted)), end="")
        return
    stage = reach.stage(call, "nodes")
    with reach.connection(call) as api, stage.screen:
        there = get.cluster(api, of)
        subnets = lookups.subnets(api, call.texts("subnet-ids") or there["resourcesVpcConfig"]["subnetIds"])
        groups = _fresh(api, of, _versioned(call, wanted, there["version"], stage.log), stage.log)
        _check(api, groups, subnets, there)
        stage.goes_on = f"the work goes on: {watch_hint(of, api.region)}"
        stage.warnings = warnings.Warnings(api, there["arn"])
        # What was before is not of these nodegroups.
        stage.warnings.fresh(time.monotonic())
        try:
            role = _role(api, structs.replace(wanted, managed_node_groups=groups))
            ask(api, of, groups, {group.name or "": given_or(group, role) for group in groups}, subnets, stage.log)
            wait(api, stage, of, groups)
        except client.ServiceError as error:
            raise get.failed(f'failed to create nodegroups for cluster "{of}"', error) from error
        except KeyboardInterrupt:
            stage.screen.close()
            stage.log.line("interrupted: nodegroups that were asked for go on being made", "!")
            stage.log.line(watch_hint(of, api.region))
            raise
        told(api, of, groups, stage.log)
    stage.log.line(f'created {len(groups)} managed nodegroup(s) in cluster "{of}"', "✔")


def filled(call: asked.FlagValues, of: str, region: str) -> config.ClusterConfig:
    """The whole of what is asked for. Raises Invalid."""
    if call.file is not None:
        given = call.file
        include = (*call.texts("include"), *call.texts("only"))
        given = structs.replace(
            given,
            managed_node_groups=tuple(
                group
                for group in given.managed_node_groups or ()
                if matches(group.name or "", include, call.texts("exclude"))
            ),
        )
        if not given.managed_node_groups:
            raise errors.Invalid("no nodegroups found in config file, or none that match --include and --exclude")
    else:
        if not call.truth("managed"):
            raise errors.Invalid("--managed=false is not supported: Roadstead has managed nodegroups only")
        given = asked.filled(call)
        (group,) = given.managed_node_groups or (config.ManagedNodeGroup(),)
        group = structs.replace(group, name=group.name or call.name)
        given = structs.replace(given, managed_node_groups=(group,))
    metadata = structs.replace(given.metadata or config.Metadata(), name=of, region=region)
    names = defaults.made_up_names(region)
    groups = tuple(defaults.nodegroup(group, metadata, names.nodegroup) for group in given.managed_node_groups or ())
    whole = structs.replace(given, metadata=structs.replace(metadata, version=None), managed_node_groups=groups)
    validity.check(whole, documents.tree(whole))
    return whole


def matches(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """By globs: what is included, all where nothing is said, but for what is excluded."""
    wanted = not include or any(fnmatch.fnmatchcase(name, glob) for glob in include)
    return wanted and not any(fnmatch.fnmatchcase(name, glob) for glob in exclude)


def _versioned(
    call: asked.FlagValues, wanted: config.ClusterConfig, version: str, log: show.Log
) -> tuple[config.ManagedNodeGroup, ...]:
    said = call.text("version") or "auto"
    if said not in ("auto", version):
        raise errors.Invalid(
            f"--version={said} is not supported: nodes are made with the version of the control plane, {version}"
        )
    log.line(f"will use version {version} for new nodegroup(s) based on control plane version")
    return wanted.managed_node_groups or ()


def _fresh(
    api: service.Api, of: str, groups: tuple[config.ManagedNodeGroup, ...], log: show.Log
) -> tuple[config.ManagedNodeGroup, ...]:
    """Those that are not there yet. Raises AlreadyExists when all are, in EKS's words for the first."""
    there = {
        name
        for page in service.pages(api, "eks", "ListNodegroups", clusterName=of)
        for name in page.get("nodegroups", [])
    }
    fresh = tuple(group for group in groups if group.name not in there)
    if not fresh:
        raise errors.AlreadyExists(
            f"failed to create nodegroups: ResourceInUseException: NodeGroup already exists with name "
            f"{groups[0].name} and cluster name {of}"
        )
    if excluded := [group.name or "" for group in groups if group.name in there]:
        log.line(f"{len(excluded)} existing nodegroup(s) ({','.join(excluded)}) will be excluded")
    return fresh


def _check(
    api: service.Api, groups: Sequence[config.ManagedNodeGroup], subnets: Subnets, there: Mapping[str, object]
) -> None:
    if there.get("status") not in ("ACTIVE", "UPDATING"):
        raise errors.Conflict(f'cluster "{there["name"]}" is {there.get("status")}: nodegroups need one that is ACTIVE')
    offers = lookups.offers(api, groups)
    zones = {zone for zone, _ in subnets.values()}
    for index, group in enumerate(groups):
        refusals.check_nodegroup(group, f"managedNodeGroups[{index}]", offers, zones)


def _role(api: service.Api, wanted: config.ClusterConfig) -> str:
    """The role for the nodes of groups that name none, made when it is not there; empty when all name one."""
    if all(make.given_role(group) for group in wanted.managed_node_groups or ()):
        return ""
    role = parts.node_role((wanted.metadata or config.Metadata()).name or "", api.region)
    arn = lookups.role_arn(api, role.name)
    there = lookups.Infrastructure(roles={} if arn is None else {role.name: arn})
    return make.Maker(api, wanted, there, make.Ledger()).role(role)


def given_or(group: config.ManagedNodeGroup, role: str) -> str:
    """The ARN of the role that the group names, else this one."""
    return make.given_role(group) or role


def ask(
    api: service.Api,
    of: str,
    groups: Sequence[config.ManagedNodeGroup],
    roles: Mapping[str, str],
    subnets: Subnets,
    log: show.Log,
) -> None:
    """CreateNodegroup for all at once. `roles` by the nodegroup's name. Raises client.ServiceError."""
    metadata = config.Metadata(name=of)
    for group in groups:
        log.line(f'building managed nodegroup "{group.name}"')

    def one(group: config.ManagedNodeGroup) -> None:
        body = bodies.nodegroup(metadata, group, roles[group.name or ""], parts.chosen(group, subnets))
        api.call("eks", "CreateNodegroup", **body)

    together.each(one, groups)


def wait(api: service.Api, stage: follow.Stage, of: str, groups: Sequence[config.ManagedNodeGroup]) -> None:
    """Until all are ACTIVE, which is: all their nodes are Ready. Raises Failed or Busy."""
    names = [group.name or "" for group in groups]
    for group in groups:
        stage.log.line(f'waiting for {group.desired_capacity} node(s) to become ready in "{group.name}"')
    total = sum(group.desired_capacity or 0 for group in groups)
    stage.show(stage.shown.having("nodes", wanted=total))
    stage.begin("nodes")
    seen = stage.until(
        functools.partial(follow.look, api, of, names),
        progress.nodes,
        lambda seen: seen.cluster is None or _settled(seen, names),
        f"nodegroup(s) {', '.join(names)}",
    )
    if missing := [name for name in names if seen.nodegroups.get(name) != "ACTIVE"]:
        raise errors.Failed(f"nodegroup(s) {', '.join(missing)} were deleted while they were made")


def _settled(seen: progress.ProgressSeen, names: Sequence[str]) -> bool:
    """None is still on its way."""
    return all(seen.nodegroups.get(name) in ("ACTIVE", "DELETING", None) for name in names)


def told(api: service.Api, of: str, groups: Sequence[config.ManagedNodeGroup], log: show.Log) -> dict[str, list[str]]:
    """A line for each node. The names of the nodes by nodegroup."""
    names = [group.name or "" for group in groups]
    nodes = together.together(*(functools.partial(lookups.nodes, api, of, name) for name in names))
    for name, there in zip(names, nodes, strict=True):
        log.line(f'nodegroup "{name}" has {len(there)} node(s)')
        for node in there:
            log.line(f'node "{node}" is ready')
    return dict(zip(names, nodes, strict=True))


def watch_hint(of: str, region: str) -> str:
    """The end of a sentence for who does not want to wait any longer."""
    return f"watch it by 'roadstead get events -w --cluster={of} --region={region}'"
