"""Every part of a cluster fails once, while clients outside and in pods write and read all the time.

No acknowledged write is lost, and no client is without a success for more than 3 s. What only stalls, or is no part of
the way to the API server, ends no idle session. Each fault ends, all is well again, what charts bring (`bundle`), too,
then comes the next; what was measured is printed at once and as a table at the end.

Cost: about 4 minutes on the shared cluster, half of it faults of 10 s and more. Faults that differ from these by a
letter alone are tested in `make soak`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from testkit import waiting
from tests.live import bundle, conftest, fleet, idle, logins, shared, steady, webhook_calls

from roadstead.contract.messages import desired

pytestmark = pytest.mark.live

FROZEN = 10.0
STOPPED = 12.0
"""Seconds of those faults: longer than what clients and servers wait for each other."""
BLACK = 35.0
"""Seconds: a node is not Ready after 20, and what is at a pod of it is then not asked any more."""
STALL = 2.0
"""Seconds for which etcd may do nothing, and no idle session ends."""
LOADED = 10.0
"""Seconds of full load before the stall."""
DEPLOYMENT = "failures"
OWN_ENDS = {
    "kube-controller-manager": ("leaderelection lost", "kube-controller-manager"),
    "kube-scheduler": ("leaderelection lost", "kube-scheduler"),
    "proxy-1": ("the other proxy is frozen", "proxy-2"),
    "proxy-2": ("the other proxy is frozen", "proxy-1"),
}
"""By unit: what is logged when it ends itself or is ended by its sibling, and in whose log."""


PROXIES = pytest.mark.parametrize("number", [1, pytest.param(2, marks=conftest.only_in_soak)])
"""They are twins, and which of them takes a connection is the kernel's choice."""


@pytest.fixture(scope="module")
def clients(
    shared_cluster: shared.Cluster, bundled: bundle.Bundle, request: pytest.FixtureRequest
) -> Iterator[steady.Clients]:
    with steady.running(shared_cluster) as running:
        running.workloads = bundled
        yield running
        figures = request.config.stash[conftest.FIGURES]
        figures.append("longest time without an acknowledged write / read in s (failed requests)")
        for fault, seen in running.table.items():
            figures.append(f"| {fault} | " + " | ".join(f"{name} {one}" for name, one in seen.items()) + " |")


@pytest.fixture
def cluster(clients: steady.Clients) -> shared.Cluster:
    return clients.cluster


