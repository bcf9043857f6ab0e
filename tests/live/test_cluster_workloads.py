"""What API servers call: pods, services and nodes for whoever asks, webhooks, conversions, the APIs of others.

A bundle as charts bring one (`tests/live/bundle.py`) is up meanwhile. What becomes of it when a zone is cut off, and in
all other faults: test_cluster_failures.

Cost: about half a minute on the shared cluster; where no engine was compiled the metrics server takes two more, once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from testkit import kube, waiting
from tests.live import bundle, fleet, shared, webhook_calls
from tests.live import world as beyond

pytestmark = pytest.mark.live


@pytest.fixture
def up(bundled: bundle.Bundle) -> bundle.Bundle:
    return bundled


@pytest.fixture
def cluster(shared_cluster: shared.Cluster, up: bundle.Bundle) -> shared.Cluster:  # noqa: ARG001
    return shared_cluster


@pytest.fixture(autouse=True)
def cost(request: pytest.FixtureRequest) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"\n{request.node.name} took {time.monotonic() - began:.1f} s")


def raw(cluster: shared.Cluster, path: str) -> str:
    with cluster.api() as api:
        answer = api.ask("GET", path)
    assert answer.status == 200, answer.message
    return answer.body.decode()


def hooks(cluster: shared.Cluster) -> dict[str, str]:
    """The zone's letter of each pod that has a node and stays, by name."""
    zones = {
        name: node["metadata"]["labels"]["topology.kubernetes.io/zone"][-1] for name, node in cluster.nodes().items()
    }
    pods = cluster.items("pods", bundle.NAMESPACE, labelSelector=f"app={bundle.HOOKS}")
    return {
        pod["metadata"]["name"]: zones[pod["spec"]["nodeName"]]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"] and "nodeName" in pod["spec"]
    }


def api_addresses(cluster: shared.Cluster) -> dict[str, str]:
    """Of the API servers in the VPC, by letter."""
    hosts = cluster.service.agent.client.wanted()["hosts"]
    legs: dict[str, Any] = {letter: hosts[cluster.host(f"api-{letter}")]["spec"] for letter in "abc"}
    return {letter: spec["legs"][0]["address"] for letter, spec in legs.items()}


def test_each_api_server_reaches_pods_of_every_zone_at_any_port_under_its_own_address(cluster: shared.Cluster) -> None:
    pods = hooks(cluster)
    assert sorted(pods.values()) == ["a", "b", "c"]
    token = cluster.service.token(shared.NAME)

    def asked(letter: str, pod: str, port: int) -> None:
        netns = cluster.service.agent.places.host(cluster.host(f"api-{letter}")).netns
        path = f"/api/v1/namespaces/{bundle.NAMESPACE}/pods/https:{pod}:{port}/proxy/"
        with contextlib.closing(kube.Api("127.0.0.1", 443, cluster.tls, 30, token, netns)) as api:
            done = api.ask("GET", path)
        assert done.body.decode().split() == [pod, api_addresses(cluster)[letter]], (letter, pods[pod], port, done)

    for letter in "abc":
        for pod in pods:
            for port in bundle.PORTS.values():
                asked(letter, pod, port)


def test_services_pods_and_nodes_by_the_api_server(cluster: shared.Cluster) -> None:
    pods = hooks(cluster)
    below = f"/api/v1/namespaces/{bundle.NAMESPACE}/services"
    for port in (*bundle.PORTS, *(f"p{port}" for port in bundle.PORTS)):
        assert raw(cluster, f"{below}/https:{bundle.HOOKS}:{port}/proxy/").split()[0] in pods
    assert raw(cluster, f"{below}/https:{bundle.HOOKS}-headless:8443/proxy/").split()[0] in pods
    for name in cluster.nodes():
        assert raw(cluster, f"/api/v1/nodes/{name}/proxy/healthz") == "ok"
    proxy = cluster.service.popen(*cluster.kubectl_command, "proxy", "--port=18081", stdout=subprocess.PIPE)
    try:
        assert proxy.stdout is not None
        assert "18081" in proxy.stdout.readline()
        url = f"http://127.0.0.1:18081{below}/https:{bundle.HOOKS}:443/proxy/"
        assert cluster.service.machine(str(cluster.visitor), "ask", url).stdout.split()[0] in pods
    finally:
        # Not by SIGINT, which those ignore that were started by who ignored it.
        proxy.kill()
        proxy.communicate(timeout=10)
    for service, said in (
        (f"{bundle.HOOKS}-empty", "no endpoints available"),
        (f"{bundle.HOOKS}-outside", "no service port 443 found"),
    ):
        with cluster.api() as api:
            done = api.ask("GET", f"{below}/https:{service}:443/proxy/")
        assert done.status >= 400
        assert said in done.message


