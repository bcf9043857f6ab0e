"""What API servers call: pods, services and nodes for whoever asks, webhooks, conversions, the APIs of others.

A bundle as charts bring one (`tests/live/bundle.py`) is up meanwhile, and a zone is cut off under it at the end.

Cost: about 1.5 minutes on the shared cluster; where no engine was compiled the metrics server takes two more, once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.live import bundle, fleet, shared
from tests.live import service as services
from tests.live import world as beyond

pytestmark = pytest.mark.live

BLACK = 35.0
"""Seconds: a node is not Ready after 20, and what is at a pod of it is then not asked any more."""


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
    return cluster.kubectl("get", "--raw", path)


def create(cluster: shared.Cluster, one: bundle.Object, *words: str) -> subprocess.CompletedProcess[str]:
    """What becomes of it, without a trace."""
    asked = ("create", "--dry-run=server", "-o", "json", *words, "-f", "-")
    return cluster.try_kubectl(*asked, text=json.dumps(one))


def hooks(cluster: shared.Cluster) -> dict[str, str]:
    """The zone's letter of each pod that has a node and stays, by name."""
    zones = {
        name: node["metadata"]["labels"]["topology.kubernetes.io/zone"][-1] for name, node in cluster.nodes().items()
    }
    pods = cluster.get("pods", "-n", bundle.NAMESPACE, "-l", f"app={bundle.HOOKS}")["items"]
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
    server = ("--server=https://127.0.0.1:443", f"--token={cluster.service.token(shared.NAME)}")
    trusted = f"--certificate-authority={cluster.service.folder / 'ca.pem'}"

    def asked(letter: str, pod: str, port: int) -> None:
        netns = cluster.service.agent.places.host(cluster.host(f"api-{letter}")).netns
        path = f"/api/v1/namespaces/{bundle.NAMESPACE}/pods/https:{pod}:{port}/proxy/"
        command = (
            str(cluster.service.kubectl_program),
            "--kubeconfig=/dev/null",
            *server,
            trusted,
            "get",
            "--raw",
            path,
        )
        done = fleet.inside(netns, *command, timeout=30)
        assert done.stdout.split() == [pod, api_addresses(cluster)[letter]], (letter, pods[pod], port, done.stderr)

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
        proxy.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            proxy.communicate(timeout=10)
        proxy.kill()
    for service, said in (
        (f"{bundle.HOOKS}-empty", "no endpoints available"),
        (f"{bundle.HOOKS}-outside", "no service port 443 found"),
    ):
        done = cluster.try_kubectl("get", "--raw", f"{below}/https:{service}:443/proxy/")
        assert done.returncode != 0
        assert said in done.stderr


def test_attach(cluster: shared.Cluster) -> None:
    name = "attached"
    container = {"name": "main", "image": shared.IMAGE, "command": ["cat"], "stdin": True, "stdinOnce": True}
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": bundle.NAMESPACE}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    where = ("-n", bundle.NAMESPACE)
    phase = ("get", "pod", name, *where, "-o", "jsonpath={.status.phase}")
    services.until("it runs", lambda: cluster.kubectl(*phase) == "Running", 30)
    assert "through and back\n" in cluster.kubectl("attach", "-i", name, *where, text="through and back\n")
    services.until("its input has ended", lambda: cluster.kubectl(*phase) == "Succeeded", 30)


def test_a_webhook_changes_and_another_refuses(cluster: shared.Cluster) -> None:
    made = create(cluster, bundle.config_map("mutate"))
    assert made.returncode == 0, made.stderr
    labels = json.loads(made.stdout)["metadata"]["labels"]
    assert labels["seen-by"] in hooks(cluster)
    assert labels["asked-by"] in api_addresses(cluster).values()
    taken = create(cluster, bundle.config_map("validate"))
    assert taken.returncode == 0, taken.stderr
    assert "Warning: seen by hooks-" in taken.stderr
    refused = create(cluster, bundle.config_map("validate", refuse="too heavy"))
    assert refused.returncode != 0
    assert "refuses: too heavy" in refused.stderr


