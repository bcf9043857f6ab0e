"""What people do with a cluster: nodes, a deployment and its services, names, logs, exec, volumes, scaling.

Each test prints what it took. A killed node and what follows from faults of all other parts: test_cluster_failures.

Cost: about 2.5 minutes on the shared cluster, and half a minute to make that.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from testkit import waiting
from tests.live import fleet, shared, world
from tests.live import service as services

pytestmark = pytest.mark.live

APP, PORT = "harbour", 8080
REPLICAS = 8


@pytest.fixture(scope="module")
def cluster(shared_cluster: shared.Cluster) -> shared.Cluster:
    return shared_cluster


@pytest.fixture(autouse=True)
def cost(request: pytest.FixtureRequest) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"\n{request.node.name} took {time.monotonic() - began:.1f} s")


@pytest.fixture(scope="module")
def app(cluster: shared.Cluster) -> Iterator[dict[str, dict[str, Any]]]:
    """Eight pods that say who they are and who asks, behind a service with a port on every node; pods by name."""
    cluster.apply(deployment(), service())
    took = waiting.until("all pods are available", lambda: is_available(cluster), 60)
    print(f"\n{REPLICAS} pods were available after {took:.1f} s")
    yield {pod["metadata"]["name"]: pod for pod in cluster.items("pods", labelSelector=f"app={APP}")}
    cluster.kubectl("delete", "deployment,service", APP, "--wait=false")


def test_nodes_are_what_eks_would_show(cluster: shared.Cluster) -> None:
    nodes = cluster.nodes()
    assert len(nodes) == shared.NODES
    assert all(map(shared.is_ready, nodes.values()))
    for name, node in nodes.items():
        labels, address = node["metadata"]["labels"], node["status"]["addresses"][0]["address"]
        zone = labels["topology.kubernetes.io/zone"]
        assert name == f"ip-{address.replace('.', '-')}.{services.REGION}.compute.internal"
        assert re.fullmatch(rf"aws:///{zone}/i-[0-9a-f]{{17}}", node["spec"]["providerID"])
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.2"
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"] == "containerd://2.3.7"
        assert labels["topology.kubernetes.io/region"] == services.REGION
        assert labels["node.kubernetes.io/instance-type"] == "t3.medium"
        assert labels["eks.amazonaws.com/nodegroup"] == shared.GROUP
        assert labels["eks.amazonaws.com/capacityType"] == "ON_DEMAND"
        assert labels["kubernetes.io/arch"] in ("amd64", "arm64")
        assert node["status"]["capacity"]["cpu"] == "2"
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes.values()}
    assert zones == {f"{services.REGION}{letter}" for letter in "abc"}


def test_instances_are_those_nodes(cluster: shared.Cluster) -> None:
    shown = instances(cluster)
    nodes = {node["spec"]["providerID"].rpartition("/")[2]: name for name, node in cluster.nodes().items()}
    assert {id: one["PrivateDnsName"] for id, one in shown.items()} == nodes
    assert {one["InstanceType"] for one in shown.values()} == {"t3.medium"}


def test_interfaces_are_those_of_the_nodes_and_of_the_control_plane(cluster: shared.Cluster) -> None:
    shown = cluster.service.aws("ec2", "describe_network_interfaces")["NetworkInterfaces"]
    nodes = {one["Attachment"]["InstanceId"]: one for one in shown if not one["RequesterManaged"]}
    assert {id: one["PrivateIpAddress"] for id, one in nodes.items()} == {
        id: one["PrivateIpAddress"] for id, one in instances(cluster).items()
    }
    # Three API servers and the endpoint.
    assert len(shown) - len(nodes) == 4
    config = cluster.service.aws("eks", "describe_cluster", name=shared.NAME)["cluster"]["resourcesVpcConfig"]
    assert {each["GroupId"] for one in shown for each in one["Groups"]} == {config["clusterSecurityGroupId"]}
    prefixes = {
        one["PrivateDnsName"]: [ipaddress.ip_network(each["Ipv4Prefix"]) for each in one["Ipv4Prefixes"]]
        for one in nodes.values()
    }
    pods = [pod for pod in cluster.items("pods", "") if not pod["spec"].get("hostNetwork")]
    assert pods
    for pod in pods:
        mine = prefixes[pod["spec"]["nodeName"]]
        assert any(ipaddress.ip_address(address(pod)) in prefix for prefix in mine), pod["metadata"]["name"]


def test_awscli_writes_a_kubeconfig_that_works(cluster: shared.Cluster) -> None:
    file = str(cluster.service.folder / "by-awscli")
    command = ("aws", "eks", "update-kubeconfig", "--name", shared.NAME, "--kubeconfig", file)
    written = cluster.service.machine(*command)
    assert written.returncode == 0, written.stderr
    shown = cluster.service.machine(
        str(cluster.service.kubectl_program), f"--kubeconfig={file}", "get", "nodes", "--no-headers"
    )
    assert shown.stdout.count(" Ready ") == shared.NODES, shown.stderr


def test_pods_are_spread_and_reach_each_other_by_their_own_addresses(
    cluster: shared.Cluster, app: dict[str, dict[str, Any]]
) -> None:
    assert len({pod["spec"]["nodeName"] for pod in app.values()}) == shared.NODES
    one, other = two_apart(app)
    assert ask(cluster, one, f"http://{address(app[other])}:{PORT}") == (other, address(app[one]))


def test_a_service_answers_at_its_address_and_on_every_node(
    cluster: shared.Cluster, app: dict[str, dict[str, Any]]
) -> None:
    spec = cluster.get("service", APP)["spec"]
    one, _ = two_apart(app)
    netns = cluster.service.agent.places.host(cluster.host("edge")).netns
    urls = [
        f"http://{node['status']['addresses'][0]['address']}:{spec['ports'][0]['nodePort']}"
        for node in cluster.nodes().values()
    ]

    def from_outside(url: str) -> str:
        """Who answers another computer of the VPC."""
        done = fleet.inside(netns, str(cluster.visitor), "ask", url)
        assert done.returncode == 0, f"{url}: {done.stderr}"
        return done.stdout.split(" ")[0]

    def known() -> bool:
        ask(cluster, one, f"http://{spec['clusterIP']}:{PORT}")
        return {from_outside(url) for url in urls} <= set(app)

    # Pods are ready; each node's kube-proxy may hear of it a moment later.
    waiting.until("the service is known on every node", known, 20)
    answered = {ask(cluster, one, f"http://{spec['clusterIP']}:{PORT}")[0] for _ in range(12)}
    assert len(answered) > 1
    assert answered <= set(app)
    for url in urls:
        assert from_outside(url) in app


def test_names_of_the_cluster_and_of_the_world(cluster: shared.Cluster, app: dict[str, dict[str, Any]]) -> None:
    one, _ = two_apart(app)

    def resolve(name: str) -> list[str]:
        return cluster.kubectl("exec", one, "--", "visitor", "resolve", name).split()

    assert resolve("kubernetes.default") == ["10.100.0.1"]
    assert resolve(APP) == [cluster.get("service", APP)["spec"]["clusterIP"]]
    for name, known in world.NAMES.items():
        assert resolve(name) == [known]
    node = app[one]["spec"]["nodeName"]
    assert resolve(node) == [cluster.nodes()[node]["status"]["addresses"][0]["address"]]


def test_logs_exec_and_port_forward(cluster: shared.Cluster, app: dict[str, dict[str, Any]]) -> None:
    one, other = two_apart(app)
    ask(cluster, one, f"http://{address(app[other])}:{PORT}")
    line = f"asked by {address(app[one])}"
    waiting.until("its log says so", lambda: line in cluster.kubectl("logs", other), 20)
    assert cluster.kubectl("exec", "-i", one, "--", "cat", text="through and back\n") == "through and back\n"
    words = ("port-forward", f"pod/{other}", f"18080:{PORT}")
    forward = cluster.service.popen(*cluster.kubectl_command, *words, stdout=subprocess.PIPE)
    try:
        assert forward.stdout is not None
        assert "18080" in forward.stdout.readline()
        answered = cluster.service.machine(str(cluster.visitor), "ask", "http://127.0.0.1:18080")
        assert answered.stdout.split(" ")[0] == other, answered.stderr
    finally:
        forward.kill()
        forward.communicate(timeout=10)


def test_a_volume_keeps_its_data_when_its_node_dies(cluster: shared.Cluster) -> None:
    """The node's first process is killed: the node comes back from its disk, and with it the pod and its data."""
    cluster.apply(stateful_set())
    took = waiting.until("its pod runs", lambda: state(cluster, "keeper-0") == "Running", 60)
    claim = cluster.get("persistentvolumeclaim", "kept-keeper-0")
    assert claim["spec"]["storageClassName"] == "gp3"
    cluster.kubectl("exec", "keeper-0", "--", "sh", "-c", "echo cargo > /kept/hold")
    pod = cluster.get("pod", "keeper-0")
    node = cluster.nodes()[pod["spec"]["nodeName"]]
    began = time.monotonic()
    host = cluster.host_of(node).partition(".")[2]
    before = cluster.kill(host)

    def back() -> bool:
        seen = cluster.seen().get(("hosts", cluster.host(host)))
        return seen is not None and seen.phase == "ready" and seen.pid not in (None, before)

    waiting.until("the node's host is back", back, 20, every=0.02)
    host_took = time.monotonic() - began
    cluster.until_well()
    read = ("exec", "keeper-0", "--", "cat", "/kept/hold")
    waiting.until("the data is there", lambda: cluster.try_kubectl(*read).stdout == "cargo\n", 60)
    print(
        f"\nvolume and pod after {took:.1f} s; host back {host_took:.2f} s, data {time.monotonic() - began:.1f} s later"
    )
    assert cluster.nodes()[node["metadata"]["name"]]["metadata"]["uid"] == node["metadata"]["uid"]
    cluster.kubectl("delete", "statefulset", "keeper")
    cluster.kubectl("delete", "pvc", "kept-keeper-0")
    waiting.until("its volume is gone", lambda: cluster.items("persistentvolumes") == [], 30)


