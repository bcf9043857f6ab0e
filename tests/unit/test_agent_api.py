"""The agent's API over a real unix socket in this process, with the rooms that need no root."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from roadstead.agent import jobs, kinds
from roadstead.agent.api import admission, server
from roadstead.agent.kinds import bounds, kind
from roadstead.agent.records import blobs, kept_jobs, observation_log, register
from roadstead.agent.records import desired as store
from roadstead.agent_client import Client
from roadstead.contract.messages import desired, observed
from roadstead.contract.messages import jobs as types
from roadstead.contract.messages import machine as machines
from roadstead.core import errors

Put = dict[str, dict[str, tuple[int, desired.Message]]]


class Rooms:
    """The rooms behind the door that are only disk and memory; `run` of jobs answers at once."""

    def __init__(self, folder: Path, spawn: Callable[..., object]) -> None:
        self.records = store.DesiredStore(folder / "desired.db")
        self.blobs = blobs.Blobs(folder / "blobs")
        self.observations = observation_log.ObservationLog(first=10)
        self.accepted: list[store.Key] = []
        self.timeouts: list[float] = []
        known = register.Register(self.records, None, frozenset())
        self.admission = admission.Admission(
            kind.by_name(kinds.KINDS), self.records, self.blobs, {"haproxy"}, self._accept, bounds.Bounds(), known
        )
        results = kept_jobs.KeptJobs(self.records)
        self.jobs = jobs.Jobs(
            self.records, results, self.blobs, self._run, lambda _host, _digest: "/x", spawn, lambda _host: 7
        )

    def _accept(self, record: store.DesiredRecord) -> None:
        self.accepted.append(record.key)
        self.observations.put(
            observed.Observation(kind=record.kind, id=record.id, generation=record.generation, phase="pending")
        )

    async def _run(self, host: str, uid: int, argv: list[str], timeout: float) -> tuple[int, str]:
        self.timeouts.append(timeout)
        return 0, f"{host} {uid} {argv[0]}"

    def status(self) -> observed.Status:
        return observed.Status(
            instance="t", version="0", api=1, pid=os.getpid(), since=0, revision=1, counts={}, not_ready=0
        )

    async def machine(self) -> machines.Machine:
        return machines.Machine(memory=4, available=3, cores=2, disk=9, free=8, kernel="6.1")

    async def logs(self, host: str, unit: str, lines: int, follow: bool) -> AsyncIterator[bytes]:
        yield f"{host}/{unit} {lines} {follow}\n".encode()

    def shell(self, host: str) -> list[str]:
        raise errors.NotFound(f"no host {host}")


class Bench:
    """A door that answers in a thread, and a client to knock with."""

    def __init__(self, folder: Path, users: frozenset[int]) -> None:
        self.loop = asyncio.new_event_loop()
        self.rooms = Rooms(folder, lambda coroutine: asyncio.ensure_future(coroutine, loop=self.loop))
        self.socket = folder / "agent.sock"
        self.client = Client(self.socket, timeout=10)
        self.runner = web.AppRunner(server.application(self.rooms, users), access_log=None, shutdown_timeout=0.1)
        self.loop.run_until_complete(self.runner.setup())
        self.loop.run_until_complete(web.UnixSite(self.runner, str(self.socket)).start())
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
        self.rooms.records.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, frozenset({os.getuid()}))
    yield made
    made.close()


NET = desired.Network(cidrs=("10.0.0.0/16",), subnets=(desired.Subnet(id="a", cidr="10.0.0.0/24", zone="a"),))


def host(address: str = "10.0.0.4") -> desired.Host:
    return desired.Host(
        role="api",
        privilege="unprivileged",
        zone="a",
        legs=(desired.Leg(network="net", address=address),),
        hostname="h",
    )


def test_a_batch_is_kept_and_woken_and_its_repetition_changes_nothing(bench: Bench) -> None:
    batch: Put = {"networks": {"net": (1, NET)}, "hosts": {"h": (1, host())}}
    answer = bench.client.accept(batch)
    assert {(one.kind, one.id, one.outcome) for one in answer.accepted} == {
        ("networks", "net", "created"),
        ("hosts", "h", "created"),
    }
    assert bench.rooms.accepted == [("networks", "net"), ("hosts", "h")]
    assert {one.outcome for one in bench.client.accept(batch).accepted} == {"unchanged"}
    assert len(bench.rooms.accepted) == 2
    assert bench.client.wanted()["hosts"]["h"]["generation"] == 1


def test_the_machine_is_looked_at_when_it_is_asked_for(bench: Bench) -> None:
    assert bench.client.machine() == asyncio.run(bench.rooms.machine())


def test_one_wrong_object_refuses_the_whole_batch(bench: Bench) -> None:
    with pytest.raises(errors.Invalid, match=r"10\.0\.1\.4"):
        bench.client.accept({"networks": {"net": (1, NET)}, "hosts": {"h": (1, host("10.0.1.4"))}})
    assert bench.client.wanted() == {}
    assert bench.rooms.accepted == []


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (desired.Unit(engine="e", component="c"), "engine e is not installed"),
        (desired.Unit(engine="system", component="bash"), "programs of the machine: haproxy"),
        (
            desired.Unit(engine="system", component="haproxy", files={"a": desired.UnitFile()}),
            "either content or blob",
        ),
        (
            desired.Unit(engine="system", component="haproxy", files={"a": desired.UnitFile(content="x", secret=True)}),
            "is secret: send its bytes as a blob",
        ),
        (
            desired.Unit(engine="system", component="haproxy", ready=desired.HttpsProbe(port=1, path="/", ca="ca")),
            "names the file ca",
        ),
    ],
)
def test_units_that_cannot_work_are_refused_with_the_reason(bench: Bench, unit: desired.Unit, words: str) -> None:
    bench.client.accept({"networks": {"net": (1, NET)}, "hosts": {"h": (1, host())}})
    with pytest.raises(errors.Invalid, match=words):
        bench.client.accept({"units": {"h/u": (1, unit)}})


def test_what_is_in_use_is_not_deleted_and_units_go_with_their_host(bench: Bench) -> None:
    unit = desired.Unit(engine="system", component="haproxy")
    bench.client.accept({"networks": {"net": (1, NET)}, "hosts": {"h": (1, host())}, "units": {"h/u": (1, unit)}})
    with pytest.raises(errors.Invalid, match="in use by h"):
        bench.client.accept(delete={"networks": {"net": 1}})
    bench.client.accept(delete={"hosts": {"h": 1}})
    wanted = bench.client.wanted()
    assert wanted["units"]["h/u"]["deleting"]
    assert not wanted["networks"]["net"]["deleting"]


def test_blobs_are_streamed_once(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(os.urandom(3 * 2**20))
    digest = bench.client.keep_blob(file)
    assert bench.rooms.blobs.path(digest).read_bytes() == file.read_bytes()
    before = bench.rooms.blobs.path(digest).stat().st_mtime_ns
    assert bench.client.keep_blob(file) == digest
    assert bench.rooms.blobs.path(digest).stat().st_mtime_ns == before


def test_jobs_are_done_once_by_id_and_refused_for_another_generation(bench: Bench) -> None:
    archive = bench.client.keep_blob(b"archive")
    engine = desired.Engine(components={"ctr": archive})
    bench.client.accept(
        {"networks": {"net": (1, NET)}, "hosts": {"h": (3, host())}, "engines": {"containerd": (1, engine)}}
    )
    job = types.ImageImport(host="h", engine="containerd", archive=archive)
    with pytest.raises(errors.Conflict, match="of generation 3"):
        bench.client.start_job("import-1", job, expect={"hosts/h": 2})
    bench.client.start_job("import-1", job, expect={"hosts/h": 3})
    for _ in range(1000):
        if bench.client.job("import-1").state == "done":
            break
    assert bench.client.job("import-1").output == "h 7 /engine/containerd/ctr"
    assert bench.client.start_job("import-1", job).state == "done"
    other = types.ImageImport(host="h", engine="containerd", archive=f"sha256:{hashlib.sha256(b'').hexdigest()}")
    with pytest.raises(errors.Conflict, match="another content"):
        bench.client.start_job("import-1", other)
    with pytest.raises(errors.NotFound, match="blob"):
        bench.client.start_job("import-2", other)
    with pytest.raises(errors.NotFound, match="no job"):
        bench.client.job("import-3")


def test_an_import_may_take_as_long_as_its_archive_is_large(bench: Bench) -> None:
    engine = desired.Engine(components={"ctr": bench.client.keep_blob(b"")})
    bench.client.accept(
        {"networks": {"net": (1, NET)}, "hosts": {"h": (3, host())}, "engines": {"containerd": (1, engine)}}
    )
    for number, size in enumerate((1, 8 * 2**20)):
        archive = bench.client.keep_blob(b"0" * size)
        bench.client.start_job(f"import-{number}", types.ImageImport(host="h", engine="containerd", archive=archive))
        for _ in range(1000):
            if bench.client.job(f"import-{number}").state == "done":
                break
    small, large = bench.rooms.timeouts
    assert small >= 120
    assert large >= small + 7


def test_a_watch_sees_what_happens_after_its_revision(bench: Bench) -> None:
    since = bench.client.observations().revision
    bench.client.accept({"networks": {"net": (1, NET)}})
    change = next(bench.client.watch(since, timeout=30))
    assert (change.kind, change.id) == ("networks", "net")
    with pytest.raises(errors.Gone):
        next(bench.client.watch(5, timeout=30))


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("GET", "/v2/status", None, "speaks version 1"),
        ("PUT", "/v1/desired", b"{", "Input data was truncated"),
        ("PUT", "/v1/desired", b'{"put":{"hosts":{"h":{"generation":0,"spec":{}}}}}', "generation"),
        ("PUT", "/v1/desired", b'{"puts":{}}', "unknown field `puts`"),
        ("PUT", "/v1/moons/m", b'{"generation":1,"spec":{}}', "no kind 'moons'"),
        ("PUT", "/v1/blobs/md5:00", b"", "is no digest"),
        ("DELETE", "/v1/hosts/h", None, r"\?generation=N"),
        ("GET", "/v1/logs/h/u", None, "no unit h/u"),
        ("GET", "/v1/shell/h", None, "no host h"),
        ("POST", "/v1/status", b"", "POST /v1/status"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    bench: Bench, method: str, path: str, body: bytes | None, words: str
) -> None:
    with pytest.raises((errors.Invalid, errors.NotFound), match=words):
        bench.client._call(method, path, body)


def test_other_users_are_refused(tmp_path: Path) -> None:
    made = Bench(tmp_path, frozenset({os.getuid() + 1}))
    try:
        with pytest.raises(errors.Denied, match=f"user id {os.getuid()} may not"):
            made.client.status()
    finally:
        made.close()


def test_no_agent_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(errors.Busy, match="roadstead start"):
        Client(tmp_path / "none.sock").status()
