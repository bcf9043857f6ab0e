"""The controllers against a real API server: tokens log in, certificates are signed, Nodes go, pods are evicted.

Cost: about 25 s: one etcd, one API server and one controller-manager on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import logging
import time
from collections.abc import Iterator

import pytest
from testkit import authorities
from tests.live import bare_plane
from tests.live.controllers_lab import NODE, OTHER, Scene, asking, expected, play, state

from roadstead.clusters.insights import facts
from roadstead.contract import leaving
from roadstead.controllers.nodes import csr, drain, states
from roadstead.controllers.runtime import targets
from roadstead.core import errors
from roadstead.kube import connection, resources
from roadstead.kube.resources import Json

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bare_plane.Plane]:
    with bare_plane.running(tmp_path_factory.mktemp("plane")) as running:
        yield running


def request(signer: str, node: str, addresses: tuple[str, ...] = ()) -> tuple[Json, bytes]:
    """A kubelet's request for a certificate, and its key in PEM."""
    usages = ["digital signature", "client auth" if signer == csr.IDENTITY else "server auth"]
    return authorities.request(signer, usages, f"system:node:{node}", ["system:nodes"], addresses)


async def asked(world: Scene, by: connection.Connection, thing: Json) -> Json:
    """The request when it was signed or denied."""
    made = await by.create(thing)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = await world.api.get(resources.SIGNING_REQUESTS, resources.name(made))
        status: Json = now.get("status") or {}
        if status.get("certificate") or any(c["type"] == "Denied" for c in status.get("conditions") or ()):
            return status
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody decided: {now}")


class ByToken(connection.Connection):
    """Logs in with a bootstrap token, as a kubelet that has no certificate yet."""

    def __init__(self, plane: bare_plane.Plane, token: str) -> None:
        # A certificate of another CA is nobody's: the token counts.
        certificate, key = authorities.Authority().issue("nobody")
        nobody = connection.Credentials(ca=plane.authority.pem, certificate=certificate, key=key)
        super().__init__((plane.server,), nobody)
        self.token = token

    async def __aenter__(self) -> ByToken:
        await super().__aenter__()
        assert self._session is not None
        self._session.headers["authorization"] = f"Bearer {self.token}"
        return self


