"""porter with a real agent: token reviews and DNS on sockets that it could not have opened, as a user without rights.

Cost: about 25 s.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from testkit import waiting
from tests.live import conftest, fleet, porter_lab

from roadstead.clusters.trust import authorities
from roadstead.contract.messages import desired
from roadstead.contract.messages.sections import access, catalog, names, principals, webhooks
from roadstead.core import addresses
from roadstead.serve.sections import principals as sources
from roadstead.wire import sigv4

pytestmark = pytest.mark.live

USER = LISTENER = 64200
"""A user id that nobody has."""
CLUSTER, VPC = "c-1a2b3c4d", "vpc-1"
REGION, ACCOUNT = "eu-central-1", "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
KEYS = sigv4.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
BEARER = "what-api-servers-show"
CONTROL, PRIVATE = fleet.network("198.19.7.0/24"), fleet.network("192.168.7.0/24")
DOOR = addresses.resolver(CONTROL.subnets[0].cidr)
RESOLVER = addresses.resolver(PRIVATE.subnets[0].cidr)
MOST_PSS = 45 << 20
BOUND = 3.5
"""Seconds for what a porter had taken when it froze: two until it is ended, half a one until an API server asks again,
and one for a busy machine."""


@dataclass
class Place:
    """An agent with a control-plane network and a VPC, a porter, and a host in each network."""

    agent: conftest.RunningAgent
    folder: Path
    ca: authorities.Authority
    porters: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        return self.porters["a"]

    def start(self, name: str = "a") -> None:
        """A porter, until it says that it is ready. Its peer is asked whether it is there or not."""
        peer = "b" if name == "a" else "a"
        more = (f"--health={self.folder / name}.sock", f"--peer={self.folder / peer}.sock", "--resolver=127.0.0.1:5353")
        started = porter_lab.started(self.agent, USER, self.folder, self.folder / "porter.log", *more)
        self.porters[name] = started
        self.processes.append(started)

    def log(self) -> str:
        return (self.folder / "porter.log").read_text()

    def publish(self, *, entered: bool = True) -> None:
        """All of it anew, written as serve does."""
        subject = authorities.Subject(name="doors", hosts=(DOOR,), usages=("server",))
        made = authorities.leaf(self.ca, subject, dt.datetime.now(dt.UTC))
        entry = access.Entry(principal_id="AIDA1", username="ann", policies=(access.Policy(name="Admin"),))
        cluster = webhooks.Cluster(
            name="shop",
            account=ACCOUNT,
            region=REGION,
            certificate=made.certificate.decode(),
            key=made.key.decode(),
            bearer=BEARER,
        )
        today = dt.datetime.now(dt.UTC).date()
        dates = [f"{today + dt.timedelta(days=day):%Y%m%d}" for day in sources.DAYS]
        keys = {date: {REGION: sigv4.signing_key(KEYS.secret, sigv4.Scope(date, REGION, "sts"))} for date in dates}
        resolvers = {subnet.id: addresses.resolver(subnet.cidr) for subnet in PRIVATE.subnets}
        principal = principals.Principal(arn=ARN, id="AIDA1", account=ACCOUNT, keys=keys)
        vpc = names.Vpc(region=REGION, cidr="192.168.7.0/24", resolvers=resolvers)
        of = {"format": 1, "revision": time.monotonic_ns()}
        porter_lab.publish(
            self.folder,
            USER,
            (webhooks.SECTION, webhooks.Webhooks(**of, clusters={CLUSTER: cluster})),
            (access.SECTION, access.Access(**of, entries={CLUSTER: {ARN: entry} if entered else {}})),
            (principals.SECTION, principals.Principals(**of, principals={KEYS.access_key: principal})),
            (names.SECTION, names.Names(**of, vpcs={VPC: vpc})),
        )

    def review(self, *tokens: str, bearer: str = BEARER, held: int = 0, raw: str | None = None) -> list[Any]:
        """What API servers are answered, from a host in the control plane's network."""
        bodies = [
            json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}})
            for token in tokens
        ]
        asked = {
            "ca": self.ca.certificate.decode(),
            "address": DOOR,
            "bearer": bearer,
            "bodies": bodies if raw is None else [raw],
            "held": held,
        }
        told = subprocess.run(
            ["nsenter", f"--net={self.agent.places.host('api').netns}", sys.executable, "-c", porter_lab.POST],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert told.returncode == 0, told.stderr + self.log()
        answers: list[Any] = json.loads(told.stdout)
        return answers

    def ask(self, name: str, type: int = 1, how: str = "udp") -> dict[str, Any]:
        """What a host of the VPC is answered."""
        netns = self.agent.places.host("node").netns
        told = fleet.inside(netns, sys.executable, "-c", porter_lab.ASK, RESOLVER, name, str(type), how)
        assert told.returncode == 0, told.stderr + self.log()
        answer: dict[str, Any] = json.loads(told.stdout)
        return answer


def listeners() -> dict[str, desired.Message]:
    door = desired.Listener(
        namespace="network", of=f"{CLUSTER}.cp", address=DOOR, port=443, process="porter", user=USER
    )
    found: dict[str, desired.Message] = {f"{CLUSTER}.doors": door}
    for subnet in PRIVATE.subnets:
        for protocol in ("udp", "tcp"):
            found[f"{subnet.id}.dns-{protocol}"] = desired.Listener(
                namespace="network",
                of=VPC,
                address=addresses.resolver(subnet.cidr),
                port=53,
                protocol=protocol,
                process="porter",
                user=USER,
            )
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One that the user of porter comes to: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="roadstead-porter-") as name:
        os.chown(name, USER, USER)
        yield Path(name)


