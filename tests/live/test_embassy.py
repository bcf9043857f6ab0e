"""The embassy against a real API server: tokens log in, certificates are signed, Nodes go, pods are evicted.

Cost: about 25 s: one etcd, one API server and one controller-manager on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.live import bare_plane

from roadstead.controllers import csr, embassy, facts, postings, reports
from roadstead.core import errors
from roadstead.kube import connection, resources
from roadstead.kube.resources import Json

pytestmark = pytest.mark.live

NODE = "ip-192-168-1-2.eu-central-1.compute.internal"
OTHER = "ip-192-168-1-3.eu-central-1.compute.internal"
SYSTEM = facts.SystemFacts(
    id="c-1a2b3c4d",
    name="one",
    account="111122223333",
    region="eu-central-1",
    zones=("eu-central-1a",),
    release="1.37.2",
    service_cidr="10.100.0.0/16",
    dns="10.100.0.10",
    vpc_cidr="192.168.0.0/16",
    resolvers=("192.168.0.2",),
    images=facts.Images(coredns="coredns", provisioner="provisioner"),
)


def expected(number: int, **more: object) -> postings.Expected:
    node = postings.Expected(
        instance=f"i-{number:017x}",
        address=f"192.168.1.{number}",
        token_id=f"abcde{number}",
        token_secret="0123456789abcdef",
        nodegroup="workers",
    )
    return replace(node, **more)  # type: ignore[arg-type]  # fields of a node


class Posted:
    """Postings that a test changes."""

    def __init__(self, posting: postings.Posting) -> None:
        self.posting = posting
        self._changed = asyncio.Event()

    def nodes(self, **nodes: postings.Expected) -> None:
        names = {"node": NODE, "other": OTHER}
        self.posting = replace(self.posting, nodes={names[word]: node for word, node in nodes.items()})
        self._changed.set()

    def current(self) -> Mapping[str, postings.Posting]:
        return {self.posting.key: self.posting}

    async def changes(self) -> AsyncIterator[None]:
        while True:
            yield
            await self._changed.wait()
            self._changed.clear()


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    meta = {"name": "settings", "namespace": "kube-system"}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"cluster": of.name}},)


class Scene:
    """An embassy at work, and a connection as a user who may do everything."""

    def __init__(self, plane: bare_plane.Plane, posted: Posted, working: embassy.Embassy) -> None:
        self.plane = plane
        self.posted = posted
        self.reports = working.reports
        self.api = connection.Connection((plane.server,), posted.posting.credentials)

    def node(self, name: str = NODE) -> reports.NodeState | None:
        return self.reports.nodes("one").get(name)

    async def until(self, what: Callable[[], bool], seconds: float = 20.0) -> float:
        """Wait for a report; seconds that it took."""
        began = time.monotonic()
        changes = self.reports.changes()
        async with contextlib.aclosing(changes), asyncio.timeout(seconds):
            while not what():
                await anext(changes)
        return time.monotonic() - began

    async def register(self, name: str, number: int) -> None:
        provider = f"aws:///eu-central-1a/i-{number:017x}"
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"providerID": provider}}
        await self.api.create(node)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bare_plane.Plane]:
    with bare_plane.running(tmp_path_factory.mktemp("plane")) as running:
        yield running


def play(plane: bare_plane.Plane, story: Callable[[Scene], Awaitable[None]], drain: float = 60.0) -> None:
    """Run a story against an embassy of its own."""

    async def run() -> None:
        credentials = plane.credentials("roadstead:serve")
        posted = Posted(postings.Posting(key="one", servers=(plane.server,), credentials=credentials, system=SYSTEM))
        working = embassy.Embassy(posted, objects, tell=lambda *_: None, drain=drain)
        scene = Scene(plane, posted, working)
        task = asyncio.create_task(working.run())
        try:
            async with asyncio.timeout(90), scene.api:
                await scene.until(lambda: scene.reports.system("one").applied, 40)
                await story(scene)
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled(), task.exception()

    asyncio.run(run())


def request(signer: str, node: str, addresses: tuple[str, ...] = ()) -> tuple[Json, bytes]:
    """A kubelet's request for a certificate, and its key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        bare_plane.name(f"system:node:{node}", "system:nodes")
    )
    if addresses:
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    purpose = "client auth" if signer == csr.IDENTITY else "server auth"
    thing: Json = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "signerName": signer,
            "request": base64.b64encode(pem).decode(),
            "usages": ["digital signature", purpose],
        },
    }
    return thing, bare_plane.pem(key)


