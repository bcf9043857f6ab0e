"""Insights of a cluster, and refreshes of them."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.eks import lookups, resources
from roadstead.clusters import views as cluster_views
from roadstead.clusters.insights import kept, views
from roadstead.store import facts, writes


@calls.operation("eks", "ListInsights", on=resources.CLUSTER)
async def list_insights(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """In their order, of all categories and statuses unless a filter says which."""
    found = await _insights(call, asked["clusterName"])
    return {"insights": [views.summary(each) for each in found if views.fits(each, asked.get("filter") or {})]}


@calls.operation("eks", "DescribeInsight", on=resources.CLUSTER)
async def describe_insight(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    name, id = asked["clusterName"], asked["id"]
    for each in await _insights(call, name):
        if each.id == id:
            return {"insight": views.whole(each)}
    store_access.refuse("ResourceNotFoundException", f"No insight: {id} found in cluster: {name}", clusterName=name)


@calls.operation("eks", "StartInsightsRefresh", on=resources.CLUSTER)
async def start_insights_refresh(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Have a cluster looked at now. While it is, asking again asks for nothing more."""
    name = asked["clusterName"]

    async def change(state: facts.State | None) -> tuple[writes.Write, ...]:
        cluster = await lookups.cluster(call, name)
        if cluster.wanted.deleting:
            store_access.refuse("InvalidRequestException", f"Cluster {name} is being deleted.", clusterName=name)
        going = _refresh(state, call)
        if going is not None and going.status == "IN_PROGRESS":
            return ()
        request = kept.Request(store_access.uuid_of(call, "refresh"), call.now.timestamp())
        stays = writes.Require(cluster.state.key, writes.At(cluster.state.desired.generation))
        return kept.REPORTS.put(kept.key(call.account, call.region, name), request), stays

    going = _refresh(await store_access.changed(call, kept.key(call.account, call.region, name), change), call)
    return {} if going is None else {"status": going.status, "message": going.message}


@calls.operation("eks", "DescribeInsightsRefresh", on=resources.CLUSTER)
async def describe_insights_refresh(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The last one that was asked for."""
    name = asked["clusterName"]
    await lookups.cluster(call, name)
    last = _refresh(await call.store.get(kept.key(call.account, call.region, name)), call)
    if last is None:
        store_access.refuse(
            "ResourceNotFoundException",
            f"No insights refresh of cluster {name} was started: StartInsightsRefresh starts one.",
            clusterName=name,
        )
    ended = {"endedAt": cluster_views.moment(last.ended)} if last.ended is not None else {}
    return {
        "status": last.status,
        "message": last.message,
        "startedAt": cluster_views.moment(last.started),
        **ended,
    }


async def _insights(call: calls.Call, name: str) -> tuple[views.Insight, ...]:
    cluster = await lookups.cluster(call, name)
    subject = views.Subject(
        cluster_views.own_name(cluster.state.desired),
        cluster_views.version_shown(cluster.wanted.version, cluster.seen),
        cluster.wanted.created_at,
    )
    state = await call.store.get(kept.key(call.account, call.region, name))
    return views.insights(subject, _report(state), call.now.timestamp())


def _report(state: facts.State | None) -> kept.Report | None:
    return kept.read(state.observation.body) if state is not None and state.observation else None


def _refresh(state: facts.State | None, call: calls.Call) -> kept.Refresh | None:
    if state is None:
        return None
    return kept.refresh(kept.REPORTS.read(state.desired.body), _report(state), call.now.timestamp())