def test_attach(cluster: shared.Cluster) -> None:
    name = "attached"
    container = {"name": "main", "image": shared.IMAGE, "command": ["cat"], "stdin": True, "stdinOnce": True}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": bundle.NAMESPACE}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    where = ("-n", bundle.NAMESPACE)

    def phase() -> str:
        return str(cluster.get("pod", name, bundle.NAMESPACE)["status"].get("phase", ""))

    waiting.until("it runs", lambda: phase() == "Running", 30)
    assert "through and back\n" in cluster.kubectl("attach", "-i", name, *where, text="through and back\n")
    waiting.until("its input has ended", lambda: phase() == "Succeeded", 30)


def test_a_webhook_changes_and_another_refuses(cluster: shared.Cluster) -> None:
    made = webhook_calls.create(cluster, bundle.config_map("mutate"))
    labels = made.json["metadata"]["labels"]
    assert labels["seen-by"] in hooks(cluster)
    assert labels["asked-by"] in api_addresses(cluster).values()
    taken = webhook_calls.create(cluster, bundle.config_map("validate"))
    assert taken.json
    assert any("seen by hooks-" in warning for warning in taken.warnings)
    refused = webhook_calls.create(cluster, bundle.config_map("validate", refuse="too heavy"))
    assert refused.status == 403
    assert "refuses: too heavy" in refused.message