def test_webhooks_that_cannot_be_asked(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    """With `Fail` it is told why, and soon; with `Ignore` the object passes."""
    of = up.certificate
    address = cluster.get("service", bundle.HOOKS, "-n", bundle.NAMESPACE)["spec"]["clusterIP"]
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
            done = create(cluster, bundle.config_map(f"{name}-fail"))
            assert done.returncode == 0 or said in done.stderr, f"{name}: {done.stderr}"
            return done.returncode != 0

        services.until(f"{name} is asked", refused, 20)
        passed = create(cluster, bundle.config_map(f"{name}-ignore"))
        assert passed.returncode == 0, passed.stderr


def test_a_webhook_is_asked_about_what_it_names_only(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    """matchConditions; a service without an address of its own; a port that is not the service's usual."""
    spared = ({"name": "not-spared", "expression": "!object.metadata.name.startsWith('spared-')"},)
    headless = bundle.at(f"{bundle.HOOKS}-headless", "/validate", up.certificate, port=8443)
    chosen = bundle.at(f"{bundle.HOOKS}-empty", "/validate", up.certificate)
    cluster.apply(
        *bundle.webhooks(bundle.Webhook("conditions", chosen, conditions=spared), bundle.Webhook("headless", headless))
    )

    def asked() -> bool:
        return create(cluster, bundle.config_map("conditions")).returncode != 0

    services.until("the webhook is asked", asked, 20)
    passed = create(cluster, bundle.config_map("conditions", name="spared-one"))
    assert passed.returncode == 0, passed.stderr

    def warned() -> bool:
        done = create(cluster, bundle.config_map("headless"))
        assert done.returncode == 0, done.stderr
        return "seen by hooks-" in done.stderr

    services.until("the service without an address is asked", warned, 20)


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
            done = create(cluster, bundle.config_map("outside"))
            assert done.returncode == 0, done.stderr
            # The world sees one address of all that is here.
            return bool(json.loads(done.stdout)["metadata"]["labels"].get("asked-by") == beyond.MACHINE)

        services.until("the webhook in the world is asked", asked, 20)
    finally:
        server.kill()
        server.wait(10)


def test_versions_of_a_resource_are_converted(cluster: shared.Cluster) -> None:
    cluster.apply(bundle.berth("v1", "one", name="north"), bundle.berth("v2", "two", title="south"))
    asked = ("-n", bundle.NAMESPACE)
    assert cluster.get(f"{bundle.PLURAL}.v2.{bundle.GROUP}", "one", *asked)["spec"] == {"title": "north"}
    assert cluster.get(f"{bundle.PLURAL}.v1.{bundle.GROUP}", "two", *asked)["spec"] == {"name": "south"}
    listed = cluster.get(f"{bundle.PLURAL}.v1.{bundle.GROUP}", *asked)["items"]
    assert [one["spec"] for one in listed] == [{"name": "north"}, {"name": "south"}]


def test_a_webhook_is_asked_while_its_pods_come_and_go(cluster: shared.Cluster) -> None:
    """All pods are replaced, one after the other; no write is refused."""
    before, said = set(hooks(cluster)), []
    cluster.kubectl("rollout", "restart", "deployment", bundle.HOOKS, "-n", bundle.NAMESPACE)

    def replaced() -> bool:
        done = create(cluster, bundle.config_map("mutate"))
        said.append(done.stderr if done.returncode else json.loads(done.stdout)["metadata"]["labels"]["seen-by"])
        now = hooks(cluster)
        return len(now) == 3 and not before & set(now)

    services.until("all pods are others", replaced, 90)
    assert set(said) <= before | set(hooks(cluster)), said


def test_the_metrics_api(cluster: shared.Cluster) -> None:
    """By the real metrics server: what `top` shows, and what makes a set larger."""
    condition = "jsonpath={.status.conditions[?(@.type=='Available')].status}"
    assert cluster.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "-o", condition) == "True"
    services.until("all nodes are measured", lambda: measured(cluster, "nodes") == set(cluster.nodes()), 60)
    keepers = ("pods", "-n", bundle.NAMESPACE, "-l", f"app={bundle.KEEPER}")
    services.until("its pod is measured", lambda: f"{bundle.KEEPER}-0" in measured(cluster, *keepers), 60)
    replicas = ("get", "statefulset", bundle.KEEPER, "-n", bundle.NAMESPACE, "-o", "jsonpath={.status.readyReplicas}")
    services.until("the set has become larger", lambda: cluster.kubectl(*replicas) == "2", 90)


def measured(cluster: shared.Cluster, *what: str) -> set[str]:
    shown = cluster.kubectl("top", *what, "--no-headers")
    return {line.split()[0] for line in shown.splitlines()}


def test_nothing_of_services_leaves_the_vpc(cluster: shared.Cluster) -> None:
    """Whoever sends there: an API server, the edge, a node, a pod. What is for the world reaches it."""
    address = cluster.get("service", bundle.HOOKS, "-n", bundle.NAMESPACE)["spec"]["clusterIP"]
    node = next(iter(cluster.nodes().values()))
    for host in (*(f"{cluster.id}.api-{letter}" for letter in "abc"), cluster.host("edge"), cluster.host_of(node)):
        netns = cluster.service.agent.places.host(host).netns
        outside = fleet.inside(netns, str(cluster.visitor), "ask", "http://198.51.100.7/")
        assert "malformed HTTP" in outside.stderr, outside
        for url in (f"http://{address}:7/", "http://10.100.77.77/", "http://198.19.255.9/", "http://169.254.169.254/"):
            done = fleet.inside(netns, str(cluster.visitor), "ask", url)
            assert done.returncode != 0, (host, url, done.stdout)
    pod = next(iter(hooks(cluster)))
    for url in ("http://10.100.77.77/", "http://198.19.255.9/", "http://169.254.169.254/"):
        done = cluster.try_kubectl("exec", "-n", bundle.NAMESPACE, pod, "--", "visitor", "ask", url)
        assert done.returncode != 0, url
    assert ("198.51.100.7", 6) in cluster.witness.seen
    assert cluster.witness.within((shared.SERVICES, "169.254.0.0/16", "198.18.0.0/15")) == []


def test_while_a_zone_is_cut_off(up: bundle.Bundle, cluster: shared.Cluster) -> None:
    """What is called at a pod there is not answered, and is tried again; once its node is not Ready nobody calls it."""
    cluster.until_well()
    began = time.monotonic()
    tries: list[tuple[float, bool]] = []
    stop = False

    def write() -> None:
        while not stop:
            done = create(cluster, bundle.config_map("mutate"), "--request-timeout=4s")
            tries.append((time.monotonic() - began, done.returncode == 0))

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        cluster.zone("b", "black")
        writing = threads.submit(write)
        try:
            time.sleep(BLACK)
            top = services.until("the metrics API answers", lambda: measured(cluster, "nodes") != set(), 15)
        finally:
            stop = True
            cluster.zone("b", "up")
            writing.result()
    good = [at for at, was in tries if was]
    gap = max(later - earlier for earlier, later in zip([0.0, *good], [*good, BLACK], strict=True))
    last = max((at for at, was in tries if not was), default=0.0)
    print(
        f"\nof {len(tries)} writes {len(tries) - len(good)} failed, the last after {last:.1f} s, "
        f"longest without one {gap:.1f} s; the metrics API answered within {top:.1f} s"
    )
    # One of three pods is away: whoever tries again finds another.
    assert good[0] < 20
    assert last <= BLACK - 5
    cluster.until_well()
    up.until_well()
