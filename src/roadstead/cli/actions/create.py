"""`create cluster`: fill the ClusterConfig; print it, or make it by the AWS API like any customer could.

A call that was cut off goes on where it was when it is given again: what is there by its name or tag is taken, and the
cluster itself has a tag for as long as `create cluster` is not done with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from roadstead.cli import asked, config, defaults, documents, show, validity
from roadstead.cli.actions import access, building, get, reach
from roadstead.cli.live import follow, picture, progress
from roadstead.core import errors, terminal
from roadstead.wire import client


def cluster(call: asked.FlagValues) -> None:
    """`create cluster`. Raises Failed with the service's words. What is left then: see `building`."""
    wanted = filled(call, defaults.made_up_names(reach.region(call)))
    if call.truth("dry-run"):
        terminal.out(documents.yaml_text(documents.tree(wanted)), end="")
        return
    name = (wanted.metadata or config.Metadata()).name or ""
    kept = access.asks(call, name) if call.truth("write-kubeconfig") else None
    begun = time.monotonic()
    phases = [each for each in progress.CREATE if each != "nodes" or wanted.managed_node_groups]
    stage = reach.stage(call, *(each for each in phases if each != "kubeconfig" or kept is not None))
    given_names = call.file is not None or call.text("nodegroup-name") is not None
    with reach.connection(call) as api, stage.screen:
        work = building.Building(api, stage, wanted, given_names)
        try:
            written, nodes = make(work, kept, call)
        except KeyboardInterrupt as by:
            work.interrupted(by)
            raise
        except client.ServiceError as error:
            raise get.failed(f'failed to create cluster "{name}"', error) from error
        shown = summary(get.cluster(api, name), written, nodes, time.monotonic() - begun)
    _tell(stage, shown, written)
    if (form := call.text("output") or "table") != "table":
        terminal.out(show.document(shown, form))
    if kept is not None and written is None:
        raise errors.Failed(
            f'cluster "{name}" is ready, but the kubeconfig was not written (see above); '
            f"try 'roadstead utils write-kubeconfig --cluster={name} --region={api.region}'"
        )


def make(
    work: building.Building, kept: access.WantedAccess | None, call: asked.FlagValues
) -> tuple[access.WrittenAccess | None, dict[str, list[str]]]:
    """All of it, in order. The kubeconfig is written while the nodes are on their way."""
    work.begin()
    there = work.until_active()
    work.ask_for_nodes()
    written = _kubeconfig(work, there, kept, call)
    return written, work.finish(there)


def summary(
    there: Mapping[str, Any], written: access.WrittenAccess | None, nodes: Mapping[str, list[str]], seconds: float
) -> dict[str, Any]:
    """The last word for programs."""
    return {
        "name": there["name"],
        "arn": there["arn"],
        "region": there["arn"].split(":")[3],
        "version": there["version"],
        "endpoint": there.get("endpoint", ""),
        "kubeconfig": written.path if written is not None else None,
        "context": written.context if written is not None else None,
        "nodegroups": {name: list(each) for name, each in nodes.items()},
        "seconds": round(seconds, 1),
    }


def _tell(stage: follow.Stage, shown: Mapping[str, Any], written: access.WrittenAccess | None) -> None:
    if written is not None:
        stage.log.line(written.hint)
    now = time.monotonic()
    spent = [f"{each.name} {picture.duration(each.seconds(now) or 0.0)}" for each in stage.shown.phases]
    stage.log.line(f"all of it took {picture.duration(shown['seconds'])}: {', '.join(spent)}")
    stage.log.line(f'EKS cluster "{shown["name"]}" in "{shown["region"]}" region is ready', "✔")


def filled(call: asked.FlagValues, names: defaults.Names) -> config.ClusterConfig:
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


def from_flags(call: asked.FlagValues) -> config.ClusterConfig:
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


def _kubeconfig(
    work: building.Building, there: dict[str, Any], kept: access.WantedAccess | None, call: asked.FlagValues
) -> access.WrittenAccess | None:
    """A cluster without a kubeconfig is still a cluster: it goes on, and the failure is told at the end."""
    if kept is None:
        return None
    work.stage.begin("kubeconfig")
    try:
        written = access.write(work.api, there, kept, call)
    except errors.Error as error:
        work.stage.log.line(error.message, "!")
        work.stage.fail("kubeconfig", "not written")
        return None
    work.stage.end("kubeconfig", written.path)
    work.stage.log.line(f'saved kubeconfig as "{written.path}"', "✔")
    return written
