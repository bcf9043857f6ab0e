"""What API servers count and what objects say, as facts."""

from __future__ import annotations

from typing import Any

import pytest

from roadstead.clusters.insights import facts
from roadstead.controllers.insights import metrics, objects

COUNTED = b"""\
apiserver_longrunning_requests{component="apiserver",group="",resource="endpoints",scope="cluster",subresource="",\
verb="WATCH",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="endpoints",scope="cluster",\
subresource="",verb="LIST",version="v1"} 4
apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="endpoints",scope="resource",\
subresource="",verb="GET",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",\
subresource="",verb="LIST",version="v1"} 9
apiserver_request_total{code="200",component="apiserver",dry_run="",group="example.com",resource="odd\\"ones",\
scope="cluster",subresource="",verb="LIST",version="v1beta1"} 1e+06
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="example.com",removed_release="1.40",resource="odd\\"ones",subresource="",\
version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="example.com",removed_release="1.39",resource="odd\\"ones",\
subresource="status",version="v1beta1"} 1
process_start_time_seconds 1.78432e+09
"""
POD_RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
SYSTEM = {"kubernetes.io/metadata.name": "kube-system", "team": "platform"}


def test_counts_are_of_what_is_deprecated_by_their_apis() -> None:
    read = metrics.read("https://a", COUNTED.splitlines())
    odd = facts.ApiName("example.com", "v1beta1", 'odd\\"ones')
    assert read == facts.ApiServer(
        "https://a",
        1.78432e9,
        (facts.ApiUse(odd, "1.39", 1_000_000, 0), facts.ApiUse(facts.ApiName("", "v1", "endpoints"), "", 5, 2)),
    )
    assert all(line.startswith(metrics.WANTED) for line in COUNTED.splitlines())


def test_who_serves_many_deprecated_resources_has_the_first_of_them_kept() -> None:
    lines = [
        f'apiserver_requested_deprecated_apis{{group="g",removed_release="",resource="r{n}",version="v1"}} 1'.encode()
        for n in range(2 * metrics.MOST)
    ]
    assert len(metrics.read("a", lines).uses) == metrics.MOST


def test_a_node_has_its_versions_as_far_as_they_are_known() -> None:
    thing = {"metadata": {"name": "n1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.37.2"}}}
    assert objects.node(thing, ("n1",)) == facts.NodeVersion("n1", "1.37.2", "1.37.2")
    assert objects.node(thing, ()) == facts.NodeVersion("n1", "1.37.2", "")
    assert objects.node({"metadata": {"name": "n1"}}, ()) == facts.NodeVersion("n1", "", "")


def test_a_budget_is_counted_by_its_controller() -> None:
    thing: dict[str, Any] = {"metadata": {"namespace": "web", "name": "calm", "generation": 2}}
    assert not objects.budget(thing).current
    thing["status"] = {
        "observedGeneration": 2,
        "expectedPods": 3,
        "currentHealthy": 2,
        "desiredHealthy": 2,
        "disruptionsAllowed": 0,
    }
    assert objects.budget(thing) == facts.Budget(
        namespace="web", name="calm", pods=3, healthy=2, wanted=2, allowed=0, current=True
    )


def found(**webhook: Any) -> list[facts.Webhook]:
    client = {"service": {"namespace": "gate", "name": "gate"}}
    whole = {"name": "gate.example.com", "clientConfig": client, "rules": [POD_RULE], **webhook}
    thing = {"metadata": {"name": "gate"}, "webhooks": [whole]}
    return objects.webhooks([objects.Configuration("validatingwebhookconfigurations", thing)], SYSTEM)


def test_webhooks_fail_closed_unless_they_say_otherwise() -> None:
    assert [each.service for each in found()] == ["gate/gate"]
    assert found(failurePolicy="Ignore") == []
    assert [each.service for each in found(clientConfig={"url": "https://gate.example.com"})] == [""]


@pytest.mark.parametrize(
    ("webhook", "covered"),
    [
        ({}, True),
        ({"rules": [{**POD_RULE, "resources": ["*/*"], "apiGroups": ["*"], "operations": ["*"]}]}, True),
        ({"rules": [{**POD_RULE, "scope": "Cluster"}]}, False),
        ({"rules": [{**POD_RULE, "operations": ["DELETE"]}]}, False),
        ({"rules": [{**POD_RULE, "resources": ["deployments"]}]}, False),
        ({"rules": [{**POD_RULE, "resources": ["pods/exec"]}]}, False),
        ({"rules": []}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "web"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"team": "platform"}}}, True),
        ({"objectSelector": {"matchLabels": {"app": "web"}}}, False),
        ({"matchConditions": [{"name": "some", "expression": "false"}]}, False),
    ],
)
def test_whether_pods_of_the_system_depend_on_a_webhook(webhook: dict[str, Any], covered: bool) -> None:
    assert [each.system_pods for each in found(**webhook)] == [covered]


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [
        ("In", ["platform"], True),
        ("In", ["web"], False),
        ("NotIn", ["platform"], False),
        ("NotIn", ["web"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
def test_selectors_are_read_as_kubernetes_reads_them(operator: str, values: list[str], fits: bool) -> None:
    selector = {"matchExpressions": [{"key": "team", "operator": operator, "values": values}]}
    assert objects.selects(selector, SYSTEM) is fits
    absent = {"matchExpressions": [{"key": "other", "operator": operator, "values": values}]}
    assert objects.selects(absent, SYSTEM) is (operator in ("NotIn", "DoesNotExist"))


def test_endpoints_are_ready_unless_they_say_otherwise() -> None:
    endpoints = [{"conditions": {"ready": True}}, {"conditions": {"ready": False}}, {}, {"conditions": {}}]
    assert objects.ready([{"endpoints": endpoints}, {}, {"endpoints": None}]) == 3


def test_writers_are_those_who_wrote_by_that_version() -> None:
    entries = [
        {"manager": "helm", "apiVersion": "policy/v1beta1", "time": "2026-11-01T00:00:00Z"},
        {"manager": "kubectl", "apiVersion": "policy/v1", "time": "2026-11-02T00:00:00Z"},
    ]
    newer = {"manager": "helm", "apiVersion": "policy/v1beta1", "time": "2026-11-03T00:00:00Z"}
    things: list[dict[str, Any]] = [
        {"metadata": {"managedFields": entries}},
        {"metadata": {"managedFields": [newer]}},
        {"metadata": {}},
    ]
    assert objects.writers(things, "policy/v1beta1") == (facts.ApiWriter("helm", 1793664000.0),)
