"""Figures of whole clusters, side by side in one run with the bare floor (bench.floor) of the same binaries.

    python -m bench.cluster [--quick] [-o json]     (as root; engines cached; about twelve minutes, quick: five)

Machines are shared and noisy, so the service and the floor are measured by turns and compared by their medians, and
each round says how loaded the machine was before it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.live import service

from bench import agent, byhand, cost, creation, floor, pages, pods, stage
from roadstead import engine

NODES = 4
CALLS = 500
PODS = 60
IDLE_SECONDS = 30.0
_PAUSE = "roadstead.dev/pause:1.0"
_REST = 20.0
"""Seconds before each of the clusters that are side by side."""
_WHOLE = 2.2
_WHOLE_SAID = "12 s where the floor's 3+3 take 5.5 s"


@dataclass(frozen=True)
class Figure(agent.Figure):
    """With the load of the machine before it was taken: its running processes, over the last minute."""

    load: float = 0.0

    def line(self) -> str:
        return f"{super().line():<140} load {self.load:.1f}"


@dataclass
class Rounds:
    """The times of the creations, ours and the floor's by turns."""

    ours: list[dict[str, float]] = field(default_factory=list)
    bare: list[floor.Start] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def median(self, what: str) -> float:
        return statistics.median(times[what] for times in self.ours)


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of whole clusters beside the bare floor.")
    parser.add_argument("--quick", action="store_true", help="one round, shorter looks, no clusters side by side")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    # As Ctrl-C: what was made is taken away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    figures: list[Figure] = []
    with stage.standing() as on:
        rounds = Rounds()
        for number in range(1 if options.quick else 3):
            rounds.loads.append(cost.load())
            rounds.bare.append(bare())
            made = whole(on, f"round-{number}")
            rounds.ours.append(made.times)
            _phases(on, made)
            if number == 0:
                figures += standing_figures(on, made, IDLE_SECONDS / (3 if options.quick else 1))
            rounds.ours[-1]["deleted"] = creation.removed(on, made)
        figures = creation_figures(rounds) + figures
        if not options.quick:
            figures += side_by_side(on)
    print(json.dumps([asdict(f) for f in figures], indent=2) if options.output == "json" else _table(figures))
    return 0


def bare() -> floor.Start:
    with floor.running() as (_, start):
        return start


def whole(on: stage.Stage, name: str) -> creation.Made:
    """A cluster with its nodes."""
    made = creation.created(on, name)
    creation.awaited(on, made)
    creation.grown(on, made, NODES)
    creation.joined(on, made, NODES)
    creation.accounted(on, made)
    return made


def creation_figures(rounds: Rounds) -> list[Figure]:
    load = max(rounds.loads)
    ready = statistics.median(start.ready for start in rounds.bare)
    first = statistics.median(start.first for start in rounds.bare)
    account = statistics.median(start.account for start in rounds.bare)
    ours = rounds.median("3+3 ready")

    def of(name: str, what: str, bound: float | None, against: str = "") -> Figure:
        return Figure(name, rounds.median(what), "s", bound, against, load)

    return [
        of("CreateCluster to a usable endpoint", "endpoint usable", None, f"floor's first {first:.2f} s"),
        of("CreateCluster to 3+3 ready", "3+3 ready", None, f"floor {ready:.2f} s"),
        Figure("  beside the floor", ours / ready, "x", 1.0, f"{len(rounds.ours)} rounds by turns", load),
        of("CreateCluster to ACTIVE", "ACTIVE", None),
        of("CreateCluster to the default service account", "service account", None, f"floor {account:.2f} s"),
        of(f"CreateCluster to {NODES} nodes Ready", f"{NODES} nodes Ready", None),
        of("CreateCluster to nodes Ready and DNS answering", "DNS answering", 12),
        Figure("  beside the floor", rounds.median("DNS answering") / ready, "x", _WHOLE, _WHOLE_SAID, load),
        of("everything deleted", "deleted", 15),
    ]


def _phases(on: stage.Stage, made: creation.Made) -> None:
    """Where the time went: when the last of its kind came to be."""
    print(
        f"\n{made.name}: seconds after CreateCluster, and what was there then (load {cost.load():.1f})", file=sys.stderr
    )
    rows = [(at, what) for what, at in made.times.items()]
    for kind, phase, word in (("hosts", "ready", "hosts made"), ("units", "ready", "ready")):
        for group in ("etcd", "api", "edge", "i"):
            for unit in sorted({id.partition("/")[2] for k, id in on.seen.latest if k == kind}):
                ats = [
                    phases[phase] - made.began
                    for (k, id), phases in list(on.seen.first.items())
                    if k == kind and phase in phases and id.partition("/")[2] == unit
                    if id.startswith(f"{made.id}.{group}-")
                ]
                if ats:
                    rows.append((min(ats), f"first: {group} {unit} {word}"))
                    rows.append((max(ats), f"last:  {group} {unit} {word}"))
    for at, what in sorted(rows):
        print(f"  {at:6.2f}  {what}", file=sys.stderr)


