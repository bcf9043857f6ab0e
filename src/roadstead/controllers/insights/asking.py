"""What is asked of a cluster's API for its insights: short lists, and counts of each API server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from roadstead.clusters.insights import facts
from roadstead.controllers.insights import metrics, objects
from roadstead.controllers.runtime import controller
from roadstead.core import concurrency, errors
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

_AT_ONCE = 4
_MOST_SERVICES = 50
"""Of webhooks: those beyond are not known."""
_MOST_OBJECTS = "500"
"""Of a deprecated API, whose writers are looked for."""
_MOST_APIS = 10
_WEBHOOKS = (resources.VALIDATING_WEBHOOKS, resources.MUTATING_WEBHOOKS)
_SERVICE = "kubernetes.io/service-name"


async def seen(cluster: controller.Cluster, at: float, refresh: str) -> facts.InCluster:
    """One look. Raises as connections do, but for an API server that alone does not answer: that is a fact."""
    api, ours = cluster.connection, cluster.target.nodes
    servers = await _servers(cluster)
    budgets, _ = await api.list(resources.BUDGETS)
    configurations = [
        objects.Configuration(kind.plural, thing) for kind in _WEBHOOKS for thing in (await api.list(kind))[0]
    ]
    return facts.InCluster(
        at=at,
        refresh=refresh,
        servers=servers,
        apis=await _apis(api, servers),
        nodes=tuple(objects.node(thing, ours) for thing in cluster.objects(resources.NODES).values()),
        budgets=tuple(map(objects.budget, budgets)),
        webhooks=await _webhooks(api, configurations),
    )


async def _servers(cluster: controller.Cluster) -> tuple[facts.ApiServer, ...]:
    """Each counts for itself, and has to be asked itself."""
    found: dict[str, facts.ApiServer] = {}

    async def ask(server: str) -> None:
        try:
            found[server] = await _server(server, cluster.target.credentials)
        except errors.Error as error:
            found[server] = facts.ApiServer(server, trouble=str(error))

    await concurrency.each(ask, cluster.target.servers, _AT_ONCE)
    return tuple(found[server] for server in cluster.target.servers)


async def _server(server: str, credentials: connections.Credentials) -> facts.ApiServer:
    async with connections.Connection((server,), credentials) as api, api.lines("/metrics") as lines:
        kept = [line async for line in lines if line.startswith(metrics.WANTED)]
    return metrics.read(server, kept)


async def _webhooks(
    api: connections.Connection, configurations: Iterable[objects.Configuration]
) -> tuple[facts.Webhook, ...]:
    there = list(configurations)
    if not there:
        return ()
    system = await api.get(resources.NAMESPACES, objects.SYSTEM)
    closed = objects.webhooks(there, system["metadata"].get("labels") or {})
    services = list(dict.fromkeys(each.service for each in closed if each.service))[:_MOST_SERVICES]
    ready: dict[str, int | None] = {}

    async def ask(service: str) -> None:
        ready[service] = await _ready(api, *service.split("/", 1))

    await concurrency.each(ask, services, _AT_ONCE)
    return tuple(_answered(each, ready) for each in closed)


async def _ready(api: connections.Connection, namespace: str, name: str) -> int | None:
    """Endpoints of a Service that are ready; -1: there is no Service; None: they are not Kubernetes' to know."""
    try:
        service = await api.get(resources.SERVICES, name, namespace)
    except errors.NotFound:
        return -1
    if (service.get("spec") or {}).get("type") == "ExternalName":
        return None
    slices, _ = await api.list(
        resources.ENDPOINT_SLICES, connections.Select(namespace=namespace, labels=f"{_SERVICE}={name}")
    )
    return objects.ready(slices)


def _answered(webhook: facts.Webhook, ready: Mapping[str, int | None]) -> facts.Webhook:
    count = ready.get(webhook.service)
    return replace(webhook, missing=True) if count == -1 else replace(webhook, endpoints=count)


async def _apis(api: connections.Connection, servers: Iterable[facts.ApiServer]) -> tuple[facts.ApiAround, ...]:
    """What is known of the deprecated APIs that will be removed."""
    used = sorted({use.api for server in servers for use in server.uses if use.removed})
    # Of what was written before they started they count nothing.
    since = min((server.started for server in servers if not server.trouble), default=0.0)
    return tuple([await _around(api, each, used, since) for each in used[:_MOST_APIS]])


async def _around(
    api: connections.Connection, of: facts.ApiName, used: list[facts.ApiName], since: float
) -> facts.ApiAround:
    """Its objects are read by another version: by itself, our own requests would be counted as somebody's use."""
    for version in await _versions(api, of.group):
        other = facts.ApiName(of.group, version, of.resource)
        if other in used:
            continue
        try:
            found = await api.call("GET", other.path, query={"limit": _MOST_OBJECTS})
        except errors.NotFound:
            continue
        things: list[Json] = found.get("items") or []
        writers = objects.writers(things, f"{of.group}/{of.version}")
        return facts.ApiAround(of, other.path, tuple(each for each in writers if each.at >= since))
    return facts.ApiAround(of)


async def _versions(api: connections.Connection, group: str) -> list[str]:
    """Of a group, that which it prefers first."""
    if not group:
        return []
    try:
        said = await api.call("GET", f"/apis/{group}")
    except errors.NotFound:
        return []
    return [str(each.get("version")) for each in said.get("versions") or ()]
