"""`roadstead status`: the services, the clusters, and everything the agent keeps, as it is now."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click
import msgspec

from roadstead.agent_client import Client
from roadstead.cli import profile, service
from roadstead.cli.infrastructure import lookups
from roadstead.clusters.capacity import pace
from roadstead.contract import layout
from roadstead.contract.messages import observed
from roadstead.core import errors, foreign, terminal
from roadstead.identity import admin as admins
from roadstead.machine import caller
from roadstead.machine.services import names
from roadstead.machine.supervision import see, settings, tree
from roadstead.wire import client as wire_client
from roadstead.wire import sigv4

_ASKING = 5.0
"""Seconds for all that serve is asked."""


@dataclass(frozen=True)
class ClusterStatus:
    """What serve tells of a cluster; `status` and `version` are empty when it does not answer."""

    name: str
    id: str
    """At the agent, e.g. `c-1a2b3c4d`: what its hosts' ids begin with. Empty when serve has not written it yet."""
    region: str
    status: str
    version: str
    unwell: tuple[str, ...] = ()
    """What of it is not as it is wanted, a sentence each."""


@click.command()
@caller.instance_option
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="List every object, not only what is not well.")
def status(instance_id: str, output: str, everything: bool) -> None:
    """Show the services, the clusters, and what is not as it is wanted."""
    places, kept = settings.instance_of(instance_id)
    running = [found for name in tree.NAMES if (found := see.process(tree.folder(places), name)) is not None]
    client = Client(places.socket, timeout=10)
    agent = client.status()
    seen = client.observations().observations
    try:
        admin: admins.Admin | None = admins.read(tree.serve_state(places)).at(kept.endpoint, kept.region)
    except errors.NotFound:
        admin = None
    except errors.Failed as error:
        # The agent and what it keeps are to be seen all the same.
        terminal.err(f"warning: {error}")
        admin = None
    clusters, silent = _clusters(admin, names.known(places))
    if output == "json":
        body = {
            "agent": agent,
            "machine": client.machine(),
            "observations": seen,
            "services": [asdict(one) for one in running],
            "clusters": [asdict(one) for one in clusters],
            "serve": {"answers": not silent, "reason": silent}
            | ({} if admin is None else {"endpoint": admin.endpoint, "account": admin.account}),
        }
        terminal.out(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())
        return
    terminal.out(f"instance {agent.instance}")
    if running:
        terminal.out(services(running, _details(agent, admin, silent)))
    else:
        terminal.out(f"agent {agent.version} (pid {agent.pid}), not supervised; {_kept(agent)}")
    if clusters:
        terminal.out(table_of(clusters))
    told = [line for one in clusters for line in one.unwell]
    shown = [one for one in seen if everything or one.phase not in ("ready", "stopped") or one.reason or one.warnings]
    carrier = client.machine()
    told += [said for said in carrier.near if not any(said in line for line in told)]
    if (told or shown) and (slow := pace.too_slow(carrier)):
        told.append(slow)
    if told:
        terminal.out("\n".join(map(foreign.line, told)))
    for said in makeshift(seen):
        terminal.out(said)
    if shown:
        terminal.out(table(sorted(shown, key=lambda one: (one.kind, one.id))))
    elif silent:
        terminal.out("what the agent keeps is as it is wanted; of the clusters nothing is known while serve is silent")
    elif not told and agent.counts:
        terminal.out("everything is as it is wanted")


def _details(agent: observed.Status, admin: admins.Admin | None, silent: str) -> dict[str, str]:
    serve = "has not been up yet" if admin is None else f"{admin.endpoint}, account {admin.account}"
    return {"agent": f"{agent.version}; {_kept(agent)}", "serve": f"{serve}; {silent}" if admin and silent else serve}


def _kept(agent: observed.Status) -> str:
    return f"keeps {', '.join(counted(kind, count) for kind, count in agent.counts.items() if count) or 'nothing yet'}"


def _clusters(admin: admins.Admin | None, ids: Mapping[str, str]) -> tuple[list[ClusterStatus], str]:
    """All clusters as serve tells them; or their names and ids alone, and why it was not asked or did not answer."""
    if admin is None or admin.secret is None:
        return untold(ids), "there is no key to ask with"
    keys = sigv4.Credentials(admin.access_key, admin.secret)
    deadline = time.monotonic() + _ASKING
    try:
        with contextlib.ExitStack() as open_ones:
            apis = [
                open_ones.enter_context(service.ApiConnection(access, deadline))
                for region in regions(admin.region, ids)
                for access in (profile.ApiAccess(region, admin.endpoint, keys, ca=admin.ca),)
            ]
            return told(apis, ids), ""
    except (errors.Error, wire_client.ServiceError) as error:
        return untold(ids), f"does not answer: {error}"


