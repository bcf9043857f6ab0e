"""Three real etcd that begin with a seed: one new cluster with its objects, once, and never again.

Cost: about 12 s, one build of Kubernetes and one run of its API server when they are not cached.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import conftest, fleet

from roadstead import engine
from roadstead.contract.messages import desired

pytestmark = pytest.mark.live

NET = fleet.network("198.19.5.0/24")
MEMBERS = {f"etcd-{fleet.address(n, NET)[0]}": fleet.address(n, NET)[1] for n in range(3)}
CLUSTER = {
    "initial-cluster": ",".join(f"{id}=http://{at}:2380" for id, at in MEMBERS.items()),
    "initial-cluster-token": "seeded",
}


def member(name: str, seed: str) -> desired.Unit:
    where = MEMBERS[name]
    own = {"name": name, "initial-advertise-peer-urls": f"http://{where}:2380", **CLUSTER}
    return desired.Unit(
        engine="etcd",
        component="etcd",
        flags={
            "data-dir": "/var/lib/etcd/data",
            "listen-client-urls": f"http://{where}:2379,http://127.0.0.1:2379",
            "advertise-client-urls": f"http://{where}:2379",
            "listen-peer-urls": f"http://{where}:2380",
            **own,
        },
        files={"seed.db": desired.UnitFile(blob=seed, on_change="nothing")},
        folders=("data",),
        first=desired.First(
            component="etcdutl",
            arguments=("snapshot", "restore", "/etc/units/etcd/seed.db"),
            flags=own,
            folder="data",
        ),
        ready=desired.CommandProbe(
            engine="etcd", component="etcdctl", arguments=("endpoint", "health", "--command-timeout=2s")
        ),
    )


class Members:
    def __init__(self, agent: conftest.RunningAgent, etcdctl: Path) -> None:
        self.agent = agent
        self.etcdctl = etcdctl

    def run(self, at: str, *words: str) -> str:
        """etcdctl at one member."""
        endpoint = f"--endpoints=http://{MEMBERS[at]}:2379"
        netns = self.agent.places.host(at).netns
        done = fleet.inside(netns, str(self.etcdctl), endpoint, "--command-timeout=10s", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def data(self, of: str) -> Path:
        return self.agent.places.host(of).disk / "lib" / "etcd" / "data"


@pytest.fixture(scope="module")
def members(agent: conftest.RunningAgent) -> Iterator[Members]:
    built = engine.get("etcd").components
    seed = agent.client.keep_blob(engine.get("seed").components["seed.db"])
    put = fleet.put(
        1,
        engines={"etcd": agent.client.engine(built)},
        networks={"cp": NET},
        hosts={name: fleet.host(number, "cp", NET) for number, name in enumerate(MEMBERS)},
        units={f"{name}/etcd": member(name, seed) for name in MEMBERS},
    )
    agent.client.accept(put)
    agent.client.wait_ready(60)
    yield Members(agent, built["etcdctl"])
    fleet.delete_all(agent.client)


def test_they_begin_as_one_new_cluster_with_the_seeds_objects(members: Members) -> None:
    roles = []
    for name in MEMBERS:
        keys = members.run(name, "get", "/registry/", "--prefix", "--keys-only").split()
        assert "/registry/clusterroles/cluster-admin" in keys
        assert not [key for key in keys if "secrets" in key or "serviceaccounts" in key or "namespaces" in key]
        roles.append(keys)
    assert roles[0] == roles[1] == roles[2]
    print(f"\n{len(roles[0])} objects are there from the start")
    status = [json.loads(members.run(name, "endpoint", "status", "--write-out=json"))[0]["Status"] for name in MEMBERS]
    assert len({one["header"]["cluster_id"] for one in status}) == 1
    assert len({one["header"]["member_id"] for one in status}) == 3
    assert len(members.run("etcd-a", "member", "list").splitlines()) == 3
    members.run("etcd-b", "put", "later", "1")
    assert members.run("etcd-c", "get", "later", "--print-value-only").strip() == "1"


def test_a_member_that_lost_its_log_does_not_begin_again(members: Members) -> None:
    """It would vote as one that has never seen a write, and acknowledged ones could be lost. etcd itself refuses."""
    client, lost = members.agent.client, "etcd-c"
    seen = client.wait_ready(20)
    members.run("etcd-a", "put", "acknowledged", "1")
    pid = seen["units", f"{lost}/etcd"].pid
    assert pid is not None
    for path in members.data(lost).iterdir():
        shutil.rmtree(path)
    os.kill(pid, signal.SIGKILL)
    unit = ("units", f"{lost}/etcd")
    client.wait(lambda now: now[unit].restarts > 2 and now[unit].phase == "failing", 30)
    assert not list(members.data(lost).rglob("*.snap.db"))
    log = b"".join(client.logs(lost, "etcd", 100_000)).decode()
    assert "restored snapshot" in log, "the first start was not by the seed"
    assert log.count("restored snapshot") == 1
    assert "has already been bootstrapped" in log
    assert members.run("etcd-b", "get", "acknowledged", "--print-value-only").strip() == "1"
