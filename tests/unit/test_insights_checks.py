"""What checks say of facts: tables of facts and findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadstead.clusters.insights import (
    addresses,
    budgets,
    checks,
    deprecations,
    facts,
    finding,
    health,
    skew,
    webhooks,
)
from roadstead.clusters.insights.finding import Status

AROUND = facts.Around(arn="arn:shop", status="ACTIVE", version="1.36")
SEEN = facts.InCluster(at=1000.0, servers=())
OLD = facts.ApiName("policy", "v1beta1", "poddisruptionbudgets")
BUDGET = facts.Budget(namespace="web", name="calm", pods=3, healthy=3, wanted=2, allowed=1)
WEBHOOK = facts.Webhook(plural="validatingwebhookconfigurations", configuration="gate", name="gate.example.com")
ROOM = facts.GroupRoom(nodegroup="ng", arn="arn:subnet", subnet="subnet-1", cidr="10.0.0.0/24", needed=1, room=1)


@pytest.mark.parametrize(
    ("version", "status", "said"),
    [
        ("1.36.3", Status.PASSING, "kubelet 1.36.3"),
        ("1.34.4", Status.PASSING, "kubelet 1.34.4"),
        ("1.33.9", Status.ERROR, "kubelet 1.33.9 is more than 3 minors older than 1.37"),
        ("1.37.0", Status.ERROR, "kubelet 1.37.0 is newer than the control plane, 1.36"),
        ("", Status.UNKNOWN, "the version of its kubelet is not known"),
        ("latest", Status.UNKNOWN, "the version of its kubelet is not known: 'latest'"),
    ],
)
def test_a_kubelet_is_judged_by_the_control_plane_before_and_after(version: str, status: Status, said: str) -> None:
    seen = replace(SEEN, nodes=(facts.NodeVersion("n1", version, ""), facts.NodeVersion("n2", "1.36.0", "1.36.0")))
    found = skew.kubelet(seen, AROUND)
    assert (found.status, found.resources[0]) == (status, finding.ResourceFinding(status, said, "/api/v1/nodes/n1"))
    assert found.resources[1].status is Status.PASSING


def test_a_proxy_that_nobody_knows_is_not_said_to_fit() -> None:
    seen = replace(SEEN, nodes=(facts.NodeVersion("n1", "1.36.0", ""), facts.NodeVersion("n2", "1.36.0", "1.36.0")))
    found = skew.proxy(seen, AROUND)
    assert [each.status for each in found.resources] == [Status.UNKNOWN, Status.PASSING]
    assert (found.status, found.reason) == (
        Status.UNKNOWN,
        "of 1 nodes the kube-proxy does not fit, or is not known",
    )
    assert skew.kubelet(SEEN, AROUND).reason == "the cluster has no nodes"


@pytest.mark.parametrize(
    ("budget", "status", "said"),
    [
        (BUDGET, Status.PASSING, "1 of its 3 pods may go now"),
        (
            replace(BUDGET, allowed=0, healthy=2),
            Status.WARNING,
            "none of its 3 pods may go now: 2 are healthy and 2 have to be",
        ),
        (
            replace(BUDGET, allowed=0, wanted=3),
            Status.WARNING,
            "none of its 3 pods may go now: 3 are healthy and 3 have to be, which no number of pods that become "
            "healthy changes",
        ),
        (replace(BUDGET, pods=0, allowed=0), Status.PASSING, "it is about no pods now"),
        (
            replace(BUDGET, current=False),
            Status.UNKNOWN,
            "it was changed, and its numbers are not counted anew yet",
        ),
    ],
)
def test_a_budget_that_lets_no_pod_go_is_a_warning(budget: facts.Budget, status: Status, said: str) -> None:
    seen = replace(SEEN, nodes=(facts.NodeVersion("n1", "1.36.0", ""),), budgets=(budget,))
    found = budgets.find(seen, AROUND)
    uri = "/apis/policy/v1/namespaces/web/poddisruptionbudgets/calm"
    assert found.resources == (finding.ResourceFinding(status, said, uri),)
    assert found.status is status
    assert budgets.find(replace(seen, nodes=()), AROUND).status is Status.PASSING


@pytest.mark.parametrize(
    ("webhook", "status"),
    [
        (replace(WEBHOOK, service="a/b", endpoints=2), Status.PASSING),
        (replace(WEBHOOK, service="a/b", endpoints=0), Status.ERROR),
        (replace(WEBHOOK, service="a/b", missing=True), Status.ERROR),
        (replace(WEBHOOK, service="a/b", endpoints=2, system_pods=True), Status.WARNING),
        (replace(WEBHOOK, service="a/b", endpoints=0, system_pods=True), Status.ERROR),
        (replace(WEBHOOK, service="a/b"), Status.UNKNOWN),
        (WEBHOOK, Status.UNKNOWN),
        (replace(WEBHOOK, system_pods=True), Status.WARNING),
    ],
)
def test_a_webhook_that_nobody_answers_for_is_an_error(webhook: facts.Webhook, status: Status) -> None:
    found = webhooks.find(replace(SEEN, webhooks=(webhook,)), AROUND)
    (resource,) = found.resources
    assert (found.status, resource.status) == (status, status)
    assert resource.uri == "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/gate"
    assert "gate.example.com" in resource.reason


def test_subnets_without_room_for_new_nodes_are_a_warning() -> None:
    assert addresses.find(AROUND).status is Status.PASSING
    found = addresses.find(replace(AROUND, rooms=(ROOM, replace(ROOM, subnet="subnet-2", needed=3, room=1))))
    assert [(each.status, each.arn) for each in found.resources] == [
        (Status.PASSING, "arn:subnet"),
        (Status.WARNING, "arn:subnet"),
    ]
    assert "subnet-2 (10.0.0.0/24) has room for 1 more nodes of nodegroup ng" in found.resources[1].reason


@pytest.mark.parametrize(
    ("around", "status"),
    [
        (replace(AROUND, members=(facts.Member("api-a", "ready"),)), Status.PASSING),
        (replace(AROUND, status="UPDATING"), Status.WARNING),
        (replace(AROUND, status="FAILED"), Status.ERROR),
        (replace(AROUND, members=(facts.Member("api-a", "failing", "it dies"),)), Status.ERROR),
        (replace(AROUND, members=(facts.Member("api-a", "making", "it starts"),)), Status.WARNING),
        (replace(AROUND, members=(facts.Member("api-a", "making", "it starts", lasts=True),)), Status.ERROR),
        (replace(AROUND, members=(facts.Member("etcd-a", "ready", warnings=("is full",)),)), Status.WARNING),
        (replace(AROUND, warnings=("the disk is nearly full",)), Status.WARNING),
    ],
)
def test_a_control_plane_that_is_not_well_is_told(around: facts.Around, status: Status) -> None:
    assert health.find(around).status is status


def server(requests: int, name: str = "a", *, started: float = 1.0, removed: str = "1.37") -> facts.ApiServer:
    return facts.ApiServer(name, started, (facts.ApiUse(OLD, removed, requests),))


def judged(history: tuple[facts.ApiHistory, ...], at: float, **more: object) -> finding.Finding:
    return deprecations.find(replace(SEEN, at=at, **more), AROUND, history)  # type: ignore[arg-type]  # fields


def test_an_api_is_in_use_while_its_requests_grow_and_for_a_while_after() -> None:
    history = deprecations.merged((), (server(5),), 100.0)
    assert judged(history, 100.0).status is Status.ERROR
    history = deprecations.merged(history, (server(6),), 400.0)
    assert (history[0].since, history[0].last) == (100.0, 400.0)
    history = deprecations.merged(history, (server(6),), 400.0 + deprecations.QUIET)
    assert judged(history, 400.0 + deprecations.QUIET).status is Status.ERROR
    assert judged(history, 401.0 + deprecations.QUIET).status is Status.WARNING
    history = deprecations.merged(history, (server(6),), 401.0 + deprecations.FORGOTTEN)
    assert judged(history, 401.0 + deprecations.FORGOTTEN).status is Status.PASSING
    history = deprecations.merged(history, (server(7),), 500.0 + deprecations.FORGOTTEN)
    assert judged(history, 500.0 + deprecations.FORGOTTEN).status is Status.ERROR


def test_a_watch_that_goes_on_is_use_and_a_restarted_server_forgets_nothing() -> None:
    history = deprecations.merged((), (server(5), server(2, "b")), 100.0)
    watching = facts.ApiServer("a", 1.0, (facts.ApiUse(OLD, "1.37", 5, watching=1),))
    history = deprecations.merged(history, (watching, server(2, "b")), 5000.0)
    assert history[0].last == 5000.0
    anew = facts.ApiServer("a", 9000.0, ())
    history = deprecations.merged(history, (anew,), 9000.0)
    assert (history[0].last, judged(history, 9000.0).status) == (5000.0, Status.WARNING)
    assert deprecations.merged(history, (anew,), 5000.0 + deprecations.FORGOTTEN) == ()


def test_what_the_next_minor_does_not_remove_passes_and_is_named() -> None:
    endpoints = facts.ApiUse(facts.ApiName("", "v1", "endpoints"), "", 3)
    later = facts.ApiServer("a", 1.0, (facts.ApiUse(OLD, "1.38", 1), endpoints))
    found = judged(deprecations.merged((), (later,), 100.0), 100.0)
    assert found.status is Status.PASSING
    assert found.reason == (
        "no API that 1.37 removes was requested; deprecated, requested, and still there: /api/v1/endpoints, "
        "/apis/policy/v1beta1/poddisruptionbudgets (until 1.38)"
    )


def test_who_uses_an_api_is_said_as_far_as_it_is_known() -> None:
    history = deprecations.merged((), (server(5),), 100.0)
    assert judged(history, 100.0).resources == (
        finding.ResourceFinding(
            Status.ERROR,
            "requested, seen first at 1970-01-01T00:01:40Z and last at 1970-01-01T00:01:40Z; 1.37 removes it; who asks "
            "for it is not known: API servers do not count by client",
            OLD.path,
        ),
    )
    about = facts.ApiAround(OLD, "/apis/policy/v1/poddisruptionbudgets", (facts.ApiWriter("helm", 90.0),))
    found = judged(history, 100.0, apis=(about,))
    assert "objects were written by it by helm; who only reads is not known" in found.resources[0].reason
    assert found.deprecations == (
        finding.Deprecation(OLD.path, "1.37", about.replacement, (finding.ApiClient("helm", 90.0),)),
    )


def test_a_server_that_does_not_answer_is_not_taken_for_one_that_counted_nothing() -> None:
    silent = facts.ApiServer("https://b", trouble="it is away")
    assert judged((), 100.0, servers=(silent,)).status is Status.UNKNOWN
    history = deprecations.merged((), (server(5), silent), 100.0)
    found = judged(history, 100.0, servers=(server(5), silent))
    assert found.status is Status.ERROR
    assert "https://b: it is away" in found.reason


def test_each_check_has_one_source_and_its_own_word() -> None:
    assert len({check.word for check in checks.CHECKS}) == len(checks.CHECKS)
    for check in checks.CHECKS:
        assert (check.inside is None) != (check.outside is None)
        assert check.description.endswith(".")
        assert check.recommendation.endswith(".")
        assert all(link.startswith("https://") for link in check.links.values())
