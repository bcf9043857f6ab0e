"""Insights from end to end: boto3 asks for a refresh, the controllers look at a small API server, and boto3 is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.wire import small_api
from tests.wire.customer import QUICK, Customer, told

from roadstead.clusters import spec
from roadstead.clusters.insights import kept
from roadstead.controllers.insights import look
from roadstead.controllers.runtime import manager, outbox, targets
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.kube.resources import Json
from roadstead.serve import insight_recorder
from roadstead.store import interface, keys

COUNTED = """\
apiserver_request_total{{code="200",group="policy",resource="poddisruptionbudgets",verb="LIST",version="v1beta1"}} {}
apiserver_request_total{{code="200",group="",resource="endpoints",verb="LIST",version="v1"}} 8
apiserver_requested_deprecated_apis{{group="policy",removed_release="{}",resource="poddisruptionbudgets",\
version="v1beta1"}} 1
apiserver_requested_deprecated_apis{{group="",removed_release="",resource="endpoints",version="v1"}} 1
process_start_time_seconds 1000.0
"""
BUDGET: Json = {
    "metadata": {
        "namespace": "web",
        "name": "calm",
        "managedFields": [{"manager": "helm", "apiVersion": "policy/v1beta1", "time": "2026-11-01T00:00:00Z"}],
    },
    "status": {"expectedPods": 1, "currentHealthy": 1, "desiredHealthy": 1, "disruptionsAllowed": 0},
}
NAMES = {
    "apis": "Deprecated APIs removed in Kubernetes v1.38",
    "kubelet": "Kubelet version skew",
    "proxy": "kube-proxy version skew",
    "webhooks": "Webhooks that fail closed",
    "budgets": "Disruption budgets that let no pod go",
    "addresses": "Addresses for new nodes",
    "health": "Cluster health",
}
NEXT = "1.38"


@dataclass
class Posted:
    """See targets.Targets: one cluster, with the refresh that is asked for in the store."""

    store: interface.Store
    target: targets.ClusterTarget
    key: keys.Key = field(init=False)

    def __post_init__(self) -> None:
        cluster = keys.Key.parse(self.target.key)
        self.key = kept.key(cluster.account, cluster.region, *cluster.names)

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return {self.target.key: self.target}

    async def changes(self) -> AsyncIterator[None]:
        revision = self.store.revision
        await self._look()
        yield
        async for _ in self.store.watch(revision):
            await self._look()
            yield

    async def _look(self) -> None:
        state = await self.store.get(self.key)
        request = kept.REPORTS.read(state.desired.body) if state else kept.Request()
        self.target = replace(self.target, refresh=request.refresh)


class Looking:
    """The controllers at work at a small API server, for as long as a refresh takes."""

    def __init__(self, customer: Customer, name: str = "shop") -> None:
        self.customer = customer
        self.cluster = spec.key(customer.place.account.account.id, "eu-central-1", name)
        self.api = small_api.Api()
        self.api.put(("namespaces", "", "kube-system"), {"metadata": {"name": "kube-system"}})

    def refreshed(self, *, answering: bool = True) -> dict[str, Any]:
        """Of a refresh that is asked for: how it ended."""
        assert self.customer.eks.start_insights_refresh(clusterName="shop")["status"] == "IN_PROGRESS"
        self.customer.place.ask(lambda store: self._work(store, answering=answering))
        found: dict[str, Any] = self.customer.eks.describe_insights_refresh(clusterName="shop")
        return found

    async def _work(self, store: interface.Store, *, answering: bool) -> None:
        async with small_api.serving() as served:
            served.objects, served.metrics, served.groups = self.api.objects, self.api.metrics, self.api.groups
            served.listed = self.api.listed
            server = served.url if answering else "http://127.0.0.1:9"
            target = targets.ClusterTarget(
                key=self.cluster.text, servers=(server,), credentials=cast("Any", None), system=small_api.SYSTEM
            )
            posted = Posted(store, target)
            to = outbox.Outbox(events=lambda *_: None)
            recorder = insight_recorder.InsightRecorder(store, to.reports, time.time, clocks.SystemClock())
            working = [
                asyncio.ensure_future(each.run())
                for each in (manager.Manager(posted, (look.CONTROLLER,), to), recorder)
            ]
            try:
                async for _ in store.watch(0):
                    state = await store.get(posted.key)
                    report = kept.read(state.observation.body) if state and state.observation else None
                    if state and report and not kept.open_refresh(kept.REPORTS.read(state.desired.body), report):
                        return
            finally:
                await concurrency.end(*working)

    def statuses(self, **asked: Any) -> dict[str, str]:
        words = {name: word for word, name in NAMES.items()}
        pages = self.customer.eks.get_paginator("list_insights").paginate(clusterName="shop", **asked)
        return {words[each["name"]]: each["insightStatus"]["status"] for page in pages for each in page["insights"]}

    def insight(self, word: str) -> dict[str, Any]:
        listed = self.customer.eks.list_insights(clusterName="shop")["insights"]
        (id,) = [each["id"] for each in listed if each["name"] == NAMES[word]]
        found: dict[str, Any] = self.customer.eks.describe_insight(clusterName="shop", id=id)["insight"]
        return found

    def webhook(self, name: str) -> None:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
        client = {"service": {"namespace": "gate", "name": name}}
        webhook = {"name": f"{name}.example.com", "clientConfig": client, "rules": [rule]}
        place = ("validatingwebhookconfigurations", "", name)
        self.api.put(place, {"metadata": {"name": name}, "webhooks": [webhook]})

    def service(self, name: str, *, ready: bool) -> None:
        self.api.put(("services", "gate", name), {"metadata": {"namespace": "gate", "name": name}, "spec": {}})
        labels = {"kubernetes.io/service-name": name}
        endpoints = [{"conditions": {"ready": ready}}]
        meta = {"namespace": "gate", "name": f"{name}-1", "labels": labels}
        self.api.put(("endpointslices", "gate", f"{name}-1"), {"metadata": meta, "endpoints": endpoints})

    def node(self, name: str, version: str) -> None:
        self.api.node(name)
        node = self.api.objects["nodes", "", name]
        self.api.put(("nodes", "", name), {**node, "status": {"nodeInfo": {"kubeletVersion": version}}})


def refused(call: Any, **asked: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**asked)
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_refresh_tells_what_is_in_the_way_and_the_next_one_that_it_is_gone(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        scene = Looking(customer)
        scene.api.metrics = COUNTED.format(3, NEXT)
        scene.api.groups["policy"] = ["v1beta1", "v1"]
        scene.api.put(("poddisruptionbudgets", "web", "calm"), BUDGET)
        scene.node("old", "v1.34.4")
        scene.webhook("gone")
        scene.webhook("silent")
        scene.service("silent", ready=False)
        scene.webhook("well")
        scene.service("well", ready=True)
        ended = scene.refreshed()
        assert (ended["status"], ended["startedAt"] <= ended["endedAt"]) == ("COMPLETED", True)
        assert scene.statuses(PaginationConfig={"PageSize": 2}) == {
            "apis": "ERROR",
            "kubelet": "ERROR",
            "proxy": "UNKNOWN",
            "webhooks": "ERROR",
            "budgets": "WARNING",
            "addresses": "PASSING",
            "health": "PASSING",
        }
        some = {"statuses": ["WARNING"], "kubernetesVersions": [NEXT], "categories": ["UPGRADE_READINESS"]}
        assert scene.statuses(filter=some) == {"budgets": "WARNING"}
        assert scene.statuses(filter={"categories": ["ROLLBACK_READINESS"]}) == {}
        _check_whole(scene)
        scene.api.take(("validatingwebhookconfigurations", "", "gone"))
        scene.api.take(("validatingwebhookconfigurations", "", "silent"))
        scene.api.take(("poddisruptionbudgets", "web", "calm"))
        scene.node("old", "v1.37.2")
        scene.api.metrics = ""
        assert scene.refreshed()["status"] == "COMPLETED"
        bad = scene.statuses(filter={"statuses": ["ERROR", "WARNING"]})
        # Nobody knows yet that no request comes any more.
        assert bad == {"apis": "ERROR"}

    told(tmp_path, story)


def _check_whole(scene: Looking) -> None:
    apis = scene.insight("apis")
    (detail,) = apis["categorySpecificSummary"]["deprecationDetails"]
    (client,) = detail.pop("clientStats")
    assert detail == {
        "usage": "/apis/policy/v1beta1/poddisruptionbudgets",
        "replacedWith": "/apis/policy/v1/poddisruptionbudgets",
        "stopServingVersion": NEXT,
    }
    assert (client["userAgent"], client["lastRequestTime"].year) == ("helm", 2026)
    assert apis["resources"][0]["kubernetesResourceUri"] == detail["usage"]
    assert apis["kubernetesVersion"] == NEXT
    assert all(link.startswith("https://") for link in apis["additionalInfo"].values())
    assert {
        each["kubernetesResourceUri"].rpartition("/")[2]: each["insightStatus"]["status"]
        for each in scene.insight("webhooks")["resources"]
    } == {"gone": "ERROR", "silent": "ERROR", "well": "PASSING"}
    (node,) = scene.insight("kubelet")["resources"]
    assert node["insightStatus"]["reason"] == "kubelet 1.34.4 is more than 3 minors older than 1.38"
    (cluster,) = scene.insight("health")["resources"]
    assert cluster["arn"] == scene.customer.eks.describe_cluster(name="shop")["cluster"]["arn"]


def test_objects_of_a_deprecated_api_are_not_read_by_it(tmp_path: Path) -> None:
    """It would be counted as somebody's use of it, for ever."""

    def story(customer: Customer) -> None:
        customer.active()
        scene = Looking(customer)
        scene.api.metrics = COUNTED.format(3, "1.50").replace('"policy"', '"other"').replace("poddisruption", "time")
        scene.api.groups["other"] = ["v1beta1"]
        assert scene.refreshed()["status"] == "COMPLETED"
        apis = scene.insight("apis")
        assert apis["insightStatus"]["status"] == "PASSING"
        assert "/apis/other/v1beta1/timebudgets (until 1.50)" in apis["insightStatus"]["reason"]
        assert "poddisruptionbudgets" in scene.api.listed
        assert "timebudgets" not in scene.api.listed

    told(tmp_path, story)