def regions(own: str, ids: Mapping[str, str]) -> list[str]:
    """Where to ask: wherever there is a cluster, and in the instance's own, of which one may not be written yet."""
    return sorted({own, *(key.partition("/")[0] for key in ids)})


def told(apis: Iterable[service.Api], ids: Mapping[str, str]) -> list[ClusterStatus]:
    """The clusters of these regions. Raises client.ServiceError, and Busy when nobody answers."""
    clusters = []
    for api in apis:
        listed = [name for page in service.pages(api, "eks", "ListClusters") for name in page.get("clusters", [])]
        # One that was deleted meanwhile is told no more.
        for one in filter(None, (lookups.cluster(api, name) for name in listed)):
            id = ids.get(f"{api.region}/{one['name']}", "")
            clusters.append(
                ClusterStatus(one["name"], id, api.region, one["status"], one.get("version", ""), _unwell(api, one))
            )
    return clusters


def _unwell(api: service.Api, cluster: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a cluster and its nodegroups is not ACTIVE, or ill: all processes may run and no node be registered."""
    name = cluster["name"]
    groups: dict[str, Mapping[str, Any]] = {}
    try:
        for page in service.pages(api, "eks", "ListNodegroups", clusterName=name):
            for each in page["nodegroups"]:
                asked = api.call("eks", "DescribeNodegroup", clusterName=name, nodegroupName=each)
                groups[each] = asked["nodegroup"]
    except wire_client.ServiceError as error:
        # Deleted meanwhile; what was seen before is told.
        if not lookups.is_missing(error):
            raise
    return unwell(cluster, groups)


def unwell(cluster: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """A sentence for each of them that is not as it is wanted. Pure."""
    things = {f"cluster {cluster['name']}": cluster}
    things |= {f"nodegroup {name} of {cluster['name']}": group for name, group in groups.items()}
    return tuple(
        f"{what} is {thing['status']}" + (f": {'; '.join(one['message'] for one in issues)}" if issues else "")
        for what, thing in things.items()
        if (issues := thing.get("health", {}).get("issues", [])) or thing["status"] != "ACTIVE"
    )


def makeshift(seen: Iterable[observed.Observation]) -> tuple[str, ...]:
    """What is done without, and what does instead, a sentence each. Pure."""
    there = {(one.kind, one.id) for one in seen}
    ours = any(kind == "engines" and id.startswith(layout.RUNC) for kind, id in there)
    if ours or not any(kind == "hosts" for kind, _ in there):
        return ()
    return (
        "hosts are made by the machine's own runc: ours was not to be had. It is tried again whenever something is "
        "made; `roadstead engine get runc` shows what is in the way",
    )


def untold(ids: Mapping[str, str]) -> list[ClusterStatus]:
    """What is known of the clusters without serve."""
    places = (key.partition("/") for key in sorted(ids))
    return [ClusterStatus(name, ids[f"{region}/{name}"], region, "", "") for region, _, name in places]


def table_of(clusters: Sequence[ClusterStatus]) -> str:
    """One line per cluster. Its id is what `roadstead logs` wants in the names of its hosts."""
    rows = [("CLUSTER", "ID", "REGION", "STATUS", "VERSION")]
    return columns(
        [*rows, *((one.name, one.id or "-", one.region, one.status or "-", one.version or "-") for one in clusters)]
    )


def services(running: Sequence[see.Process], details: dict[str, str]) -> str:
    """One line per service: its process, for how long it is as it is, its memory, and what there is to say."""
    rows = [("SERVICE", "STATE", "PID", "SINCE", "MEMORY", "")]
    for one in running:
        state, pid = ("down", "-") if one.pid is None else ("up", str(one.pid))
        memory = f"{one.pss / 2**20:.0f} MiB" if one.pss else "-"
        rows.append((one.name, state, pid, age(one.seconds), memory, details.get(one.name, "")))
    return columns(rows)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Lines whose columns are as wide as they need to be."""
    rows = [tuple(map(foreign.line, row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def table(seen: list[observed.Observation]) -> str:
    """One line per object of the agent."""
    rows = [("KIND", "ID", "PHASE", "RESTARTS", "REASON")]
    return columns(rows + [(one.kind, one.id, one.phase, str(one.restarts), _said(one)) for one in seen])


def _said(of: observed.Observation) -> str:
    return "; ".join(filter(None, (of.reason, *of.warnings)))


def counted(kind: str, count: int) -> str:
    """`1 network`, `2 networks`; `1 publish`, `2 publishes`."""
    if count != 1:
        return f"{count} {kind}"
    return f"1 {kind.removesuffix('es' if kind.endswith('shes') else 's')}"


def age(seconds: float) -> str:
    """The largest unit that fits: `3 d`, `2 h`, `5 min`, `7 s`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
