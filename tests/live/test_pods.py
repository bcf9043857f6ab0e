"""Pods' links and addresses, without Kubernetes: the CNI program run in real nodes, as a container runtime runs it.

Cost: about 20 s; two nodes and a control host with nothing in them.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import network_lab, pod_lab

from roadstead.core import instance as instances

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pod_lab.Lab]:
    with pod_lab.running(tmp_path_factory.mktemp("pods")) as made:
        yield made


@pytest.fixture(scope="module")
def pods(lab: pod_lab.Lab) -> dict[str, str]:
    """Three pods, two on one node: addresses by name."""
    return {name: lab.pod(node, name) for name, node in (("one", "n0"), ("two", "n0"), ("far", "n1"))}


def test_the_answer_is_what_the_specification_asks_for(lab: pod_lab.Lab) -> None:
    path = lab.namespace("n1", "spec")
    code, result = lab.ask("n1", "ADD", "spec", path, cniVersion="0.4.0")
    assert code == 0, result
    address = result["ips"][0].pop("address")
    assert result["ips"] == [{"version": "4", "gateway": "169.254.1.1", "interface": 1}]
    assert [i["name"][:2] for i in result["interfaces"]] == ["rp", "et"]
    assert result["interfaces"][1]["sandbox"] == path
    code, again = lab.ask("n1", "ADD", "spec", path)
    assert (code, again["ips"][0]["address"]) == (0, address), "the same request twice is done once"
    assert lab.ask("n1", "CHECK", "spec", path, prevResult=result) == (0, None)
    assert lab.ask("n1", "STATUS", "") == (0, None)
    versions = lab.ask("n1", "VERSION", "")[1]["supportedVersions"]
    assert versions == ["0.4.0", "1.0.0", "1.1.0"]
    other = lab.namespace("n1", "spec-again")
    code, moved = lab.ask("n1", "ADD", "spec", other)
    assert (code, moved["ips"][0]["address"]) == (0, address), "the pod's sandbox was made anew"
    assert lab.ask("n1", "CHECK", "spec", path)[0] == 1
    assert lab.ask("n1", "ADD", "spec", path)[0] == 0
    network_lab.run(*network_lab.inside(lab.netns("n1", "spec"), "ip", "route", "del", "default"))
    code, error = lab.ask("n1", "CHECK", "spec", path, prevResult=result)
    assert code == 1
    assert "route to 0.0.0.0/0" in error["msg"]
    for _ in range(2):
        assert lab.ask("n1", "DEL", "spec", path) == (0, None), "also the second time"
    assert lab.links("n1") == []
    assert lab.ask("n1", "DEL", "never-was") == (0, None)
    lab.gone("n1", "spec")
    lab.gone("n1", "spec-again")


def test_everyone_sees_everyones_own_address(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    one, two, far = lab.netns("n0", "one"), lab.netns("n0", "two"), lab.netns("n1", "far")
    n0, n1, c0 = (lab.host(id) for id in ("n0", "n1", "c0"))
    expected = {
        (one, pods["two"]): pods["one"],
        (two, pods["far"]): pods["two"],
        (far, pods["one"]): pods["far"],
        (one, pod_lab.N0): pods["one"],
        (one, pod_lab.N1): pods["one"],
        (far, pod_lab.C0): pods["far"],
        (n0, pods["one"]): pod_lab.N0,
        (n1, pods["one"]): pod_lab.N1,
        (c0, pods["far"]): pod_lab.C0,
        (one, network_lab.WORLD): network_lab.MACHINE,
    }
    seen = {(netns, address): lab.seen_by(netns, address) for netns, address in expected}
    assert seen == expected


def test_a_pod_speaks_under_its_own_address_only(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    def spoofed() -> int:
        table = lab.agent.places.nft_table
        words = network_lab.run(
            *network_lab.inside(lab.host("n0"), "nft", "list", "counter", "inet", table, "spoofed")
        ).split()
        return int(words[words.index("packets") + 1])

    one = lab.netns("n0", "one")
    for source, target in (("10.9.9.9", pods["far"]), (pods["two"], pods["far"]), (pod_lab.N0, pods["two"])):
        before = spoofed()
        network_lab.run(
            *network_lab.inside(one, "ip", "route", "replace", "local", f"{source}/32", "dev", "lo"),
        )
        network_lab.run(*network_lab.inside(one, sys.executable, "-c", network_lab.SPOOF, source, target))
        network_lab.run(*network_lab.inside(one, "ip", "route", "del", "local", f"{source}/32", "dev", "lo"))
        assert spoofed() == before + 5, (source, target)


@pytest.mark.usefixtures("pods")
def test_an_address_that_no_pod_has_is_refused_at_once(lab: pod_lab.Lab) -> None:
    # Where nothing answered, the client would say that it timed out.
    for pod in (lab.netns("n0", "one"), lab.netns("n1", "far")):
        assert "No route to host" in network_lab.client(pod, "10.30.0.31", pod_lab.PORT, patience=1)[1]


def test_a_port_of_the_node_leads_to_the_pod(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    # Spelt as containerd does it.
    ports = {"portMappings": [{"HostPort": 9090, "ContainerPort": pod_lab.PORT, "Protocol": "tcp", "HostIP": ""}]}
    address = lab.pod("n0", "ported", runtimeConfig=ports)
    assert lab.seen_by(lab.netns("n1", "far"), pod_lab.N0, 9090) == pods["far"]
    assert lab.seen_by(lab.host("n0"), pod_lab.N0, 9090) == pod_lab.N0
    assert lab.seen_by(lab.netns("n0", "ported"), pod_lab.N0, 9090) == pod_lab.N0, "itself, and so translated"
    assert lab.ask("n0", "DEL", "ported", "/run/netns/ported") == (0, None)
    assert network_lab.client(lab.netns("n1", "far"), pod_lab.N0, 9090, patience=1)[0] == ""
    assert address != lab.pod("n0", "later"), "what was freed last is given last"
    assert lab.ask("n0", "DEL", "later", "/run/netns/later") == (0, None)


def test_a_pod_outlives_the_agent_and_the_next_one_waits_for_it(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    one = lab.netns("n0", "one")
    command = network_lab.inside(one, sys.executable, "-c", network_lab.TALK, pods["far"], str(pod_lab.PORT))
    path = lab.namespace("n0", "waits")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as talk:
        assert talk.stdin is not None
        assert talk.stdout is not None
        try:
            assert talk.stdout.readline().strip() == pods["one"]
            fresh = lab.netns("n0", "waits")
            lab.agent.kill()
            network_lab.run(*network_lab.inside(lab.host("n0"), "ip", "route", "del", f"{pods['two']}/32"))
            _write_down(lab.agent.places.host("n0").state / "pods.json", "waits", "10.30.0.29")
            with concurrent.futures.ThreadPoolExecutor(1) as threads:
                waiting = threads.submit(_asked_again, lab, "ADD", "waits", fresh)
                with contextlib.suppress(concurrent.futures.TimeoutError):
                    waiting.result(0.5)
                assert not waiting.done()
                talk.stdin.write("still there\n")
                talk.stdin.flush()
                assert talk.stdout.readline() == "still there\n"
                lab.agent.restart()
                lab.agent.client.wait_ready(20)
                answer: Any = waiting.result(60)
                assert answer["ips"][0]["address"] == "10.30.0.29/32", "what was written down before it was wired"
            assert lab.seen_by(one, pods["two"]) == pods["one"], "a lost route is back"
            talk.stdin.write("and now\n")
            talk.stdin.flush()
            assert talk.stdout.readline() == "and now\n"
        finally:
            talk.kill()
            if lab.agent.process.poll() is not None:
                lab.agent.restart()
    assert lab.ask("n0", "DEL", "waits", path) == (0, None)


def test_a_node_cannot_have_its_own_namespace_wired(lab: pod_lab.Lab) -> None:
    for netns in ("/proc/1/ns/net", "/proc/1/ns/mnt", "/run/netns/nowhere", ""):
        code, error = lab.ask("n0", "ADD", "wrong", netns)
        assert (code, error["code"]) == (1, 4), error
    taken = lab.namespace("n0", "taken")
    own = ("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x")
    network_lab.run(*network_lab.inside(lab.netns("n0", "taken"), *own))
    code, error = lab.ask("n0", "ADD", "taken", taken)
    assert (code, error["code"]) == (1, 4)
    assert "taken" not in (lab.agent.places.host("n0").state / "pods.json").read_text(), "nothing is left of it"
    lab.gone("n0", "taken")
    assert lab.ask("n0", "ADD", "../../x", "/proc/1/ns/net")[1]["code"] == 4
    assert lab.ask("n0", "ADD", "x", "/proc/1/ns/net", cniVersion="0.3.1")[1]["code"] == 1


def test_addresses_run_out_and_come_back(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    names = [f"full-{number}" for number in range(16)]
    spaces = {name: lab.namespace("n1", name) for name in names}
    given = [lab.ask("n1", "ADD", name, spaces[name])[0] for name in names]
    assert given == [0] * 15 + [1], "one address has the pod that was there"
    code, error = lab.ask("n1", "ADD", names[-1], spaces[names[-1]])
    assert (code, error["code"]) == (1, 101)
    assert pod_lab.PREFIX1 in error["msg"]
    # A pod's namespace that is gone takes its link along; nobody says DEL, and its address is free all the same.
    lab.gone("n1", names[0])
    deadline = time.monotonic() + 60
    while len(lab.links("n1")) == 16:
        assert time.monotonic() < deadline, "the link is still there"
        time.sleep(0.05)
    assert lab.ask("n1", "ADD", names[-1], spaces[names[-1]])[0] == 0
    code, error = lab.ask("n1", "GC", "")
    assert (code, error["code"]) == (1, 7), "nobody said what is to stay, so all does"
    kept: dict[str, Any] = {"cni.dev/valid-attachments": [{"containerID": "far", "ifname": "eth0"}]}
    assert lab.ask("n1", "GC", "", "", **kept) == (0, None)
    assert len(lab.links("n1")) == 1
    assert lab.seen_by(lab.netns("n1", "far"), pods["one"]) == pods["far"]
    for name in names:
        lab.gone("n1", name)


def test_how_long_it_takes(lab: pod_lab.Lab) -> None:
    spaces = [lab.netns("n0", Path(lab.namespace("n0", f"fast-{number}")).name) for number in range(10)]

    def one(command: str, number: int) -> float:
        began = time.perf_counter()
        _relay(lab, command, f"fast-{number}", spaces[number])
        return (time.perf_counter() - began) * 1000

    took: dict[str, list[float]] = {}
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        for _ in range(10):
            for command in ("ADD", "DEL"):
                took.setdefault(f"{command} one by one", []).extend(one(command, number) for number in range(10))
        for _ in range(10):
            for command in ("ADD", "DEL"):
                took.setdefault(f"{command} ten at once", []).extend(threads.map(one, [command] * 10, range(10)))
    for what, times in took.items():
        times.sort()
        print(f"{what}: p50 {times[50]:.1f} ms, p99 {times[98]:.1f} ms")
    assert took["ADD one by one"][50] < 100
    for space in spaces:
        lab.gone("n0", space.name)


def test_a_node_that_was_made_again_asks_as_before(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    before = lab.pid("n0")
    os.kill(before, signal.SIGKILL)
    lab.agent.client.wait(lambda seen: seen[("hosts", "n0")].pid != before, 20)
    lab.agent.client.wait_ready(20)
    for name in ("one", "two"):
        assert lab.ask("n0", "DEL", name, f"/run/netns/{name}") == (0, None), "the sandboxes of its earlier life"
    assert lab.links("n0") == []
    lab.pod("n0", "one")
    assert lab.seen_by(lab.netns("n0", "one"), pods["far"]) not in ("", pods["one"])


def test_pods_go_with_their_node(lab: pod_lab.Lab, pods: dict[str, str]) -> None:
    places: instances.Instance = lab.agent.places
    assert "one" in (places.host("n0").state / "pods.json").read_text()
    lab.agent.client.accept(delete={"hosts": {"n0": 1}})
    lab.agent.client.wait(lambda seen: ("hosts", "n0") not in seen, 20)
    assert not places.host("n0").state.exists()
    assert not places.host("n0").netns.exists()
    batch = pod_lab.wanted()
    lab.agent.client.accept({"hosts": {"n0": (2, batch["hosts"]["n0"][1])}})
    lab.agent.client.wait_ready(20)
    lab.pod("n0", "fresh")
    assert len(lab.links("n0")) == 1
    assert lab.seen_by(lab.netns("n1", "far"), "10.30.0.16") == pods["far"]


def _write_down(path: Path, name: str, address: str) -> None:
    """What an agent leaves that was killed when it had written an address down and wired nothing yet."""
    book = json.loads(path.read_text())
    book["entries"].append({"container": name, "device": "eth0", "network": "roadstead", "address": address})
    path.write_text(json.dumps(book))


def _relay(lab: pod_lab.Lab, command: str, name: str, netns: Path) -> dict[str, list[object]]:
    """What it prints."""
    done = _relayed(lab, command, name, netns)
    assert done.returncode == 0, done
    answer: dict[str, list[object]] = json.loads(done.stdout) if done.stdout else {}
    return answer


def _asked_again(lab: pod_lab.Lab, command: str, name: str, netns: Path) -> Any:
    """Asked as a runtime does, again when the agent was not there within the program's ten seconds (code 11)."""
    deadline = time.monotonic() + 40
    while True:
        done = _relayed(lab, command, name, netns)
        answer: Any = json.loads(done.stdout)
        if done.returncode == 0 or answer["code"] != 11 or time.monotonic() > deadline:
            return answer


def _relayed(lab: pod_lab.Lab, command: str, name: str, netns: Path) -> subprocess.CompletedProcess[bytes]:
    """The CNI program started straight from the machine, on the socket that the node has: what is measured."""
    socket = lab.agent.places.host("n0").run / "pods" / "pods.sock"
    conf = {"cniVersion": "1.1.0", "name": "roadstead", "type": "roadstead-cni", "socket": str(socket)}
    return subprocess.run(
        [str(lab.relay)],
        input=json.dumps(conf).encode(),
        capture_output=True,
        env={"CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_IFNAME": "eth0", "CNI_NETNS": str(netns)},
        check=False,
        timeout=20,
        close_fds=False,
    )