async def asked(scene: Scene, by: connection.Connection, thing: Json) -> Json:
    """The request when it was signed or denied."""
    made = await by.create(thing)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = await scene.api.get(resources.SIGNING_REQUESTS, resources.name(made))
        status: Json = now.get("status") or {}
        if status.get("certificate") or any(c["type"] == "Denied" for c in status.get("conditions") or ()):
            return status
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody decided: {now}")


class ByToken(connection.Connection):
    """Logs in with a bootstrap token, as a kubelet that has no certificate yet."""

    def __init__(self, plane: bare_plane.Plane, token: str) -> None:
        # A certificate of another CA is nobody's: the token counts.
        certificate, key = bare_plane.Authority().issue(bare_plane.name("nobody"))
        nobody = connection.Credentials(ca=plane.authority.pem, certificate=certificate, key=key)
        super().__init__((plane.server,), nobody)
        self.token = token

    async def __aenter__(self) -> ByToken:
        await super().__aenter__()
        assert self._session is not None
        self._session.headers["authorization"] = f"Bearer {self.token}"
        return self


def test_a_node_gets_its_two_certificates_and_no_other(plane: bare_plane.Plane) -> None:
    async def story(scene: Scene) -> None:
        node = expected(2)
        scene.posted.nodes(node=node, other=expected(3))
        began = time.monotonic()
        async with ByToken(plane, f"{node.token_id}.{node.token_secret}") as kubelet:
            while True:
                thing, key = request(csr.IDENTITY, NODE)
                with contextlib.suppress(errors.Denied):
                    signed = await asked(scene, kubelet, thing)
                    break
                assert time.monotonic() - began < 10, "the token does not log in"
                await asyncio.sleep(0.02)
            print(f"\nfirst certificate {time.monotonic() - began:.2f} s after the node was expected")
            denied = await asked(scene, kubelet, request(csr.IDENTITY, OTHER)[0])
        assert "certificate" not in denied
        reason = f"the token of node {NODE} asks for the identity of node {OTHER}"
        assert denied["conditions"][0]["message"] == reason
        identity = connection.Credentials(
            ca=plane.authority.pem, certificate=base64.b64decode(signed["certificate"]), key=key
        )
        async with connection.Connection((plane.server,), identity) as kubelet:
            serving = await asked(scene, kubelet, request(csr.SERVING, NODE, ("192.168.1.2",))[0])
            assert "certificate" in serving
            denied = await asked(scene, kubelet, request(csr.SERVING, NODE, ("192.168.1.3",))[0])
            assert "192.168.1.3 is not node" in denied["conditions"][0]["message"]

    play(plane, story)


def test_a_token_ends_with_its_node(plane: bare_plane.Plane) -> None:
    async def story(scene: Scene) -> None:
        ours = connection.Select(namespace="kube-system", labels="roadstead.dev/bootstrap")

        async def names() -> set[str]:
            return {resources.name(secret) for secret in (await scene.api.list(resources.SECRETS, ours))[0]}

        for nodes, wanted in (
            ({"node": expected(2), "other": expected(3)}, {"bootstrap-token-abcde2", "bootstrap-token-abcde3"}),
            ({"other": expected(3)}, {"bootstrap-token-abcde3"}),
            ({}, set()),
        ):
            scene.posted.nodes(**nodes)

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

    async def look(scene: Scene) -> None:
        seen.append(await revisions(scene.api))

    play(plane, look)
    play(plane, look)
    assert seen[0] == seen[1]
    assert {"settings", "roadstead-system", "eks:access-policy:AmazonEKSViewPolicy"} <= seen[0].keys()