def test_a_node_gets_its_two_certificates_and_no_other(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        node = expected(2)
        world.posted.nodes(node=node, other=expected(3))
        began = time.monotonic()
        async with ByToken(plane, f"{node.token_id}.{node.token_secret}") as kubelet:
            while True:
                thing, key = request(csr.IDENTITY, NODE)
                with contextlib.suppress(errors.Denied):
                    signed = await asked(world, kubelet, thing)
                    break
                assert time.monotonic() - began < 10, "the token does not log in"
                await asyncio.sleep(0.02)
            print(f"\nfirst certificate {time.monotonic() - began:.2f} s after the node was expected")
            denied = await asked(world, kubelet, request(csr.IDENTITY, OTHER)[0])
        assert "certificate" not in denied
        reason = f"the token of node {NODE} asks for the identity of node {OTHER}"
        assert denied["conditions"][0]["message"] == reason
        identity = connection.Credentials(
            ca=plane.authority.pem, certificate=base64.b64decode(signed["certificate"]), key=key
        )
        async with connection.Connection((plane.server,), identity) as kubelet:
            serving = await asked(world, kubelet, request(csr.SERVING, NODE, ("192.168.1.2",))[0])
            assert "certificate" in serving
            denied = await asked(world, kubelet, request(csr.SERVING, NODE, ("192.168.1.3",))[0])
            assert "192.168.1.3 is not node" in denied["conditions"][0]["message"]

    play(plane, story)


def test_a_token_ends_with_its_node(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        ours = connection.Select(namespace="kube-system", labels="roadstead.dev/bootstrap")

        async def names() -> set[str]:
            return {resources.name(secret) for secret in (await world.api.list(resources.SECRETS, ours))[0]}

        for nodes, wanted in (
            (
                {"node": expected(2), "other": expected(3)},
                {"bootstrap-token-abcde2", "bootstrap-token-abcde3"},
            ),
            ({"other": expected(3)}, {"bootstrap-token-abcde3"}),
            ({}, set()),
        ):
            world.posted.nodes(**nodes)

            async def as_wanted(wanted: set[str] = wanted) -> bool:
                return await names() == wanted

            await asking(as_wanted)

    play(plane, story)


def test_what_was_applied_is_not_touched_again(plane: bare_plane.Plane) -> None:
    async def revisions(api: connection.Connection) -> dict[str, str]:
        bindings, _ = await api.list(resources.CLUSTER_ROLE_BINDINGS)
        maps, _ = await api.list(resources.CONFIG_MAPS, connection.Select(namespace="kube-system"))
        ours = ("eks:", "roadstead", "settings")
        return {
            resources.name(thing): thing["metadata"]["resourceVersion"]
            for thing in (*bindings, *maps)
            if resources.name(thing).startswith(ours)
        }

    seen: list[dict[str, str]] = []

    async def look(world: Scene) -> None:
        seen.append(await revisions(world.api))

    play(plane, look)
    play(plane, look)
    assert seen[0] == seen[1]
    assert {"settings", "roadstead-system", "eks:access-policy:AmazonEKSViewPolicy"} <= seen[0].keys()


def test_a_node_without_a_host_is_deleted_with_its_pods(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        world.posted.nodes(node=expected(2))
        await world.register(NODE, 2)
        await world.until(lambda: world.node() is not None)
        await world.api.create(pod("stays-behind", node=NODE, grace=30))
        await world.register(OTHER, 3)
        guest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "guest"}}
        await world.api.create(guest)
        began = time.monotonic()
        await asking(lambda: gone(world, resources.NODES, OTHER))
        assert world.node() is not None
        world.posted.nodes()
        await world.until(lambda: world.node() is None)
        await asking(lambda: gone(world, resources.PODS, "stays-behind", "default"))
        print(f"\ntwo Nodes and a pod gone after {time.monotonic() - began:.2f} s")
        assert await there(world, resources.NODES, "guest")
        await world.api.delete(resources.NODES, "guest")

    play(plane, story)


def test_an_earlier_instance_of_the_same_name_is_deleted(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        world.posted.nodes(node=expected(2))
        await world.register(NODE, 2)
        await world.until(lambda: world.node() is not None)
        world.posted.nodes(node=expected(4))
        await asking(lambda: gone(world, resources.NODES, NODE))
        assert world.node() is None

    play(plane, story)


def test_a_node_that_is_to_go_is_drained_and_says_what_holds_it(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        world.posted.nodes(node=expected(2))
        await world.register(NODE, 2)
        for name in ("free", "held"):
            await world.api.create(pod(name, node=NODE, grace=0))
            await world.api.call("PATCH", f"/api/v1/namespaces/default/pods/{name}/status", RUNNING, form="merge")
        await world.api.create(BUDGET)

        async def counted() -> bool:
            return bool((await world.api.call("GET", BUDGET_PATH))["status"].get("currentHealthy"))

        await asking(counted)
        world.posted.nodes(node=expected(2, leave=leaving.Leave.MOVED))

        def held() -> list[str]:
            return [one for one in state(world).blocked if "pod default/held" in one and "calm" in one]

        def as_wanted() -> bool:
            now = state(world)
            return now.drain is states.DrainState.BLOCKED and now.unschedulable and len(held()) == len(now.blocked) == 1

        # Each look tells anew what is left: the first may have met a server that was busy.
        took = await world.until(as_wanted, 40)
        print(f"\nblocked after {took:.2f} s: {state(world).blocked}")
        assert state(world).unschedulable
        assert held()
        assert len(state(world).blocked) == 1
        assert not await there(world, resources.PODS, "free", "default")
        await world.api.call("DELETE", BUDGET_PATH)
        took = await world.until(lambda: state(world).drain is states.DrainState.DONE)
        print(f"drained {took:.2f} s after the budget went")
        world.posted.nodes()
        await world.until(lambda: world.node() is None)

    play(plane, story, drain.DrainTimes(most=2.0))


def test_a_node_has_what_its_nodegroup_gives_it(plane: bare_plane.Plane) -> None:
    """Also what changes later; labels and taints of others stay."""

    def marks(team: str, kind: str, **more: str) -> targets.NodeMarks:
        taint = targets.NodeTaint(key="dedicated", value=kind, effect="NoSchedule")
        return targets.NodeMarks(labels={"team": team, **more}, taints=(taint,))

    async def story(world: Scene) -> None:
        first = marks("blue", "gpu", **{"node-role.kubernetes.io/worker": ""})
        world.posted.nodes(node=expected(2, marks=first))
        taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
        # Those of the API server and of its controllers come and go meanwhile.
        theirs = {"key": "example.com/theirs", "value": "yes", "effect": "NoSchedule"}
        await world.register(NODE, 2, taints=[taint, theirs])
        await world.until(lambda: world.node() is not None and state(world).marks == first)
        there = await world.api.get(resources.NODES, NODE)
        assert there["metadata"]["labels"].items() >= first.labels.items()
        assert taint in there["spec"]["taints"]
        assert theirs in there["spec"]["taints"]
        await world.api.patch(resources.NODES, NODE, {"metadata": {"labels": {"mine": "yes"}}})
        second = marks("red", "cpu")
        world.posted.nodes(node=expected(2, marks=second))
        took = await world.until(lambda: state(world).marks == second)
        print(f"\nchanged {took:.2f} s after its nodegroup")
        there = await world.api.get(resources.NODES, NODE)
        labels = there["metadata"]["labels"]
        assert (labels["team"], labels["mine"]) == ("red", "yes")
        assert "node-role.kubernetes.io/worker" not in labels
        of_ours = [one for one in there["spec"]["taints"] if one["key"] == "dedicated"]
        assert of_ours == [{**taint, "value": "cpu"}]
        assert theirs in there["spec"]["taints"]
        world.posted.nodes()
        await world.until(lambda: world.node() is None)

    play(plane, story)


def test_it_goes_on_when_the_api_is_back(plane: bare_plane.Plane, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadstead.controllers")
    away, back = "its API does not answer", "its API answers"

    def told() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.name.startswith("roadstead.")]

    async def story(world: Scene) -> None:
        caplog.clear()
        plane.stop("kube-apiserver")
        await world.until(lambda: not world.system().answering)
        world.posted.nodes(node=expected(2))
        # It is tried again and again meanwhile.
        await asyncio.sleep(2)
        assert [away in line for line in told()] == [True], told()
        plane.start("kube-apiserver")
        took = await world.until(lambda: world.system().answering, 40)
        print(f"\nanswers again {took:.2f} s after its start")
        await world.register(NODE, 2)
        await world.until(lambda: world.node() is not None)
        # A server that has just started has no time now and then: how often both are said is not known.
        said = [away in line for line in told() if away in line or back in line]
        assert all(one is not other for one, other in itertools.pairwise(said)), told()
        assert all(record.levelno <= logging.WARNING for record in caplog.records), told()
        world.posted.nodes()
        await world.until(lambda: world.node() is None)

    play(plane, story)


def test_what_is_in_the_way_of_an_upgrade_is_seen_within_one_refresh(plane: bare_plane.Plane) -> None:
    async def story(world: Scene) -> None:
        async def refreshed(id: str) -> facts.InCluster:
            """What a refresh of that id reports."""

            def seen() -> facts.InCluster | None:
                found = world.reports.of("one", facts.InCluster)
                return found if found is not None and found.refresh == id else None

            world.posted.refresh(id)
            took = await world.until(lambda: seen() is not None)
            print(f"\na refresh took {took:.2f} s")
            found = seen()
            assert found is not None
            return found

        world.posted.nodes(node=expected(2))
        await world.register(NODE, 2)
        await world.until(lambda: world.node() is not None)
        for thing in (pod("held", NODE, 0), BUDGET, WEBHOOK):
            await world.api.create(thing)

        async def counted() -> bool:
            return bool((await world.api.call("GET", BUDGET_PATH)).get("status", {}).get("expectedPods"))

        try:
            await asking(counted)
            await world.api.list(resources.of({"apiVersion": "v1", "kind": "Endpoints"}))
            found = await refreshed("r1")
        finally:
            await world.api.delete(resources.BUDGETS, "calm", "default")
            await world.api.delete(resources.VALIDATING_WEBHOOKS, "gate")
            await world.api.delete(resources.PODS, "held", "default", grace=0)
        (server,) = found.servers
        assert (server.trouble, server.started > 1.7e9) == ("", True)
        # Deprecated since 1.33, and removed by no release.
        (endpoints,) = [use for use in server.uses if use.api == facts.ApiName("", "v1", "endpoints")]
        assert (endpoints.removed, endpoints.requests > 0) == ("", True)
        (budget,) = found.budgets
        assert (budget.name, budget.pods, budget.allowed, budget.current) == ("calm", 1, 0, True)
        (webhook,) = found.webhooks
        assert (webhook.service, webhook.missing, webhook.system_pods) == ("default/gate", True, False)
        assert [node.name for node in found.nodes] == [NODE]
        world.posted.nodes()
        await world.until(lambda: world.node() is None)
        found = await refreshed("r2")
        assert (found.budgets, found.webhooks, found.nodes) == ((), (), ())

    play(plane, story)


async def gone(world: Scene, resource: resources.Resource, name: str, namespace: str = "") -> bool:
    return not await there(world, resource, name, namespace)


async def there(world: Scene, resource: resources.Resource, name: str, namespace: str = "") -> bool:
    try:
        await world.api.get(resource, name, namespace)
    except errors.NotFound:
        return False
    return True


def pod(name: str, node: str, grace: int) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": grace,
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "none"}],
            # They are not to be evicted by the node's own taints while it is not ready.
            "tolerations": [{"operator": "Exists"}],
        },
    }


RUNNING: Json = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
BUDGET: Json = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "calm", "namespace": "default"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "held"}}},
}
WEBHOOK: Json = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "gate"},
    "webhooks": [
        {
            "name": "gate.example.com",
            "clientConfig": {"service": {"namespace": "default", "name": "gate"}},
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["replicationcontrollers"],
                }
            ],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }
    ],
}
BUDGET_PATH = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/calm"