def test_a_node_more_and_a_node_less(cluster: shared.Cluster, app: dict[str, dict[str, Any]]) -> None:
    """What goes is drained first; node object and instance are gone with it."""
    before = set(cluster.nodes())
    try:
        more = scale(cluster, shared.NODES + 1)
        assert len(set(cluster.nodes()) - before) == 1
        # Wherever pods go when one node is drained, their image is there.
        cluster.load_image()
    finally:
        less = scale(cluster, shared.NODES)
    assert len(cluster.nodes()) == shared.NODES
    assert set(instances(cluster)) == {n["spec"]["providerID"].rpartition("/")[2] for n in cluster.nodes().values()}
    waiting.until("all pods are available", lambda: is_available(cluster), 60)
    print(f"\none more after {more:.1f} s, one less after {less:.1f} s; {len(app)} pods lived through it")


def test_moving_to_a_new_nodegroup_is_no_outage(cluster: shared.Cluster) -> None:
    """Two pods with a budget run in a nodegroup that is deleted: they move, and at no moment is none of them ready."""
    others = sorted(cluster.nodes())
    old = {"clusterName": shared.NAME, "nodegroupName": "old"}
    like = cluster.service.aws("eks", "describe_nodegroup", **{**old, "nodegroupName": shared.GROUP})["nodegroup"]
    size = {"minSize": 1, "maxSize": 1, "desiredSize": 1}
    place = {"nodeRole": like["nodeRole"], "subnets": like["subnets"], "scalingConfig": size}
    cluster.service.aws("eks", "create_nodegroup", **place, **old)
    try:
        _moves(cluster, others, old)
    finally:
        cluster.try_kubectl("delete", "deployment,poddisruptionbudget", "mover", "--wait=false")
        with contextlib.suppress(botocore.exceptions.ClientError):
            cluster.service.aws("eks", "delete_nodegroup", **old)
        waiting.until("only the others are left", lambda: sorted(cluster.nodes()) == others, 60)
    cluster.until_well()