def standing_figures(on: stage.Stage, made: creation.Made, seconds: float) -> list[Figure]:
    """Of one whole cluster that stands, beside the floor's where there is one to compare with."""
    found: list[Figure] = []
    typed = functools.partial(kubectl, count=CALLS if seconds >= IDLE_SECONDS else CALLS // 5)
    for figures in (memory, typed, calls, cni, functools.partial(idle, seconds=seconds), starts):
        try:
            fresh = figures(on, made)
            print(_table(fresh), file=sys.stderr)
            found += fresh
        except OSError as error:
            # A machine that is too busy for one of them may do for the others.
            print(f"not measured: {error}", file=sys.stderr)
    return found


def memory(on: stage.Stage, made: creation.Made) -> list[Figure]:
    own = {name: cost.pss(agent.processes_below(process.pid)[:1]) for name, process in on.processes.items()}
    plane = cost.plane_memory(on, made.id)
    said = ", ".join(f"{name} {mb:.0f}" for name, mb in own.items())
    parts = ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(plane.items(), key=lambda pair: -pair[1]))
    return [
        Figure("serve + porters + agent, PSS", sum(own.values()), "MB", 250, said, cost.load()),
        Figure("control plane, PSS", sum(plane.values()), "MB", 700, parts, cost.load()),
    ]


@contextlib.contextmanager
def _as_serve() -> Iterator[None]:
    """Sockets made meanwhile are serve's: only it comes to an API server without the endpoint."""
    os.seteuid(stage.USER)
    try:
        yield
    finally:
        os.seteuid(0)


def calls(on: stage.Stage, made: creation.Made) -> list[Figure]:
    """The bare request for the nodes on kept connections, through the endpoint and straight by turns: what the
    endpoint itself adds, of which nobody with a program of their own sees a tenth.
    """
    plane = on.client.wanted()["hosts"][f"{made.id}.api-a"]["spec"]
    assert isinstance(plane, dict)
    through = creation.api(on, made)
    straight = on.api(made.id, plane["legs"][1]["address"], 443)
    with _as_serve():
        straight("GET", "/version")
    took: dict[str, list[float]] = {"endpoint": [], "straight": []}
    for number in range(CALLS + 20):
        for name, api in (("endpoint", through), ("straight", straight)):
            began = time.perf_counter()
            status, _ = api("GET", "/api/v1/nodes?limit=500")
            assert status == 200
            if number >= 20:
                took[name].append((time.perf_counter() - began) * 1000)
    ours, other = (statistics.median(took[name]) for name in ("endpoint", "straight"))
    said = f"p50 {ours:.2f} ms, straight {other:.2f} ms, {CALLS} calls by turns"
    return [Figure("  the bare request on a kept connection, p50", ours / other, "x", None, said, cost.load())]


def kubectl(on: stage.Stage, made: creation.Made, count: int) -> list[Figure]:
    """`kubectl get nodes` as a program, through the endpoint and straight by turns, as one who may do everything."""
    plane = on.client.wanted()["hosts"][f"{made.id}.api-a"]["spec"]
    assert isinstance(plane, dict)
    servers = {"endpoint": f"127.0.0.1:{made.port}", "straight": f"{plane['legs'][1]['address']}:443"}
    program = engine.get("1.37").components["kubectl"]
    took: dict[str, list[float]] = {name: [] for name in servers}
    with tempfile.TemporaryDirectory(prefix="roadstead-kubectl-") as name:
        home = Path(name)
        os.chown(home, stage.USER, stage.USER)
        for which, server in servers.items():
            (home / which).write_bytes(
                floor.kubeconfig(on.authority(made.id), stage.ASKS, stage.GROUP, f"https://{server}")
            )
            os.chown(home / which, stage.USER, stage.USER)
        for number in range(count + 5):
            for which in servers:
                words = ["setpriv", *service.without_root(), str(program), f"--kubeconfig={home / which}"]
                began = time.perf_counter()
                subprocess.run(
                    [*words, "get", "nodes"],
                    env={"HOME": name, "PATH": os.environ["PATH"]},
                    capture_output=True,
                    check=True,
                    timeout=30,
                )
                if number >= 5:
                    took[which].append((time.perf_counter() - began) * 1000)
    ours, other = (statistics.median(took[which]) for which in servers)
    said = f"p50 {ours:.1f} ms, straight {other:.1f} ms, {count} calls by turns"
    return [Figure("kubectl get nodes through the endpoint, p50", ours / other, "x", 1.1, said, cost.load())]