def test_a_cluster_that_does_not_answer_fails_its_refresh_and_says_why(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        scene = Looking(customer)
        ended = scene.refreshed(answering=False)
        assert ended["status"] == "FAILED"
        assert "its API does not answer" in ended["message"]
        assert scene.statuses(filter={"statuses": ["PASSING"]}) == {"addresses": "PASSING", "health": "PASSING"}
        reason = scene.insight("webhooks")["insightStatus"]["reason"]
        assert reason.endswith("it was not looked at yet")

    told(tmp_path, story)


def test_a_look_that_is_refused_fails_its_refresh_with_why(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        scene = Looking(customer)
        scene.api.groups["policy"] = ["v2"]
        ended = scene.refreshed()
        assert ended["status"] == "FAILED"
        assert ended["message"] == "GET /apis/policy/v1/poddisruptionbudgets: there is no such version"
        assert ended["startedAt"] <= ended["endedAt"]

    told(tmp_path, story)


def test_what_nobody_looked_at_is_unknown_and_insights_go_with_their_cluster(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        eks = customer.eks
        assert refused(eks.start_insights_refresh, clusterName="shop")[0] == "ResourceNotFoundException"
        customer.active()
        scene = Looking(customer)
        assert set(scene.statuses().values()) == {"UNKNOWN"}
        before = {each["id"] for each in eks.list_insights(clusterName="shop")["insights"]}
        code, said = refused(eks.describe_insights_refresh, clusterName="shop")
        assert (code, said) == (
            "ResourceNotFoundException",
            "No insights refresh of cluster shop was started: StartInsightsRefresh starts one.",
        )
        assert refused(eks.describe_insight, clusterName="shop", id="none")[0] == "ResourceNotFoundException"
        eks.start_insights_refresh(clusterName="shop")
        going = eks.describe_insights_refresh(clusterName="shop")
        eks.start_insights_refresh(clusterName="shop")
        assert eks.describe_insights_refresh(clusterName="shop")["startedAt"] == going["startedAt"]
        eks.delete_cluster(name="shop")
        eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=QUICK)
        customer.active()
        assert refused(eks.describe_insights_refresh, clusterName="shop")[0] == "ResourceNotFoundException"
        assert not before & {each["id"] for each in eks.list_insights(clusterName="shop")["insights"]}

    told(tmp_path, story)