@pytest.fixture(scope="module")
def place(agent: conftest.RunningAgent, folder: Path) -> Iterator[Place]:
    ca = authorities.authority("test", dt.datetime.now(dt.UTC))
    made = Place(agent, folder, ca)
    hosts = {"api": fleet.host(0, f"{CLUSTER}.cp", CONTROL), "node": fleet.host(1, VPC, PRIVATE)}
    with porter_lab.upstream(agent.places.machine_netns):
        try:
            # Nothing is there yet: neither a section nor a socket.
            made.start()
            agent.client.accept(fleet.put(1, networks={f"{CLUSTER}.cp": CONTROL, VPC: PRIVATE}, hosts=hosts))
            agent.client.accept(fleet.put(1, listeners=listeners()))
            agent.client.wait_ready(30)
            made.publish()
            waiting.until("porter answers", lambda: bool(made.review("nobody")[0][0] == 200), 20)
            yield made
        finally:
            for process in made.processes:
                if process.poll() is None:
                    process.kill()
                process.wait(10)
            fleet.delete_all(agent.client)


def until(good: Callable[[], bool], deadline: float) -> float:
    """Seconds until it is so; fails at the deadline, and when nobody answers."""
    began = time.monotonic()
    while not good():
        assert time.monotonic() - began < deadline
        time.sleep(0.02)
    return time.monotonic() - began