def _moves(cluster: shared.Cluster, others: list[str], old: dict[str, str]) -> None:
    waiting.until("its node is Ready", lambda: cluster.ready_nodes() == shared.NODES + 1, 120)
    (node,) = set(cluster.nodes()) - set(others)
    cluster.load_image()
    cluster.kubectl("cordon", *others)
    try:
        cluster.apply(*mover())
        waiting.until("both pods are ready", lambda: len(movers(cluster)) == 2, 60)
    finally:
        cluster.kubectl("uncordon", *others)
    assert set(movers(cluster).values()) == {node}
    cluster.service.aws("eks", "delete_nodegroup", **old)
    fewest = 2

    def gone() -> bool:
        nonlocal fewest
        fewest = min(fewest, len(movers(cluster)))
        return node not in cluster.nodes()

    took = waiting.until("the nodegroup's node is gone", gone, 120)
    print(f"\nmoved off and gone after {took:.1f} s; at least {fewest} of 2 pods were ready all the time")
    assert fewest >= 1
    waiting.until("both pods are ready again", lambda: len(movers(cluster)) == 2, 60)


def movers(cluster: shared.Cluster) -> dict[str, str]:
    """The nodes of those of the two pods that are ready and stay, by the pod's name."""
    return {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in cluster.items("pods", labelSelector="app=mover")
        if shared.is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
    }


