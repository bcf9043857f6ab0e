"""Pods that fork and take memory without end, on the shared cluster: the machine, the agent, the API and the other
nodes go on, it is told, and after their deletion all is as it was.

Cost: about a minute on the shared cluster.
"""

from __future__ import annotations

import datetime as dt
import subprocess
from typing import Any

import pytest
from testkit import waiting
from tests.live import shared

from roadstead.agent.hosts import cgroups, see
from roadstead.clusters.components import kubelet
from roadstead.controllers.nodes import node as nodes

pytestmark = pytest.mark.live

BOMB = "bomb() { bomb | bomb & }; while :; do bomb; sleep 1; done"
EATS = "x=0123456789abcdef; while :; do x=$x$x; done"
MOST = 60.0
"""Seconds that the machine has to come to the limits, with all that it does besides."""


@pytest.fixture
def cluster(shared_cluster: shared.Cluster) -> shared.Cluster:
    return shared_cluster


def pod(name: str, node: str, script: str) -> dict[str, Any]:
    container = {"name": "main", "image": shared.IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": "bombs"}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def processes(cluster: shared.Cluster, *host: str) -> int:
    """Of a host, or of all together, as the kernel counts them."""
    places = cluster.service.agent.places
    return cgroups.usage(places, see.machine_facts(places), *host)["processes"].used


def issues(cluster: shared.Cluster) -> list[str]:
    group = cluster.service.aws("eks", "describe_nodegroup", clusterName=shared.NAME, nodegroupName=shared.GROUP)
    return [issue["message"] for issue in group["nodegroup"]["health"]["issues"]]


def condition(cluster: shared.Cluster, node: str) -> str:
    """What the Node says of what is near its end."""
    found = [each for each in cluster.nodes()[node]["status"]["conditions"] if each["type"] == nodes.NEAR]
    return "".join(each["message"] for each in found if each["status"] == "True")


def all_go_on(cluster: shared.Cluster, node: str, name: str) -> None:
    """The agent answers, programs start on the machine, the API takes an object, and a pod runs on that node."""
    assert cluster.service.agent.client.status().counts["hosts"] == 7 + shared.NODES
    assert subprocess.run(["true"], check=False, timeout=10).returncode == 0
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"
    cluster.apply(pod(name, node, "sleep 600"))
    waiting.until("a pod runs", lambda: cluster.get("pod", name)["status"].get("phase") == "Running", 30)
    assert cluster.ready_nodes() == shared.NODES


def test_bombs_end_at_their_ceilings_and_are_told(cluster: shared.Cluster) -> None:
    before, began = processes(cluster), dt.datetime.now(dt.UTC)
    first, second, third, *_ = cluster.nodes()
    host = cluster.host_of(cluster.nodes()[first])
    hosts = {name: cluster.pid(name) for name in ("api-a", "api-b", "api-c", "etcd-a", "etcd-b", "etcd-c", "edge")}
    try:
        # First, as it eats slowly beside the others; it is started again and again, and eats on.
        cluster.apply(pod("eats", second, EATS))
        waiting.until("what eats is ended", lambda: _oom_killed(cluster.get("pod", "eats")), MOST)
        all_go_on(cluster, second, "calm-2")
        cluster.apply(pod("forks-1", first, BOMB))
        most = kubelet.POD_PROCESSES * 9 // 10
        waiting.until("a pod has all that a pod may have", lambda: processes(cluster, host) > most, MOST)
        all_go_on(cluster, third, "calm-1")
        cluster.apply(*(pod(f"forks-{number}", first, BOMB) for number in (2, 3)))
        waiting.until("it is told", lambda: any("is near its limit of" in said for said in issues(cluster)), MOST)
        all_go_on(cluster, third, "calm-3")
        waiting.until("its Node says so", lambda: "is near its limit of" in condition(cluster, first), 10)
        told = cluster.service.aws("roadstead", "list_events", startTime=began)["events"]
        assert any(event["reason"] == "NearLimit" for event in told), told
    finally:
        cluster.kubectl("delete", "pods", "-l", "test=bombs", "--force", "--grace-period=0", "--wait=false", timeout=60)
    waiting.until("none is left", lambda: processes(cluster) < before + 50, MOST)
    cluster.until_well()
    waiting.until("nothing is near any more", lambda: not issues(cluster) and not condition(cluster, first), 30)
    assert {name: cluster.pid(name) for name in hosts} == hosts
    assert cluster.items("pods", labelSelector="test=bombs") == []


def _oom_killed(of: dict[str, Any]) -> bool:
    states = [
        one.get(which, {}) for one in of["status"].get("containerStatuses", ()) for which in ("state", "lastState")
    ]
    return any(state.get("terminated", {}).get("reason") == "OOMKilled" for state in states)