def token(cluster: str = "shop") -> str:
    """Of the AWS CLI itself."""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": KEYS.access_key,
        "AWS_SECRET_ACCESS_KEY": KEYS.secret,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
    }
    aws = Path(sys.executable).with_name("aws")
    command = [str(aws), "eks", "get-token", "--cluster-name", cluster, "--region", REGION, "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=30)
    return str(json.loads(done.stdout)["status"]["token"])


def test_an_api_server_asks_and_is_told_who_it_is(place: Place) -> None:
    mine = token()
    good, garbage = place.review(mine, "garbage")
    assert good[0] == garbage[0] == 200
    status = json.loads(good[1])["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, "ann")
    assert status["user"]["groups"] == ["eks:access-policy:Admin"]
    assert json.loads(garbage[1])["status"]["authenticated"] is False
    assert place.review(mine, bearer="another")[0][0] == 401
    assert place.review(raw="{}")[0][0] == 400
    assert place.review(raw=" " * 100_000)[0][0] == 413
    # Many that say nothing, more than there is room for: who asks is answered.
    assert json.loads(place.review(mine, held=200)[0][1])["status"]["authenticated"]
    assert mine not in place.log()


def test_what_serve_changes_counts_within_a_second(place: Place) -> None:
    mine = token()
    place.publish(entered=False)
    taken = until(lambda: not json.loads(place.review(mine)[0][1])["status"]["authenticated"], 3)
    # With another certificate, too.
    place.publish()
    until(lambda: json.loads(place.review(mine)[0][1])["status"]["authenticated"], 3)
    for one in catalog.SECTIONS:
        (place.folder / one.file).write_text("{")
    time.sleep(0.5)
    assert json.loads(place.review(mine)[0][1])["status"]["authenticated"]
    place.publish()
    print(f"an entry that was taken away counted after {taken:.2f} s")


@pytest.mark.parametrize("how", ["udp", "tcp"])
def test_names_of_the_vpc_are_answered_and_others_are_asked_for(place: Place, how: str) -> None:
    name = "ip-192-168-7-9.eu-central-1.compute.internal"
    own = place.ask(name, how=how)
    assert (own["code"], own["answers"], own["end"]) == (0, 1, "c0a80709")
    reverse = place.ask("9.7.168.192.in-addr.arpa", 12, how)
    assert b"\x0eip-192-168-7-9" in bytes.fromhex(reverse["raw"])
    assert place.ask("ip-10-0-0-1.eu-central-1.compute.internal", how=how)["code"] == 3
    other = place.ask("example.test", how=how)
    assert (other["code"], other["end"]) == (0, "c0000207")
    big = place.ask("big.test", how=how)
    assert (big["cut"], big["answers"]) == ((True, 0) if how == "udp" else (False, 1))
    print(f"{how}: own {own['seconds'] * 1000:.1f} ms, forwarded {other['seconds'] * 1000:.1f} ms")


def test_a_resolver_that_says_nothing_is_a_failure_in_the_end(place: Place) -> None:
    told = place.ask("silent.test")
    assert told["code"] == 2
    assert told["seconds"] > 1.5


def test_killed_and_back_within_a_second(place: Place) -> None:
    mine = token()
    place.running.kill()
    place.running.wait(10)
    began = time.monotonic()
    place.start()
    started = time.monotonic() - began
    assert json.loads(place.review(mine)[0][1])["status"]["authenticated"]
    assert place.ask("example.test")["code"] == 0
    print(f"porter answers {started:.2f} s after its start")
    assert started < 3


@pytest.fixture
def both(place: Place) -> Iterator[Place]:
    """Two porters, and afterwards the first alone."""
    place.start("b")
    yield place
    place.porters.pop("b").kill()
    if place.running.poll() is not None:
        place.start()


@contextlib.contextmanager
def asked_all_the_time(place: Place, seconds: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Reviews one after the other, and names by UDP and TCP by turns; what became of them is there after the block."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token()}}
    asked = {"ca": place.ca.certificate.decode(), "address": DOOR, "bearer": BEARER, "seconds": seconds}
    text = json.dumps({**asked, "body": json.dumps(review)})
    name = "ip-192-168-7-9.eu-central-1.compute.internal"
    api, node = (place.agent.places.host(host).netns for host in ("api", "node"))
    with (
        porter_lab.probing(api, porter_lab.REVIEWS, text=text) as reviews,
        porter_lab.probing(node, porter_lab.NAMES, RESOLVER, name, str(seconds)) as names,
    ):
        yield reviews, names


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("which", ["a", pytest.param("b", marks=conftest.only_in_soak)])
def test_one_that_dies_or_freezes_is_no_gap(both: Place, fault: signal.Signals, which: str) -> None:
    """What it had taken and not answered waits until its peer has ended it, and its client asks again."""
    with asked_all_the_time(both, 4) as (reviews, names):
        time.sleep(0.5)
        began = time.monotonic()
        both.porters[which].send_signal(fault)
        # Nobody here ends it.
        assert both.porters[which].wait(10) == -signal.SIGKILL
        ended = time.monotonic() - began
    print(f"{fault.name}: ended after {ended:.2f} s; reviews {reviews}; names {names}")
    assert not reviews["wrong"]
    assert reviews["longest"] < BOUND
    assert not names["wrong"]
    assert names["longest"] < BOUND
    both.start(which)


def test_what_a_frozen_one_has_taken_is_reset_with_it(both: Place) -> None:
    """As soon as its peer has ended it: an API server that waits for an answer asks again."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token()}}
    asked = {"ca": both.ca.certificate.decode(), "address": DOOR, "bearer": BEARER, "body": json.dumps(review)}
    with porter_lab.probing(
        both.agent.places.host("api").netns, porter_lab.HELD, text=json.dumps({**asked, "frozen": both.running.pid})
    ) as told:
        pass
    print(f"of {len(told['ends'])} connections: {told}")
    assert set(told["ends"]) == {"answered", "reset"}
    assert told["longest"] < BOUND
    assert both.running.wait(10) == -signal.SIGKILL


def test_two_that_are_told_to_end_one_after_the_other_are_no_gap(both: Place) -> None:
    """As an upgrade restarts them."""
    with asked_all_the_time(both, 6) as (reviews, names):
        for which in ("b", "a"):
            both.porters[which].terminate()
            assert both.porters[which].wait(10) == 0
            both.start(which)
    print(f"restarted: reviews {reviews}; names {names}")
    assert not reviews["wrong"]
    assert not names["wrong"]
    assert max(reviews["longest"], names["longest"]) < BOUND


def test_an_agent_that_comes_back_is_noticed_and_no_question_is_lost_after(place: Place) -> None:
    mine = token()
    place.agent.kill()
    try:
        # While there is none, the sockets that were passed are answered.
        assert json.loads(place.review(mine)[0][1])["status"]["authenticated"]
        assert place.ask("example.test")["code"] == 0
    finally:
        place.agent.restart()
    place.agent.client.wait_ready(30)
    time.sleep(1)
    for answer in place.review(*[mine] * 30):
        assert json.loads(answer[1])["status"]["authenticated"]
    for _ in range(8):
        assert place.ask("example.test")["code"] == 0


def test_it_is_small_has_no_rights_and_ends_when_told(place: Place) -> None:
    proc = Path("/proc") / str(place.running.pid)
    words = (proc / "smaps_rollup").read_text().split()
    pss = int(words[words.index("Pss:") + 1]) * 1024
    print(f"porter: {pss / (1 << 20):.1f} MB PSS")
    assert pss <= MOST_PSS
    status = (proc / "status").read_text()
    assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}" in status
    assert "CapEff:\t0000000000000000" in status
    place.running.send_signal(signal.SIGTERM)
    try:
        assert place.running.wait(10) == 0
        assert "Traceback" not in place.log(), place.log()
    finally:
        # For the tests that follow.
        place.running.kill()
        place.running.wait(10)
        place.start()


def test_the_door_is_known_by_its_certificate(place: Place) -> None:
    other = authorities.authority("other", dt.datetime.now(dt.UTC))
    with pytest.raises(AssertionError, match="CERTIFICATE_VERIFY_FAILED"):
        Place(place.agent, place.folder, other).review("x")