def test_webhooks_that_cannot_be_asked(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    """With `Fail` it is told why, and soon; with `Ignore` the object passes."""
    of = up.certificate
    address = cluster.get("service", bundle.HOOKS, bundle.NAMESPACE)["spec"]["clusterIP"]
    unknown = bundle.certificate(dt.datetime.now(dt.UTC))
    cases = {
        "slow": (bundle.at(bundle.HOOKS, "/slow/30", of), "context deadline exceeded"),
        "empty": (bundle.at(f"{bundle.HOOKS}-empty", "/validate", of), "no endpoints available for service"),
        "missing": (bundle.at("nowhere", "/validate", of), 'service "nowhere" not found'),
        "port": (bundle.at(bundle.HOOKS, "/validate", of, port=444), "no service port 444 found"),
        "external": (bundle.at(f"{bundle.HOOKS}-outside", "/validate", of), 'unsupported service type "ExternalName"'),
        "stranger": (bundle.at(bundle.HOOKS, "/validate", unknown), "certificate signed by unknown authority"),
        # Told at once by the router: nobody waits for what only nodes translate.
        "address": (bundle.at_url(f"https://{address}/validate", of), "no route to host"),
        "name": (bundle.at_url(f"https://{bundle.HOOKS}.{bundle.NAMESPACE}.svc/validate", of), "no such host"),
    }
    fail = [bundle.Webhook(f"{name}-fail", client, timeout=2) for name, (client, _) in cases.items()]
    ignore = [bundle.Webhook(f"{name}-ignore", client, "Ignore", timeout=2) for name, (client, _) in cases.items()]
    cluster.apply(*bundle.webhooks(*fail, *ignore))
    for name, (_, said) in cases.items():
        # Each API server hears of a new webhook by itself.
        def refused(name: str = name, said: str = said) -> bool:
            done = webhook_calls.create(cluster, bundle.config_map(f"{name}-fail"))
            assert done.status < 300 or said in done.message, f"{name}: {done.message}"
            return done.status >= 300

        waiting.until(f"{name} is asked", refused, 20)
        passed = webhook_calls.create(cluster, bundle.config_map(f"{name}-ignore"))
        assert passed.json


def test_what_is_in_the_way_of_an_upgrade_is_told_after_one_refresh(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    ready, empty = (bundle.at(name, "/validate", up.certificate) for name in (bundle.HOOKS, f"{bundle.HOOKS}-empty"))
    cluster.apply(*bundle.webhooks(bundle.Webhook("ready-closed", ready), bundle.Webhook("empty-closed", empty)))

    def eks(operation: str, **more: str) -> dict[str, Any]:
        answer: dict[str, Any] = cluster.service.aws("eks", operation, clusterName=shared.NAME, **more)
        return answer

    eks("start_insights_refresh")
    waiting.until("it is looked", lambda: eks("describe_insights_refresh")["status"] != "IN_PROGRESS", 10)
    ended = eks("describe_insights_refresh")
    print(f"\na refresh took {(ended['endedAt'] - ended['startedAt']).total_seconds():.2f} s")
    assert ended["status"] == "COMPLETED", ended
    found = {each["name"]: each for each in eks("list_insights")["insights"]}
    well = {"Kubelet version skew", "kube-proxy version skew", "Addresses for new nodes", "Cluster health"}
    assert {
        name: found[name]["insightStatus"] for name in well if found[name]["insightStatus"]["status"] != "PASSING"
    } == {}
    # Each of the three API servers was heard, and none was asked for what 1.38 removes.
    (apis,) = [each["insightStatus"] for name, each in found.items() if name.startswith("Deprecated APIs removed")]
    assert apis["status"] == "PASSING", apis
    closed = eks("describe_insight", id=found["Webhooks that fail closed"]["id"])["insight"]["resources"]
    statuses = {each["kubernetesResourceUri"].rpartition("/")[2]: each["insightStatus"] for each in closed}
    assert statuses[f"{bundle.NAMESPACE}-ready-closed"]["status"] == "PASSING"
    empty_closed = statuses[f"{bundle.NAMESPACE}-empty-closed"]
    assert empty_closed["status"] == "ERROR"
    assert empty_closed["reason"].endswith("has no ready endpoint")


def test_a_webhook_is_asked_about_what_it_names_only(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    """matchConditions; a service without an address of its own; a port that is not the service's usual."""
    spared = ({"name": "not-spared", "expression": "!object.metadata.name.startsWith('spared-')"},)
    headless = bundle.at(f"{bundle.HOOKS}-headless", "/validate", up.certificate, port=8443)
    chosen = bundle.at(f"{bundle.HOOKS}-empty", "/validate", up.certificate)
    cluster.apply(
        *bundle.webhooks(bundle.Webhook("conditions", chosen, conditions=spared), bundle.Webhook("headless", headless))
    )

    def asked() -> bool:
        return webhook_calls.create(cluster, bundle.config_map("conditions")).status >= 300

    waiting.until("the webhook is asked", asked, 20)
    passed = webhook_calls.create(cluster, bundle.config_map("conditions", name="spared-one"))
    assert passed.json

    def warned() -> bool:
        done = webhook_calls.create(cluster, bundle.config_map("headless"))
        assert done.json
        return any("seen by hooks-" in warning for warning in done.warnings)

    waiting.until("the service without an address is asked", warned, 20)


def test_a_webhook_in_the_world_is_called_by_its_name(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    folder = cluster.service.folder / "outside-tls"
    folder.mkdir()
    (folder / "tls.crt").write_bytes(up.certificate.certificate)
    (folder / "tls.key").write_bytes(up.certificate.key)
    world = cluster.service.netns.with_name(f"{cluster.service.netns.name}-world")
    command = ["nsenter", f"--net={world}", str(cluster.visitor), "hooks", str(folder), "443"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        client = bundle.at_url(f"https://{bundle.OUTSIDE}/mutate", up.certificate)
        cluster.apply(*bundle.webhooks(bundle.Webhook("outside", client, changes=True)))

        def asked() -> bool:
            done = webhook_calls.create(cluster, bundle.config_map("outside"))
            # The world sees one address of all that is here.
            return bool(done.json["metadata"]["labels"].get("asked-by") == beyond.MACHINE)

        waiting.until("the webhook in the world is asked", asked, 20)
    finally:
        server.kill()
        server.wait(10)


def test_versions_of_a_resource_are_converted(cluster: shared.Cluster) -> None:
    cluster.apply(bundle.berth("v1", "one", name="north"), bundle.berth("v2", "two", title="south"))

    def seen(version: str, name: str = "") -> Any:
        path = f"/apis/{bundle.GROUP}/{version}/namespaces/{bundle.NAMESPACE}/{bundle.PLURAL}/{name}"
        return json.loads(raw(cluster, path.rstrip("/")))

    assert seen("v2", "one")["spec"] == {"title": "north"}
    assert seen("v1", "two")["spec"] == {"name": "south"}
    listed = seen("v1")["items"]
    assert [one["spec"] for one in listed] == [{"name": "north"}, {"name": "south"}]


def test_a_webhook_is_asked_while_its_pods_come_and_go(cluster: shared.Cluster) -> None:
    """All pods are replaced, one after the other; no write is refused."""
    before, said = set(hooks(cluster)), []
    cluster.kubectl("rollout", "restart", "deployment", bundle.HOOKS, "-n", bundle.NAMESPACE)

    def replaced() -> bool:
        done = webhook_calls.create(cluster, bundle.config_map("mutate"))
        said.append(done.message if done.status >= 300 else done.json["metadata"]["labels"]["seen-by"])
        now = hooks(cluster)
        return len(now) == 3 and not before & set(now)

    waiting.until("all pods are others", replaced, 90)
    assert set(said) <= before | set(hooks(cluster)), said


def test_the_metrics_api(cluster: shared.Cluster) -> None:
    """By the real metrics server: what `top` shows, and what makes a set larger."""
    conditions = cluster.get("apiservice", "v1beta1.metrics.k8s.io")["status"]["conditions"]
    assert ("Available", "True") in [(one["type"], one["status"]) for one in conditions]
    waiting.until("all nodes are measured", lambda: measured(cluster, "nodes") == set(cluster.nodes()), 60)
    keepers = ("pods", "-n", bundle.NAMESPACE, "-l", f"app={bundle.KEEPER}")
    waiting.until("its pod is measured", lambda: f"{bundle.KEEPER}-0" in measured(cluster, *keepers), 60)

    def ready() -> int:
        return int(cluster.get("statefulset", bundle.KEEPER, bundle.NAMESPACE)["status"].get("readyReplicas", 0))

    waiting.until("the set has become larger", lambda: ready() == 2, 90)


def measured(cluster: shared.Cluster, *what: str) -> set[str]:
    shown = cluster.kubectl("top", *what, "--no-headers")
    return {line.split()[0] for line in shown.splitlines()}


def test_nothing_of_services_leaves_the_vpc(cluster: shared.Cluster) -> None:
    """Whoever sends there: an API server, the edge, a node, a pod. What is for the world reaches it."""
    address = cluster.get("service", bundle.HOOKS, bundle.NAMESPACE)["spec"]["clusterIP"]
    node = next(iter(cluster.nodes().values()))
    for host in (*(f"{cluster.id}.api-{letter}" for letter in "abc"), cluster.host("edge"), cluster.host_of(node)):
        netns = cluster.service.agent.places.host(host).netns
        outside = fleet.inside(netns, str(cluster.visitor), "ask", "http://198.51.100.7/")
        # Who is there speaks at once, and no HTTP.
        assert "stranger" in outside.stderr, outside
        for url in (f"http://{address}:7/", "http://10.100.77.77/", "http://198.19.255.9/", "http://169.254.169.254/"):
            done = fleet.inside(netns, str(cluster.visitor), "ask", url)
            assert done.returncode != 0, (host, url, done.stdout)
    pod = next(iter(hooks(cluster)))
    for url in ("http://10.100.77.77/", "http://198.19.255.9/", "http://169.254.169.254/"):
        done = cluster.try_kubectl("exec", "-n", bundle.NAMESPACE, pod, "--", "visitor", "ask", url)
        assert done.returncode != 0, url
    assert ("198.51.100.7", 6) in cluster.witness.seen
    assert cluster.witness.within((shared.SERVICES, "169.254.0.0/16", "198.18.0.0/15")) == []
