"""Three real etcd on three hosts in three zones: a zone is lost and comes back, and no acknowledged write with it.

Cost: about 25 s, one build of etcd when it is not cached.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from tests.live import conftest, fleet

from roadstead import engine
from roadstead.contract.messages import desired, jobs
from roadstead.core import errors

pytestmark = pytest.mark.live

Action = Literal["list", "add-learner", "promote", "remove"]

NET = fleet.network("198.19.4.0/24")
MEMBERS = {f"etcd-{fleet.address(n, NET)[0]}": fleet.address(n, NET)[1] for n in range(3)}


def member(name: str, more: dict[str, str] | None = None) -> desired.Unit:
    where = MEMBERS[name]
    return desired.Unit(
        engine="etcd",
        component="etcd",
        flags={
            "name": name,
            "data-dir": "/var/lib/etcd/data",
            "listen-client-urls": f"http://{where}:2379,http://127.0.0.1:2379",
            "advertise-client-urls": f"http://{where}:2379",
            "listen-peer-urls": f"http://{where}:2380",
            "initial-advertise-peer-urls": f"http://{where}:2380",
            "initial-cluster": ",".join(f"{id}=http://{at}:2380" for id, at in MEMBERS.items()),
            "heartbeat-interval": "100",
            "election-timeout": "500",
            **(more or {}),
        },
        folders=("data",),
        group="etcd",
        ready=desired.CommandProbe(
            engine="etcd", component="etcdctl", arguments=("endpoint", "health", "--command-timeout=2s")
        ),
    )


class Cluster:
    """The three members, and etcdctl from inside the network."""

    def __init__(self, agent: conftest.RunningAgent, etcdctl: Path) -> None:
        self.agent = agent
        self.etcdctl = etcdctl

    def run(self, *words: str, at: str = "", via: str = "etcd-a", timeout: str = "3s") -> str | None:
        """etcdctl in the namespace of host `via`; None when it failed."""
        endpoints = f"http://{MEMBERS[at]}:2379" if at else ",".join(f"http://{a}:2379" for a in MEMBERS.values())
        done = fleet.inside(
            self.agent.places.host(via).netns,
            str(self.etcdctl),
            f"--endpoints={endpoints}",
            f"--command-timeout={timeout}",
            *words,
        )
        return done.stdout.strip() if done.returncode == 0 else None

    def answer(self, *words: str) -> str:
        """The same, asked until it goes well, at most 20 s: one try may fail when the machine is busy."""
        deadline = time.monotonic() + 20
        while (said := self.run(*words)) is None:
            assert time.monotonic() < deadline, f"etcdctl {' '.join(words)} fails"
            time.sleep(0.05)
        return said

    def leader(self) -> str:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            # One after the other: meanwhile another may be elected.
            for name in MEMBERS:
                raw = self.run("endpoint", "status", "--write-out=json", at=name, via=name)
                if raw is not None:
                    status = json.loads(raw)[0]["Status"]
                    if status["leader"] == status["header"]["member_id"]:
                        return name
        raise AssertionError("no leader")

    def zone(self, letter: str, state: str, generation: int) -> None:
        spec = desired.Zone(state=state)  # type: ignore[arg-type]  # one of the states
        self.agent.client.accept(fleet.put(generation, zones={letter: spec}))
        self.agent.client.wait(
            lambda seen: (
                ("zones", letter) in seen
                and seen["zones", letter].generation == generation
                and seen["zones", letter].phase == "ready"
            ),
            20,
        )


@pytest.fixture(scope="module")
def cluster(agent: conftest.RunningAgent) -> Iterator[Cluster]:
    built = engine.get("etcd").components
    hosts = {name: fleet.host(number, "cp", NET) for number, name in enumerate(MEMBERS)}
    units = {f"{name}/etcd": member(name) for name in MEMBERS}
    put = fleet.put(1, engines={"etcd": agent.client.engine(built)}, networks={"cp": NET}, hosts=hosts, units=units)
    agent.client.accept(put)
    agent.client.wait_ready(60)
    yield Cluster(agent, built["etcdctl"])
    fleet.delete_all(agent.client)


def test_three_members_are_up_and_write(cluster: Cluster) -> None:
    listed = cluster.answer("member", "list")
    assert len(listed.splitlines()) == 3
    assert all("started" in line for line in listed.splitlines())
    assert cluster.answer("put", "first", "1") == "OK"


@pytest.mark.parametrize("lost", ["follower", "leader"])
def test_a_lost_zone_stalls_writes_for_seconds_and_loses_none(cluster: Cluster, lost: str) -> None:
    leader = cluster.leader()
    gone = leader if lost == "leader" else next(name for name in MEMBERS if name != leader)
    letter = gone[-1]
    stays = next(name for name in MEMBERS if name != gone)
    assert cluster.answer("put", "before", lost) == "OK"
    generation = int(time.time() * 1000)
    cluster.zone(letter, "black", generation)
    began = time.monotonic()
    others = [name for name in MEMBERS if name != gone]
    while cluster.run("put", "during", lost, at=stays, via=stays, timeout="1s") != "OK":
        assert time.monotonic() - began < 10, "no write within 10 s of the loss of one zone"
    print(f"\n{lost}'s zone black: first acknowledged write after {time.monotonic() - began:.2f} s")
    assert cluster.run("get", "during", "--print-value-only", at=gone, via=others[0], timeout="1s") is None
    cluster.zone(letter, "up", generation + 1)
    began = time.monotonic()
    while cluster.run("get", "during", "--print-value-only", at=gone, via=gone, timeout="1s") != lost:
        assert time.monotonic() - began < 15, "the member did not come back"
    print(f"{lost}'s zone back: its member has the write after {time.monotonic() - began:.2f} s")
    assert cluster.answer("get", "before", "--print-value-only") == lost


def test_a_changed_flag_restarts_the_members_one_after_another(cluster: Cluster) -> None:
    client = cluster.agent.client
    before = {id: seen.pid for (kind, id), seen in client.wait_ready(20).items() if kind == "units"}
    first = client.observations()
    phases = {one.id: one.phase for one in first.observations if one.kind == "units"}
    generation = int(time.time() * 1000)
    changed = {f"{name}/etcd": member(name, {"snapshot-count": "20000"}) for name in MEMBERS}
    client.accept(fleet.put(generation, units=changed))
    after = client.wait(
        lambda seen: all(
            seen["units", id].phase == "ready"
            and seen["units", id].pid != pid
            and seen["units", id].generation == generation
            for id, pid in before.items()
        ),
        60,
    )
    assert {id for (kind, id) in after if kind == "units"} == set(before)
    taken_down = set()
    for change in client.watch(first.revision, 20):
        if change.kind == "units" and change.observation is not None:
            phases[change.id] = change.observation.phase
            if change.observation.phase == "making":
                # By the agent. One that is slow to say that it is ready is not down.
                taken_down.add(change.id)
                assert {id for id, phase in phases.items() if phase != "ready"} == {change.id}, phases
        if change.revision >= client.observations().revision:
            break
    assert taken_down == set(before)
    assert cluster.answer("get", "first", "--print-value-only") == "1"


def test_a_member_is_added_and_removed_by_typed_jobs(cluster: Cluster) -> None:
    client = cluster.agent.client
    common = {"host": "etcd-a", "unit": "etcd", "engine": "etcd", "endpoint": "http://127.0.0.1:2379"}

    def job(id: str, action: Action, **more: str) -> str:
        # etcd refuses changes until all members have been connected for 5 s: a failed job may be started again.
        deadline = time.monotonic() + 30
        while (result := client.start_job(id, jobs.EtcdMember(**common, action=action, **more))).state != "done":
            assert time.monotonic() < deadline, result
            time.sleep(0.05)
        return result.output

    added = json.loads(job("add-d", "add-learner", name="etcd-d", peer_url="http://198.19.4.200:2380"))
    again = json.loads(job("add-d", "add-learner", name="etcd-d", peer_url="http://198.19.4.200:2380"))
    assert added == again, "the same job twice is done once"
    new = next(m for m in added["members"] if "198.19.4.200" in m["peerURLs"][0])
    job("remove-d", "remove", member=f"{new['ID']:x}")
    assert len(json.loads(job("list", "list"))["members"]) == 3
    with pytest.raises(errors.Conflict, match="was made for"):
        client.start_job("late", jobs.EtcdMember(**common, action="list"), expect={"hosts/etcd-a": 99})