def test_a_node_without_a_host_is_deleted_with_its_pods(plane: bare_plane.Plane) -> None:
    async def story(scene: Scene) -> None:
        scene.posted.nodes(node=expected(2))
        await scene.register(NODE, 2)
        await scene.until(lambda: scene.node() is not None)
        await scene.api.create(pod("stays-behind", node=NODE, grace=30))
        await scene.register(OTHER, 3)
        guest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "guest"}}
        await scene.api.create(guest)
        began = time.monotonic()
        await asking(lambda: gone(scene, resources.NODES, OTHER))
        assert scene.node() is not None
        scene.posted.nodes()
        await scene.until(lambda: scene.node() is None)
        await asking(lambda: gone(scene, resources.PODS, "stays-behind", "default"))
        print(f"\ntwo Nodes and a pod gone after {time.monotonic() - began:.2f} s")
        assert await there(scene, resources.NODES, "guest")
        await scene.api.delete(resources.NODES, "guest")

    play(plane, story)


def test_an_earlier_instance_of_the_same_name_is_deleted(plane: bare_plane.Plane) -> None:
    async def story(scene: Scene) -> None:
        scene.posted.nodes(node=expected(2))
        await scene.register(NODE, 2)
        await scene.until(lambda: scene.node() is not None)
        scene.posted.nodes(node=expected(4))
        await asking(lambda: gone(scene, resources.NODES, NODE))
        assert scene.node() is None

    play(plane, story)


def test_a_node_that_is_to_go_is_drained_and_says_what_holds_it(plane: bare_plane.Plane) -> None:
    async def story(scene: Scene) -> None:
        scene.posted.nodes(node=expected(2))
        await scene.register(NODE, 2)
        for name in ("free", "held"):
            await scene.api.create(pod(name, node=NODE, grace=0))
            await scene.api.call("PATCH", f"/api/v1/namespaces/default/pods/{name}/status", RUNNING, form="merge")
        await scene.api.create(BUDGET)

        async def counted() -> bool:
            return bool((await scene.api.call("GET", BUDGET_PATH))["status"].get("currentHealthy"))

        await asking(counted)
        scene.posted.nodes(node=expected(2, wanted=False))
        took = await scene.until(lambda: state(scene).drain is reports.Drain.BLOCKED)
        print(f"\nblocked after {took:.2f} s: {state(scene).blocked}")
        assert state(scene).unschedulable
        assert [sentence for sentence in state(scene).blocked if "pod default/held" in sentence and "calm" in sentence]
        assert len(state(scene).blocked) == 1
        assert not await there(scene, resources.PODS, "free", "default")
        await scene.api.call("DELETE", BUDGET_PATH)
        took = await scene.until(lambda: state(scene).drain is reports.Drain.DONE)
        print(f"drained {took:.2f} s after the budget went")
        scene.posted.nodes()
        await scene.until(lambda: scene.node() is None)

    play(plane, story, drain=2.0)


def test_it_goes_on_when_the_api_is_back(plane: bare_plane.Plane, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadstead.controllers")

    async def story(scene: Scene) -> None:
        caplog.clear()
        plane.stop("kube-apiserver")
        await scene.until(lambda: not scene.reports.system("one").answering)
        scene.posted.nodes(node=expected(2))
        plane.start("kube-apiserver")
        took = await scene.until(lambda: scene.reports.system("one").answering, 40)
        print(f"\nanswers again {took:.2f} s after its start")
        await scene.register(NODE, 2)
        await scene.until(lambda: scene.node() is not None)
        told = [record.getMessage() for record in caplog.records]
        assert len(told) <= 3, told
        scene.posted.nodes()
        await scene.until(lambda: scene.node() is None)

    play(plane, story)


def state(scene: Scene) -> reports.NodeState:
    seen = scene.node()
    assert seen is not None
    return seen


async def asking(what: Callable[[], Awaitable[bool]]) -> None:
    """Until the API says so; at most 10 s."""
    deadline = time.monotonic() + 10
    while not await what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def gone(scene: Scene, resource: resources.Resource, name: str, namespace: str = "") -> bool:
    return not await there(scene, resource, name, namespace)


async def there(scene: Scene, resource: resources.Resource, name: str, namespace: str = "") -> bool:
    try:
        await scene.api.get(resource, name, namespace)
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
BUDGET_PATH = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/calm"
