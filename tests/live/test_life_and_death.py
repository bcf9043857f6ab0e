"""The agent dies, the machine reboots, things are torn from under it: what was asked for is there again.

Cost: about 40 s.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import conftest, fleet

from roadstead.agent import purge
from roadstead.agent.links import namespaces
from roadstead.contract.messages import desired, observed

pytestmark = pytest.mark.live

Seen = dict[tuple[str, str], observed.Observation]
HOSTS = 4


@pytest.fixture
def fleet_of_four(agent: conftest.RunningAgent) -> Iterator[conftest.RunningAgent]:
    agent.client.accept(fleet.fleet(agent.client, HOSTS))
    agent.client.wait_ready(30)
    yield agent
    fleet.delete_all(agent.client)


def lives(pid: int | None) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def pids(agent: conftest.RunningAgent) -> dict[tuple[str, str], int | None]:
    return {(o.kind, o.id): o.pid for o in agent.client.wait_ready(20).values() if o.kind in ("hosts", "units")}


def test_a_killed_agent_is_followed_by_one_that_adopts_and_restarts_nothing(
    fleet_of_four: conftest.RunningAgent,
) -> None:
    before = pids(fleet_of_four)
    assert len(before) == 2 * HOSTS
    assert all(before.values())
    fleet_of_four.kill()
    assert all(lives(pid) for pid in before.values())
    began = time.monotonic()
    fleet_of_four.restart()
    after = pids(fleet_of_four)
    print(f"\nadopted {HOSTS} hosts {time.monotonic() - began:.2f} s after the start of the next agent's process")
    assert after == before


def test_hosts_of_an_earlier_release_run_on(fleet_of_four: conftest.RunningAgent) -> None:
    """Their desired states are in its words on the disk, and a serve of that release says so again."""
    before = pids(fleet_of_four)
    fleet_of_four.kill()
    database = sqlite3.connect(fleet_of_four.places.state / "desired.db")
    with database:
        kept = database.execute("SELECT id, generation, spec FROM objects WHERE kind = 'hosts'").fetchall()
        assert len(kept) == HOSTS
        words = {id: {**json.loads(spec), "kind": "control"} for id, _, spec in kept}
        for id, spec in words.items():
            assert (spec.pop("role"), spec.pop("privilege")) == ("api", "unprivileged")
            database.execute("UPDATE objects SET spec = ? WHERE kind = 'hosts' AND id = ?", (json.dumps(spec), id))
    database.close()
    fleet_of_four.restart()
    assert pids(fleet_of_four) == before
    for id, generation, _ in kept:
        again = {"generation": generation, "spec": words[id]}
        body = f"{json.dumps(again)}"
        answer = asked(fleet_of_four, "PUT", f"/v1/hosts/{id}", body)
        assert [one["outcome"] for one in answer["accepted"]] == ["unchanged"], answer
    assert pids(fleet_of_four) == before


def asked(agent: conftest.RunningAgent, method: str, path: str, body: str) -> dict[str, Any]:
    """What the agent answers, asked without our own types."""
    command = ["curl", "--silent", "--unix-socket", str(agent.places.socket), "--request", method, "--data", body]
    done = subprocess.run([*command, f"http://agent{path}"], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def mended(agent: conftest.RunningAgent, works: object, within: float = 5.0) -> float:
    """Seconds until `works()` is true; fails after `within`."""
    assert callable(works)
    began = time.monotonic()
    while not works():
        assert time.monotonic() - began < within, f"not mended within {within} s:\n{agent.log.read_text()[-3000:]}"
        time.sleep(0.02)
    return time.monotonic() - began


def reaches(agent: conftest.RunningAgent, host: str, number: int) -> bool:
    """Whether the other host answers: nobody listens there, so the answer is a refusal."""
    where = fleet.address(number, fleet.network())[1]
    knock = "import socket, sys; s = socket.socket(); s.settimeout(1); sys.exit(s.connect_ex((sys.argv[1], 9)) != 111)"
    return fleet.inside(agent.places.host(host).netns, sys.executable, "-c", knock, where).returncode == 0


def test_a_killed_pid_1_is_made_again_with_its_unit(fleet_of_four: conftest.RunningAgent) -> None:
    before = pids(fleet_of_four)
    victim = before["hosts", "h1"]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)

    def back(seen: Seen) -> bool:
        host, unit = seen["hosts", "h1"], seen["units", "h1/main"]
        return (
            host.phase == "ready"
            and host.pid != victim
            and unit.phase == "ready"
            and unit.pid != before["units", "h1/main"]
        )

    began = time.monotonic()
    after = fleet_of_four.client.wait(back, 10)
    took = time.monotonic() - began
    print(f"\nPID 1 killed: host and unit back after {took:.2f} s")
    assert took < 5
    assert after["hosts", "h1"].restarts >= 1
    assert after["hosts", "h0"].pid == before["hosts", "h0"]
    assert reaches(fleet_of_four, "h1", 0)


def test_a_deleted_veth_comes_back(fleet_of_four: conftest.RunningAgent) -> None:
    places = fleet_of_four.places
    link = places.interface("net", "h2", "0")
    assert reaches(fleet_of_four, "h2", 0)
    gone = fleet.inside(places.router_netns("net"), "ip", "link", "delete", link)
    assert gone.returncode == 0, gone.stderr
    print(f"\ndeleted veth: mended after {mended(fleet_of_four, lambda: reaches(fleet_of_four, 'h2', 0)):.2f} s")


def test_flushed_rules_come_back(fleet_of_four: conftest.RunningAgent) -> None:
    places = fleet_of_four.places

    def rules() -> str:
        return fleet.inside(places.router_netns("net"), "nft", "-s", "list", "ruleset").stdout

    before = rules()
    assert "drop" in before
    # The agent is too quick to see them gone otherwise.
    fleet_of_four.process.send_signal(signal.SIGSTOP)
    try:
        assert fleet.inside(places.router_netns("net"), "nft", "flush", "ruleset").returncode == 0
        assert "drop" not in rules()
    finally:
        fleet_of_four.process.send_signal(signal.SIGCONT)
    print(f"\nflushed table: mended after {mended(fleet_of_four, lambda: rules() == before):.2f} s")


def test_after_a_reboot_everything_is_made_again_with_its_data(fleet_of_four: conftest.RunningAgent) -> None:
    """A reboot as the disk sees it: no process, namespace, rule, cgroup or file under /run is left."""
    places = fleet_of_four.places
    disk = places.host("h3").disk / "kept"
    disk.write_text("data")
    before = {key: pid for key, pid in pids(fleet_of_four).items() if key[0] == "hosts"}
    fleet_of_four.kill()
    purge.halt(places)
    assert not any(lives(pid) for pid in before.values())
    assert not places.run.exists()
    began = time.monotonic()
    fleet_of_four.restart()
    after = fleet_of_four.client.wait_ready(30)
    print(f"\nafter a reboot: {HOSTS} hosts and units ready {time.monotonic() - began:.2f} s after the agent's start")
    assert disk.read_text() == "data"
    assert all(after[key].pid != pid for key, pid in before.items())
    assert reaches(fleet_of_four, "h3", 0)


def test_a_delete_that_is_cut_off_is_finished_by_the_next_agent(agent: conftest.RunningAgent) -> None:
    agent.client.accept(fleet.fleet(agent.client, HOSTS))
    try:
        _delete_cut_off(agent)
    finally:
        fleet.delete_all(agent.client)


def _delete_cut_off(agent: conftest.RunningAgent) -> None:
    agent.client.wait_ready(30)
    everything = {
        kind: {id: int(str(record["generation"])) for id, record in records.items()}
        for kind, records in agent.client.wanted().items()
        if kind != "units"
    }
    agent.client.accept(delete=everything)
    agent.kill()
    agent.restart()
    agent.client.wait(lambda seen: not seen, 30)
    assert agent.client.wanted() == {}
    assert list((agent.places.state / "hosts").glob("*")) == []
    assert list(agent.places.netns_folder.glob("*")) == []


def test_what_a_newer_agent_wrote_is_kept_and_reported(fleet_of_four: conftest.RunningAgent) -> None:
    before = pids(fleet_of_four)
    fleet_of_four.kill()
    with sqlite3.connect(fleet_of_four.places.state / "desired.db") as db:
        db.execute("UPDATE objects SET spec = json_set(spec, '$.hibernate', 'soon') WHERE kind = 'hosts' AND id = 'h0'")
    db.close()
    fleet_of_four.restart()
    seen = fleet_of_four.client.wait(
        lambda seen: all(seen[key].phase == "ready" for key in before if key[1] not in ("h0", "h0/main")),
        20,
    )
    assert seen["hosts", "h0"].phase == "not-understood"
    assert "hibernate" in seen["hosts", "h0"].reason
    assert lives(before["hosts", "h0"])
    assert lives(before["units", "h0/main"])
    raw = fleet_of_four.client.wanted()["hosts"]["h0"]["spec"]
    assert isinstance(raw, dict)
    assert raw["hibernate"] == "soon"


def test_a_stopped_zone_stops_its_hosts_and_brings_them_back(fleet_of_four: conftest.RunningAgent) -> None:
    client = fleet_of_four.client
    before = pids(fleet_of_four)
    client.accept(fleet.put(1, zones={"a": desired.Zone(state="stopped")}))
    client.wait(lambda seen: seen["hosts", "h0"].phase == seen["hosts", "h3"].phase == "stopped", 20)
    assert not lives(before["hosts", "h0"])
    assert lives(before["hosts", "h1"])
    client.accept(fleet.put(2, zones={"a": desired.Zone(state="up")}))
    client.wait_ready(20)
    assert reaches(fleet_of_four, "h0", 1)


def test_an_instance_ends_with_its_owner(tmp_path: Path) -> None:
    """The owner is killed with its agent's instance full of hosts: everything of it is gone soon after."""
    with conftest.running_agent(tmp_path) as agent:
        agent.client.accept(fleet.fleet(agent.client, 2))
        agent.client.wait_ready(30)
        agent.process.terminate()
        agent.process.wait(10)
        owner = subprocess.Popen(["sleep", "60"])
        orphan = conftest.spawn(agent.places, agent.log, owner=owner.pid)
        conftest.answered(agent.client, orphan, agent.log)
        owner.kill()
        owner.wait(5)
        assert orphan.wait(20) == 0, agent.log.read_text()[-3000:]
        assert not agent.places.state.exists()
        assert not agent.places.run.exists()
        agent.process = orphan
    assert not namespaces.exists(agent.places.router_netns("net"))