def frozen(pid: int, seconds: float) -> None:
    """The process does nothing for that time. It may have been replaced meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            print(f"\nthe frozen process {pid} was ended meanwhile")


def died(cluster: shared.Cluster, host: str, unit: str = "") -> None:
    """kill -9, and another process is there."""
    before = cluster.kill(host, unit)
    kind, id = ("units", f"{cluster.host(host)}/{unit}") if unit else ("hosts", cluster.host(host))

    def again() -> bool:
        seen = cluster.seen().get((kind, id))
        return seen is not None and seen.pid not in (None, before) and seen.phase == "ready"

    took = waiting.until(f"{id} is back", again, 30, every=0.02)
    print(f"\n{id} was ready again after {took:.2f} s")


def test_an_api_server_is_killed(clients: steady.Clients, cluster: shared.Cluster) -> None:
    with clients.meanwhile("kill -9 an API server"):
        died(cluster, busiest(cluster), "kube-apiserver")


def test_an_api_server_freezes(clients: steady.Clients, cluster: shared.Cluster) -> None:
    with clients.meanwhile("SIGSTOP an API server"):
        frozen(cluster.pid(busiest(cluster), "kube-apiserver"), FROZEN)


def test_the_leader_of_etcd_is_killed(clients: steady.Clients, cluster: shared.Cluster) -> None:
    with clients.meanwhile("kill -9 the etcd leader"):
        died(cluster, f"etcd-{cluster.etcd_leader()}", "etcd")


def test_the_leader_of_etcd_freezes(clients: steady.Clients, cluster: shared.Cluster) -> None:
    with clients.meanwhile("SIGSTOP the etcd leader"):
        frozen(cluster.pid(f"etcd-{cluster.etcd_leader()}", "etcd"), FROZEN)


# A leader is also the member of its zone's API server: with it all is lost that is lost with a follower.
@conftest.only_in_soak
def test_a_follower_of_etcd_freezes(clients: steady.Clients, cluster: shared.Cluster) -> None:
    follower = next(letter for letter in "abc" if letter != cluster.etcd_leader())
    with clients.meanwhile("SIGSTOP an etcd follower"):
        frozen(cluster.pid(f"etcd-{follower}", "etcd"), FROZEN)


@pytest.mark.parametrize("role", ["leader", pytest.param("follower", marks=conftest.only_in_soak)])
def test_a_member_of_etcd_stalls(clients: steady.Clients, cluster: shared.Cluster, role: str) -> None:
    with clients.meanwhile(f"SIGSTOP the etcd {role} for 2 s", keeps_sessions=True), idle.deleting(cluster):
        leader = cluster.etcd_leader()
        letter = leader if role == "leader" else next(each for each in "abc" if each != leader)
        frozen(cluster.pid(f"etcd-{letter}", "etcd"), STALL)


def test_the_machine_has_other_work(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """As many hogs as processors, and a stall as a slow disk makes them."""
    before = marked_down(cluster)
    with clients.meanwhile("full load of other work", keeps_sessions=True), hogs():
        time.sleep(LOADED)
        print(f"\nthe proxies marked servers down {marked_down(cluster) - before} times in {LOADED:g} s")
        frozen(cluster.pid(f"etcd-{cluster.etcd_leader()}", "etcd"), STALL)


def test_the_leading_controllers_are_killed(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """Leadership passes on within 6 s and a second or two."""
    leaders = {name: cluster.holder(name) for name in ("kube-controller-manager", "kube-scheduler")}
    with clients.meanwhile("kill -9 the leading controller-manager and scheduler", keeps_sessions=True):
        for name, letter in leaders.items():
            cluster.kill(f"api-{letter}", name)
        with deployed(cluster):
            took = waiting.until("a deployment is made all the same", lambda: running_pods(cluster) == 2, 30)
            print(f"\na new deployment of 2 ran after {took:.1f} s")


@PROXIES
def test_a_proxy_is_killed(clients: steady.Clients, cluster: shared.Cluster, number: int) -> None:
    with clients.meanwhile(f"kill -9 proxy {number} of 2"):
        died(cluster, "edge", f"proxy-{number}")


@PROXIES
def test_a_proxy_freezes(clients: steady.Clients, cluster: shared.Cluster, number: int) -> None:
    with clients.meanwhile(f"SIGSTOP proxy {number} of 2"):
        frozen(cluster.pid("edge", f"proxy-{number}"), FROZEN)


@pytest.mark.parametrize("host", ["api-a", "etcd-b", "edge"])
def test_a_host_dies(clients: steady.Clients, cluster: shared.Cluster, host: str) -> None:
    with clients.meanwhile(f"the host {host} dies"):
        died(cluster, host)


def test_a_node_dies(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """One without a client. It comes back from its disk as the same node."""
    name, node = next(
        (name, node)
        for name, node in cluster.nodes().items()
        if node["metadata"]["labels"]["topology.kubernetes.io/zone"].endswith("c")
    )
    with clients.meanwhile("a node dies", keeps_sessions=True):
        died(cluster, cluster.host_of(node).partition(".")[2])
    assert cluster.nodes()[name]["metadata"]["uid"] == node["metadata"]["uid"]


def test_a_zone_is_cut_off(clients: steady.Clients, cluster: shared.Cluster, bundled: bundle.Bundle) -> None:
    """What is called at a pod there is not answered, and is tried again; once its node is not Ready nobody calls it."""
    cluster.until_well()
    zone = cluster.etcd_leader()
    with (
        clients.meanwhile("a zone black, with the etcd leader", zone=zone),
        webhook_calls.trying(cluster) as tries,
    ):
        cluster.zone(zone, "black")
        try:
            time.sleep(BLACK)
            top = waiting.until("the metrics API answers", bundled.measured, 15)
        finally:
            cluster.zone(zone, "up")
    print(
        f"\nof {len(tries.all)} calls of a webhook {len(tries.all) - len(tries.good)} failed, the last after "
        f"{tries.last_bad:.1f} s, longest without one {tries.gap(BLACK):.1f} s; the metrics API was back in {top:.1f} s"
    )
    # One of three pods is away: whoever tries again finds another.
    assert tries.good[0] < 20
    assert tries.last_bad <= BLACK - 5


def test_a_zone_stops(clients: steady.Clients, cluster: shared.Cluster) -> None:
    cluster.until_well()
    zone = cluster.etcd_leader()
    with clients.meanwhile("a zone stopped, with the etcd leader", zone=zone):
        cluster.zone(zone, "stopped")
        try:
            time.sleep(STOPPED)
        finally:
            cluster.zone(zone, "up")


def test_serve_dies(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """Clusters do not notice; when it is back it sees all as it is, and changes nothing."""
    with clients.meanwhile("serve dies", keeps_sessions=True):
        before, pids = desires(cluster), alive(cluster)
        cluster.service.serve.kill()
        time.sleep(3)
        waiting.until("nodes are Ready without it", lambda: cluster.ready_nodes() == shared.NODES, 15)
        took = cluster.service.serve.start()
        described = waiting.until("it answers", lambda: cluster.described["status"] == "ACTIVE", 10)
        print(f"\nserve was back after {took:.2f} s, and described the cluster {described:.2f} s later")
    assert desires(cluster) == before
    assert alive(cluster).since(pids) == []


def test_porters_die_and_freeze(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """Those who were in stay in. New logins go on by the other; without both they wait until one is back."""
    with clients.meanwhile("porters die and freeze", keeps_sessions=True), logins.going_on(cluster) as told:
        logins.without_one(told, cluster.service.porters[0], signal.SIGKILL)
        logins.without_one(told, cluster.service.porters[1], signal.SIGSTOP)
        logins.without_both(told, cluster.service.porters)


def test_the_agent_dies(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """Pods run on; a new one waits for its network, and comes."""
    with clients.meanwhile("the agent dies", keeps_sessions=True):
        before = alive(cluster)
        cluster.service.agent.kill()
        with deployed(cluster):
            time.sleep(3)
            assert running_pods(cluster) == 0
            took = cluster.service.agent.restart()
            came = waiting.until("the pods came", lambda: running_pods(cluster) == 2, 30)
            print(f"\nthe agent was back after {took:.2f} s, and two new pods {came:.1f} s later")
    assert alive(cluster).since(before) == []


def test_the_machine_restarts(clients: steady.Clients, cluster: shared.Cluster) -> None:
    """Power goes and comes back: the same nodes are Ready, the same data is there, pods run again."""
    nodes = {name: node["metadata"]["uid"] for name, node in cluster.nodes().items()}
    acknowledged = {name: max(one.count for one in said) for name, said in clients.said().items()}
    with clients.meanwhile("the machine restarts", bound=60.0):
        began = time.monotonic()
        took = cluster.service.restart()
        since = dt.datetime.now(dt.UTC)
        programs = time.monotonic() - began
        waiting.until("all nodes are Ready", lambda: awake(cluster, since) == shared.NODES, 60)
        ready = time.monotonic() - began
        print(f"\nended and started in {programs:.1f} s ({took}), all nodes Ready after {ready:.1f} s")
        assert ready <= 60
    assert {name: node["metadata"]["uid"] for name, node in cluster.nodes().items()} == nodes
    for name, count in acknowledged.items():
        kept = cluster.get("configmap", name)["data"]["count"]
        assert int(kept) >= count


@contextlib.contextmanager
def hogs() -> Iterator[None]:
    processes = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait(10)


def marked_down(cluster: shared.Cluster) -> int:
    """How often the proxies have done so since they were made."""
    logs = (
        b"".join(cluster.service.agent.client.logs(cluster.host("edge"), unit, 10**7))
        for unit in ("proxy-1", "proxy-2")
    )
    return sum(len(re.findall(rb" Server api-servers/api-. is DOWN", log)) for log in logs)


def busiest(cluster: shared.Cluster) -> str:
    """The host of the API server that has most of the connections."""

    def connections(host: str) -> int:
        netns = cluster.service.agent.places.host(cluster.host(host)).netns
        shown = fleet.inside(netns, "ss", "-Htn", "state", "established", "sport", "=", ":443").stdout
        return len([line for line in shown.splitlines() if "127.0.0.1" not in line and "[::1]" not in line])

    return max((f"api-{letter}" for letter in "abc"), key=connections)


def desires(cluster: shared.Cluster) -> dict[str, dict[str, object]]:
    """What the agent is asked for: kind, id, generation."""
    wanted = cluster.service.agent.client.wanted()
    assert set(wanted) <= set(desired.KINDS)
    return {kind: {id: one["generation"] for id, one in records.items()} for kind, records in wanted.items()}


def awake(cluster: shared.Cluster, since: dt.datetime) -> int:
    """Nodes that are Ready, and whose kubelets have said so since then."""
    if cluster.ready_nodes() < shared.NODES:
        return 0
    leases = cluster.get("leases", namespace="kube-node-lease", timeout=2)["items"]
    renewed = [dt.datetime.fromisoformat(one["spec"]["renewTime"]) for one in leases]
    return sum(moment > since for moment in renewed)


@dataclass(frozen=True)
class Alive:
    """All processes, and how often units have ended themselves and said so."""

    pids: Mapping[tuple[str, str], int | None]
    own_ends: Mapping[tuple[str, str], int]

    def since(self, before: Alive) -> list[str]:
        """What has another process than before. Not what ended itself: a leader that could not renew its lease in
        time, a proxy that its sibling took for frozen. Both are by design, and a slow disk suffices.
        """
        keys = self.pids.keys() | before.pids.keys()
        changed = sorted(key for key in keys if self.pids.get(key) != before.pids.get(key))
        return [
            f"{kind}/{id}" for kind, id in changed if self.own_ends.get((kind, id)) == before.own_ends.get((kind, id))
        ]


def alive(cluster: shared.Cluster) -> Alive:
    pids = {key: one.pid for key, one in cluster.seen().items() if one.pid is not None}
    own_ends = {}
    for kind, id in pids:
        host, _, unit = id.partition("/")
        if kind == "units" and unit in OWN_ENDS:
            told, by = OWN_ENDS[unit]
            log = b"".join(cluster.service.agent.client.logs(host, by, 100_000)).decode()
            own_ends[kind, id] = log.lower().count(told)
    return Alive(pids, own_ends)


@contextlib.contextmanager
def deployed(cluster: shared.Cluster) -> Iterator[None]:
    """A deployment of 2; none of its pods is left when it ends."""
    try:
        cluster.apply(deployment(2))
        yield
    finally:
        cluster.try_kubectl("delete", "deployment", DEPLOYMENT)
        waiting.until("its pods are gone", lambda: not cluster.items("pods", labelSelector=f"app={DEPLOYMENT}"), 30)


def running_pods(cluster: shared.Cluster) -> int:
    """Those of the deployment that are Ready; 0 while nobody answers."""
    with contextlib.suppress(OSError, AssertionError):
        return sum(map(shared.is_ready, cluster.get("pods", timeout=2, labelSelector=f"app={DEPLOYMENT}")["items"]))
    return 0


def deployment(replicas: int) -> dict[str, Any]:
    container = {"name": "main", "image": shared.IMAGE, "command": ["/bin/visitor", "serve", "8080"]}
    labels = {"app": DEPLOYMENT}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": DEPLOYMENT},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }
