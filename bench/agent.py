"""Figures of the agent, side by side in one run with the bare way: the same by hand with ip, runc and a shell.

    make bench        (as root; about a minute once the engines are cached)

Machines are shared and noisy, so ratios count more than seconds; each figure names its bound. `-o json` for programs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.live import conftest, fleet

from bench import bare
from roadstead.contract.messages import desired

COUNT = 20
IDLE_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Figure:
    """One measurement: its value, and the bound that it is held against (None: printed only)."""

    name: str
    value: float
    unit: str
    bound: float | None
    against: str = ""

    def line(self) -> str:
        verdict = "" if self.bound is None else ("ok" if self.value <= self.bound else "MISSED")
        bound = "" if self.bound is None else f"<= {self.bound:g} {self.unit}"
        return f"{self.name:<58} {self.value:>9.2f} {self.unit:<6} {bound:<14} {verdict:<7} {self.against}"


@contextmanager
def timed(into: list[float]) -> Iterator[None]:
    began = time.monotonic()
    yield
    into.append(time.monotonic() - began)


def pss(pid: int) -> float:
    """The proportional set size of a process in MB (smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes_below(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += processes_below(int(child))
    return found


def creation(agent: conftest.RunningAgent, rounds: int) -> list[Figure]:
    """20 hosts from nothing, ours and the bare way by turns; the median of each."""
    ours: list[float] = []
    deletes: list[float] = []
    by_hand: list[float] = []
    together: list[float] = []
    for _ in range(rounds):
        put = fleet.fleet(agent.client, COUNT)
        with timed(ours):
            agent.client.accept(put)
            agent.client.wait_ready(60)
        with timed(deletes):
            fleet.delete_all(agent.client)
        with bare.scene(COUNT) as shell, timed(by_hand):
            shell(1)
        with bare.scene(COUNT) as shell, timed(together):
            shell(os.cpu_count() or 1)
    middle = {
        name: sorted(values)[len(values) // 2]
        for name, values in (("ours", ours), ("hand", by_hand), ("together", together), ("delete", deletes))
    }
    said = f"bare way {middle['hand']:.2f} s one by one, {middle['together']:.2f} s {os.cpu_count()} at once"
    return [
        Figure(f"{COUNT} hosts with one unit each, from nothing", middle["ours"], "s", 3.0, said),
        Figure("  beside the bare way one by one", middle["ours"] / middle["hand"], "x", 1.5),
        Figure("  beside the bare way as many at once as cores", middle["ours"] / middle["together"], "x", None),
        Figure(f"{COUNT} hosts deleted, nothing left", middle["delete"], "s", None),
    ]


def one_more(agent: conftest.RunningAgent) -> list[Figure]:
    """The 21st to 30th host, each from its request to its unit ready."""
    net = fleet.network()
    times: list[float] = []
    for number in range(COUNT, COUNT + 10):
        name = f"h{number}"
        unit = desired.Unit(engine="pause", component="pause")
        put = fleet.put(1, hosts={name: fleet.host(number, "net", net)}, units={f"{name}/main": unit})
        with timed(times):
            agent.client.accept(put)
            agent.client.wait_ready(20)
    return [Figure("one more host with its unit, median of 10", sorted(times)[5] * 1000, "ms", 200)]


def idle(agent: conftest.RunningAgent) -> list[Figure]:
    """Memory and processor of the agent that has nothing to do but keep 20 hosts."""
    pid = agent.process.pid
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    used = (cpu_seconds(pid) - before) / IDLE_SECONDS * 100
    return [
        Figure(f"agent with {COUNT} hosts, PSS", pss(pid), "MB", 60),
        Figure(f"agent with {COUNT} hosts, idle {IDLE_SECONDS:g} s", used, "%core", 1.0),
    ]


def overhead(agent: conftest.RunningAgent) -> list[Figure]:
    """What a host costs itself: s6 and the loggers, without the units' own processes."""
    put = fleet.put(1, units={"h0/second": desired.Unit(engine="pause", component="pause")})
    agent.client.accept(put)
    seen = agent.client.wait_ready(20)
    host = seen["hosts", "h0"].pid
    units = {one.pid for one in seen.values() if one.kind == "units"}
    assert host is not None
    own = [pid for pid in processes_below(host) if pid not in units]
    cost = sum(pss(pid) for pid in own)
    return [Figure(f"a host's own overhead with two units ({len(own)} processes), PSS", cost, "MB", 6)]


def help_page() -> list[Figure]:
    command = [str(ROOT / "roadstead"), "--help"]
    subprocess.run(command, capture_output=True, check=True)
    times: list[float] = []
    for _ in range(10):
        with timed(times):
            subprocess.run(command, capture_output=True, check=True)
    bare_python: list[float] = []
    for _ in range(10):
        with timed(bare_python):
            subprocess.run([sys.executable, "-c", "import click"], capture_output=True, check=True)
    said = f"`python -c 'import click'`: {sorted(bare_python)[5] * 1000:.0f} ms"
    return [Figure("warm ./roadstead --help, median of 10", sorted(times)[5] * 1000, "ms", 400, said)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of the agent beside the bare way.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, conftest.running_agent(Path(folder)) as agent:
        figures += creation(agent, options.rounds)
        agent.client.accept(fleet.fleet(agent.client, COUNT))
        agent.client.wait_ready(60)
        figures += idle(agent)
        figures += overhead(agent)
        figures += one_more(agent)
    figures += help_page()
    if options.output == "json":
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
    else:
        print("\n".join(figure.line() for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