def cni(on: stage.Stage, made: creation.Made) -> list[Figure]:
    """The CNI program as a runtime calls it, from its start to its answer: 100 pods one by one."""
    host = next(id for kind, id in on.seen.latest if kind == "hosts" and id.startswith(f"{made.id}.i-"))
    socket = on.places.host(host).run / "pods" / "pods.sock"
    program = on.places.engines / "cni-1.0" / "roadstead-cni"
    conf = {"cniVersion": "1.1.0", "name": "roadstead", "type": "roadstead-cni", "socket": str(socket)}
    name = f"bench-{secrets.token_hex(3)}"
    took: list[float] = []
    with byhand.network_namespace(name) as path:
        for _ in range(100):
            for command in ("ADD", "DEL"):
                began = time.perf_counter()
                subprocess.run(
                    [str(program)],
                    input=json.dumps(conf).encode(),
                    capture_output=True,
                    env={
                        "CNI_COMMAND": command,
                        "CNI_CONTAINERID": name,
                        "CNI_IFNAME": "eth0",
                        "CNI_NETNS": str(path),
                    },
                    check=True,
                    timeout=20,
                )
                took.append((time.perf_counter() - began) * 1000)
    took.sort()
    said = f"p50 {took[100]:.1f} ms, ADD and DEL"
    return [Figure("CNI exec, p99", took[197], "ms", 40, said, cost.load())]


def idle(on: stage.Stage, made: creation.Made, seconds: float) -> list[Figure]:
    """Cores that nobody asked anything of: the control plane, and a node without pods."""
    hosts = cost.hosts_of(on, made.id)
    nodes = [id for kind, id in on.seen.latest if kind == "hosts" and id.startswith(f"{made.id}.i-")]
    before = [cost.host_cpu(on.places, hosts), *(cost.host_cpu(on.places, [node]) for node in nodes)]
    time.sleep(seconds)
    after = [cost.host_cpu(on.places, hosts), *(cost.host_cpu(on.places, [node]) for node in nodes)]
    plane, *each = ((b - a) / seconds for a, b in zip(before, after, strict=True))
    with floor.running() as (bare_plane, _), byhand.node(bare_plane) as bare_node:
        time.sleep(10)
        began = bare_plane.cpu(), bare_node.cpu()
        time.sleep(seconds)
        bare_idle = (bare_plane.cpu() - began[0]) / seconds, (bare_node.cpu() - began[1]) / seconds
    return [
        Figure("control plane, idle", plane, "cores", 0.15, f"floor {bare_idle[0]:.3f} (aim)", cost.load()),
        Figure("node without pods, idle", min(each), "cores", 0.03, f"by hand {bare_idle[1]:.3f} (aim)", cost.load()),
    ]


def starts(on: stage.Stage, made: creation.Made) -> list[Figure]:
    api = creation.api(on, made)
    nodes = [id for kind, id in on.seen.latest if kind == "hosts" and id.startswith(f"{made.id}.i-")]
    slow = pods.started(api, _PAUSE, PODS, 2)
    before = cost.host_cpu(on.places, nodes)
    fast = pods.started(api, _PAUSE, PODS, 10)
    each = (cost.host_cpu(on.places, nodes) - before) / PODS
    with floor.running() as (bare_plane, _), byhand.node(bare_plane) as bare_node:
        began = bare_node.cpu()
        other = pods.started(bare_plane.api(), _PAUSE, PODS, 10)
        bare_each = (bare_node.cpu() - began) / PODS
    said = f"by hand p50 {other.within(50):.2f} s, p99 {other.within(99):.2f} s"
    load = cost.load()
    return [
        Figure(f"{PODS} pods at 2 a second, p99", slow.within(99), "s", 3.0, f"p50 {slow.within(50):.2f} s", load),
        Figure(f"{PODS} pods at 10 a second, p50", fast.within(50), "s", None, said, load),
        Figure(f"{PODS} pods at 10 a second, p99", fast.within(99), "s", None, "", load),
        Figure("  processor for each, start and end", each, "s", None, f"by hand {bare_each:.2f} s on one node", load),
    ]


def side_by_side(on: stage.Stage) -> list[Figure]:
    """Three clusters, the second and third while the others run: each after a rest, all of memory at one price.

    Without the rest the last is made on processors that have been busy for a minute, which hosts of virtual machines
    make slower, and beside clusters that still settle.
    """
    load = cost.load()
    made: list[creation.Made] = []
    with pages.level() as price:
        for number in range(3):
            time.sleep(_REST)
            made.append(creation.created(on, f"beside-{number}"))
            creation.awaited(on, made[-1])
            creation.grown(on, made[-1], NODES)
            creation.joined(on, made[-1], NODES)
    first, *others = (one.times["DNS answering"] for one in made)
    left = pages.available() / 1024
    times = f"first {first:.1f} s, {', '.join(f'{one:.1f}' for one in others)} s, each after {_REST:.0f} s of rest"
    said = f"{times}; {left:.1f} GiB left; memory {price}"
    with futures.ThreadPoolExecutor(1) as one_by_one:
        list(one_by_one.map(lambda each: creation.removed(on, each), made))
    return [Figure("the slowest of two more clusters, beside the first", max(others) / first, "x", 2.0, said, load)]


def _table(figures: list[Figure]) -> str:
    return "\n" + "\n".join(figure.line() for figure in figures)


if __name__ == "__main__":
    sys.exit(main())
