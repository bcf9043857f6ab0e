"""Figures of the AWS API, side by side in one run with moto's server; and of the CLI that asks it.

    python -m bench.api        (about a minute; -o json for programs; without moto: Roadstead's own figures)

Both servers are asked the same by the same client: DescribeCluster of a cluster that CreateCluster made, signed
beforehand and sent again and again over 8 connections, by turns. The client is a process of its own without any HTTP
library, and says how much of a core it had: when that comes near to 100 %, it is the limit. moto's server hangs up
after each answer, and connecting anew is counted as its users have it; moto checks no signature, Roadstead checks each
and logs each request.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import datetime as dt
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from testkit import api_served
from tests.peer import accounts_and_networks, servers

from bench import agent, store
from roadstead.wire import exchange, sigv4

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS = 8
ROUNDS = 3
NAME = "measured"
REGION = "eu-central-1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

Figure = store.Figure


@dataclass(frozen=True)
class Load:
    """One round: seconds of every answer, how long it took in all, and the client's own share of a core."""

    times: tuple[float, ...]
    seconds: float
    client: float

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    def within(self, percent: int) -> float:
        """Milliseconds."""
        return statistics.quantiles(self.times, n=100)[percent - 1] * 1000


def made(endpoint: str, key: str, secret: str) -> None:
    """A cluster NAME with what it needs."""
    client = servers.clients(endpoint, key, secret)
    ec2 = client("ec2", REGION, "well")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
        for number, zone in enumerate("ab")
    ]
    trust = accounts_and_networks.trust("eks.amazonaws.com")
    role = client("iam", REGION, "well").create_role(RoleName=NAME, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    places = {"subnetIds": [subnet["Subnet"]["SubnetId"] for subnet in subnets]}
    client("eks", REGION, "well").create_cluster(name=NAME, roleArn=role, resourcesVpcConfig=places)


def signed(endpoint: str, key: str, secret: str) -> bytes:
    """DescribeCluster as it stands on the wire; good for five minutes."""
    host = urllib.parse.urlsplit(endpoint).netloc
    bare = exchange.Request.make("GET", f"/clusters/{NAME}", [("host", host), ("accept-encoding", "identity")])
    now = dt.datetime.now(dt.UTC)
    request = sigv4.sign(bare, sigv4.Credentials(key, secret), REGION, "eks", now)
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _asking(endpoint: str, request: bytes, end: float, times: list[float]) -> None:
    """One connection, one request at a time; connected anew where the server hangs up, which counts."""
    place = urllib.parse.urlsplit(endpoint)
    reader, writer = None, None
    while (began := time.perf_counter()) < end:
        if reader is None or writer is None:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) or length is None:
            raise RuntimeError(f"DescribeCluster was not answered: {head.decode(errors='replace')}")
        body = await reader.readexactly(int(length[1]))
        times.append(time.perf_counter() - began)
        assert NAME.encode() in body
        if _CLOSE.search(head) or head.startswith(b"HTTP/1.0"):
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


async def _together(endpoint: str, request: bytes, seconds: float) -> Load:
    times: list[float] = []
    began, used = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_asking(endpoint, request, began + seconds, times))
    took = time.perf_counter() - began
    return Load(tuple(times), took, (time.process_time() - used) / took)


def load(endpoint: str, request: bytes, seconds: float) -> Load:
    return asyncio.run(_together(endpoint, request, seconds))


def waited(pid: int) -> float:
    """Seconds that the main thread of a process was ready to run and had no core (schedstat, proc(5))."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def desk(seconds: float) -> list[Figure]:
    """Rates and times, and what the process of serve weighs after it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = stack.enter_context(api_served.served(folder / "state", folder / "home", module="roadstead.serve.main"))
        found = ours.profile
        made(ours.endpoint, found.access_key, found.secret)
        request = signed(ours.endpoint, found.access_key, found.secret)
        other = stack.enter_context(servers.moto(folder)) if servers.has_moto() else None
        if other is not None:
            made(other, "AKIAIOSFODNN7EXAMPLE", "secret")
        clean = multiprocessing.get_context("spawn")
        client = stack.enter_context(concurrent.futures.ProcessPoolExecutor(1, clean))
        mine, theirs, without = [], [], []
        client.submit(load, ours.endpoint, request, 0.5).result()
        for _ in range(ROUNDS):
            before = waited(ours.process.pid)
            mine.append(client.submit(load, ours.endpoint, request, seconds).result())
            without.append((waited(ours.process.pid) - before) / seconds)
            if other is not None:
                asked = signed(other, "AKIAIOSFODNN7EXAMPLE", "secret")
                theirs.append(client.submit(load, other, asked, seconds).result())
        weight = agent.pss(ours.process.pid)
    return [
        *_compared(_middle(mine), _middle(theirs) if theirs else None),
        Figure("  serve was ready and had no core", statistics.median(without) * 100, "%"),
        Figure("serve after that, PSS", weight, "MB", most=120),
    ]