def scale(cluster: shared.Cluster, nodes: int) -> float:
    """Seconds until there are so many, all Ready."""
    group = {"clusterName": shared.NAME, "nodegroupName": shared.GROUP}
    cluster.service.aws("eks", "update_nodegroup_config", scalingConfig={"desiredSize": nodes}, **group)

    def done() -> bool:
        now = cluster.service.aws("eks", "describe_nodegroup", **group)["nodegroup"]
        return now["status"] == "ACTIVE" and cluster.ready_nodes() == len(cluster.nodes()) == nodes

    return waiting.until(f"there are {nodes} nodes", done, 120)


def instances(cluster: shared.Cluster) -> dict[str, dict[str, Any]]:
    """Those that run, by id."""
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = cluster.service.aws("ec2", "describe_instances", Filters=running)["Reservations"]
    return {one["InstanceId"]: one for reservation in found for one in reservation["Instances"]}


def ask(cluster: shared.Cluster, pod: str, url: str) -> tuple[str, str]:
    """Who answers a pod, and who that one says it was asked by."""
    name, _, caller = cluster.kubectl("exec", pod, "--", "visitor", "ask", url).strip().partition(" ")
    return name, caller


def two_apart(app: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """Two pods on different nodes."""
    one = min(app)
    return one, next(name for name in app if app[name]["spec"]["nodeName"] != app[one]["spec"]["nodeName"])


def address(pod: dict[str, Any]) -> str:
    return str(pod["status"]["podIP"])


def state(cluster: shared.Cluster, pod: str) -> str:
    return str(cluster.get("pod", pod)["status"].get("phase", ""))


def is_available(cluster: shared.Cluster) -> bool:
    return shared.is_available(cluster.get("deployment", APP))


def template(name: str, *command: str, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": shared.IMAGE, "command": list(command), **more}
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def deployment() -> dict[str, Any]:
    pods = template(APP, "/bin/visitor", "serve", str(PORT))
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": APP}},
    }
    pods["spec"]["topologySpreadConstraints"] = [spread]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": APP},
        "spec": {"replicas": REPLICAS, "selector": {"matchLabels": {"app": APP}}, "template": pods},
    }


def mover() -> tuple[dict[str, Any], dict[str, Any]]:
    """Two pods, and the budget that one of them is always there."""
    chosen = {"matchLabels": {"app": "mover"}}
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mover"},
        "spec": {"replicas": 2, "selector": chosen, "template": template("mover", "/bin/visitor", "serve", str(PORT))},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "mover"},
        "spec": {"minAvailable": 1, "selector": chosen},
    }
    return made, budget


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": APP},
        "spec": {"type": "NodePort", "selector": {"app": APP}, "ports": [{"port": PORT}]},
    }


def stateful_set() -> dict[str, Any]:
    """One pod with a volume of the default class."""
    pods = template(
        *("keeper", "sleep", "infinity"),
        volumeMounts=[{"name": "kept", "mountPath": "/kept"}],
    )
    claim = {
        "metadata": {"name": "kept"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "keeper"},
        "spec": {
            "serviceName": "keeper",
            "selector": {"matchLabels": {"app": "keeper"}},
            "template": pods,
            "volumeClaimTemplates": [claim],
        },
    }
