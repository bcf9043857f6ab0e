"""Our own service: how Roadstead is doing, what it has room for, and what happened to an account's resources.

What `serve` is, it writes into the store when it starts (`announced`): operations know of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from roadstead.aws import calls, store_access
from roadstead.aws.eks import admission
from roadstead.clusters import events, observed, spec, views
from roadstead.clusters import nodegroups as groups
from roadstead.clusters.capacity import sums
from roadstead.core import errors
from roadstead.store import keys, writes

GLOBAL = "aws-global"
PROGRAM = "program"


@dataclass(frozen=True)
class ProgramPart:
    """A part of Roadstead, e.g. `agent`. `message`: why it is not well, and what to do."""

    name: str
    healthy: bool
    message: str = ""


@dataclass(frozen=True)
class ServeProgram:
    """What `serve` says of itself. `started`: seconds since 1970."""

    version: str
    instance: str
    started: float
    parts: tuple[ProgramPart, ...] = ()


def announced(account: str, program: ServeProgram) -> writes.Put:
    """What `serve` writes when it starts, and when a part of it comes to be well or unwell."""
    return writes.Put(_key(account), msgspec.json.encode(program))


@calls.operation("roadstead", "GetStatus")
async def get_status(call: calls.Call, _: calls.Asked) -> calls.Answer:
    state = await call.store.get(_key(call.account))
    if state is None:
        raise errors.Failed("serve has not said yet what it is: ask again when it has started")
    program = msgspec.json.decode(state.desired.body, type=ServeProgram)
    return {
        "version": program.version,
        "instance": program.instance,
        "accountId": call.account,
        "region": call.region,
        "startedAt": views.moment(program.started),
        "healthy": all(part.healthy for part in program.parts),
        "revision": call.store.revision,
        "parts": [_shown(part) for part in program.parts],
    }


@calls.operation("roadstead", "CheckRoom")
async def check_room(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The sums of CreateCluster and CreateNodegroup taken together; what they would write is not written."""
    await admission.on_machine(call, sums.Load(asked.get("controlPlanes", 0), asked.get("nodes", 0)))
    return {}


def concerns(arn: str, of: str) -> bool:
    """Whether an event of `of` is one of the resource `arn`: its own, or of a nodegroup of that cluster.

    Events name a nodegroup without the last part of its ARN, which tells namesakes from each other: people who ask
    for a nodegroup want to see what became of its namesake before it.
    """
    return of == arn or arn.startswith(f"{of}/") or of.startswith(f"{arn.replace(':cluster/', ':nodegroup/')}/")


@calls.operation("roadstead", "ListEvents")
async def list_events(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Oldest first: those of a resource and of what belongs to it, or all of the region."""
    since, until = asked.get("startTime"), asked.get("endTime")
    arn = asked.get("resourceArn")
    shown = []
    for record in await store_access.records(call.store, keys.Prefix(call.account, call.region, events.KIND)):
        event = events.read(record.body)
        at, of = views.moment(record.at), _arn(record.key)
        if (
            (arn is None or concerns(arn, of))
            and asked.get("severity") in (None, event.severity)
            and (since is None or at >= since)
            and (until is None or at < until)
        ):
            shown.append(
                {
                    "id": f"{record.number:020d}",
                    "time": at,
                    "resourceArn": of,
                    "severity": event.severity,
                    "reason": event.reason,
                    "message": event.message,
                    "facts": dict(event.facts),
                }
            )
    return {"events": shown}


@calls.operation("roadstead", "ListClusterParts")
async def list_cluster_parts(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The members in their order, then the nodes of each nodegroup. What was not looked at yet is not there."""
    name = asked["clusterName"]
    state = await call.store.get(spec.key(call.account, call.region, name))
    if state is None:
        store_access.refuse("ResourceNotFoundException", f"No cluster found for name: {name}.", resourceArn=name)
    seen = views.seen(state)
    shown = [_part(part, call.region) for part in seen.parts] if seen else []
    of_cluster = keys.Prefix(call.account, call.region, groups.KIND, name)
    for group in await store_access.everything(call.store, of_cluster):
        wanted, nodes = groups.read(group.desired.body), views.seen(group)
        for node in nodes.parts if nodes else ():
            _, zone = groups.subnet_of(wanted, node.name)
            shown.append({**_part(node, call.region), "nodegroup": wanted.name, "zone": zone})
    return {"parts": shown}


def _part(part: observed.Part, region: str) -> dict[str, Any]:
    in_one_zone = part.name in (*spec.ETCD, *spec.API)
    return {
        "name": part.name,
        "state": part.phase.name,
        **({"zone": f"{region}{part.name[-1]}"} if in_one_zone else {}),
        **({"reason": part.reason} if part.reason else {}),
        **({"address": part.address} if part.address else {}),
        **({"startedAt": views.moment(part.since)} if part.since is not None else {}),
    }


def _key(account: str) -> keys.Key:
    return keys.Key(account, GLOBAL, PROGRAM, "serve")


def _shown(part: ProgramPart) -> dict[str, Any]:
    return {"name": part.name, "healthy": part.healthy, **({"message": part.message} if part.message else {})}


def _arn(key: keys.Key) -> str:
    """The ARN of what an event happened to; that of a nodegroup without its id, which other ones of its name share."""
    kind, *rest = key.names
    assert kind in (spec.KIND, groups.KIND)
    return f"arn:aws:eks:{key.region}:{key.account}:{kind}/{'/'.join(rest)}"