def _middle(rounds: list[Load]) -> Load:
    return sorted(rounds, key=lambda one: one.rate)[len(rounds) // 2]


def _compared(mine: Load, theirs: Load | None) -> list[Figure]:
    name = f"DescribeCluster, {CONNECTIONS} at once"
    figures = [
        Figure(name, mine.rate, "/s", against=f"the client had {mine.client * 100:.0f} % of a core"),
        Figure("  median", mine.within(50), "ms"),
        Figure("  99 of 100 within", mine.within(99), "ms", most=10),
    ]
    if theirs is None:
        print("moto is not installed (uv sync --group peer): no figures beside it", file=sys.stderr)
        return figures
    said = f"moto {theirs.rate:.0f}/s, median {theirs.within(50):.1f} ms, 99 of 100 within {theirs.within(99):.1f} ms"
    return [*figures, Figure("  beside moto's server", mine.rate / theirs.rate, "x", least=3, against=said)]


def starts() -> list[Figure]:
    """From the start of the process to its word that it serves: with nothing there, and with a state."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as made_here:
            folder = Path(made_here)
            for times in (first, again):
                began = time.monotonic()
                with api_served.served(folder / "state", folder / "home", module="roadstead.serve.main"):
                    times.append(time.monotonic() - began)
    return [
        Figure("cold start of serve, its first, median of 5", statistics.median(first), "s", most=1.5),
        Figure("cold start of serve, a later one, median of 5", statistics.median(again), "s", most=1.5),
    ]


@contextlib.contextmanager
def _asked_by_cli() -> Iterator[dict[str, str]]:
    """The environment of a person whose profile is of a serve with one cluster."""
    with tempfile.TemporaryDirectory() as made_here:
        folder = Path(made_here)
        with api_served.served(folder / "state", folder / "home", module="roadstead.serve.main") as ours:
            found = ours.profile
            made(ours.endpoint, found.access_key, found.secret)
            clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
            files = folder / "home" / ".aws"
            yield {
                **clean,
                "AWS_CONFIG_FILE": str(files / "config"),
                "AWS_SHARED_CREDENTIALS_FILE": str(files / "credentials"),
            }


def cli() -> list[Figure]:
    command = [str(ROOT / "roadstead"), "get", "cluster"]
    times: list[float] = []
    with _asked_by_cli() as environment:
        said = subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout
        if NAME not in said:
            raise RuntimeError(f"`roadstead get cluster` did not show the cluster: {said}")
        for _ in range(10):
            with agent.timed(times):
                subprocess.run(command, env=environment, capture_output=True, check=True)
    imports = [_importing() for _ in range(10)]
    return [
        Figure("warm ./roadstead get cluster, median of 10", statistics.median(times) * 1000, "ms", most=400),
        Figure("importing what `get cluster` needs, median of 10", statistics.median(imports), "ms", most=150),
    ]


def _importing() -> float:
    """Milliseconds in a new interpreter: the command's own modules, as the table of commands loads them."""
    text = (
        "import time; began = time.perf_counter(); from roadstead.machine import main; main.load(main.COMMANDS['get']);"
        "print((time.perf_counter() - began) * 1000)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, check=True, text=True)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of the AWS API beside moto's server.")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each round of requests")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    figures = [*desk(options.seconds), *starts(), *cli()]
    figures.append(Figure("load of the machine when it began", busy, "", against=f"{os.cpu_count()} cores"))
    if options.output == "json":
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
    else:
        print("\n".join(figure.line() for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
