"""Units under a real s6-svscan, as an unprivileged user."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import waiting
from tests.live.bare_host import HOST, UID, Bench, authority, booted, free_port, notified, recorded, unit, until

from roadstead.agent.units import state, supervision, units
from roadstead.contract.messages import desired
from roadstead.core import errors

pytestmark = pytest.mark.live

CLOCKS = 0.1
"""Seconds: clocks of files and of processes differ by less."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with booted(tmp_path) as bench:
        yield bench


def test_a_unit_is_run_exactly_as_defined_and_nothing_of_it_stays(bench: Bench) -> None:
    flags = {"b": "two words", "a-flag": ("x", "y'z\""), "q": ""}
    secret = bench.stream(b"hush")
    files = {
        "plain.conf": desired.UnitFile(content="hello"),
        "key": desired.UnitFile(blob=secret, secret=True),
    }
    wanted = unit("say", subcommand="go", flags=flags, environment={"A_B": "c d"}, files=files, folders=("data",))

    async def test(room: units.Units) -> None:
        began = time.time()
        assert room.write(HOST, "u1", wanted, UID, bench.blob).action == "new"
        await room.start(HOST, "u1")
        assert room.write(HOST, "u1", wanted, UID, bench.blob) == units.Change("nothing")
        seen = room.status(HOST, "u1", bench.pid1())
        assert seen.state == "up"
        assert seen.pid is not None
        assert (Path("/proc") / str(seen.pid)).stat().st_uid == UID
        assert seen.since is not None
        assert began - CLOCKS <= seen.since <= time.time() + CLOCKS
        waiting.soon("log", lambda: bench.log_text("u1").endswith("\nsaid\n"), 10)
        text = bench.log_text("u1")
        said = "/engine/test/say", "go", "--a-flag=x", "--a-flag=y'z\"", "-b", "two words"
        assert tuple(text.splitlines()[:6]) == said
        left = text.splitlines()[6:]
        assert left[0] == "-q"
        assert {"A_B=c d", "HOME=/var/lib/u1", str(UID), "/", "0077"} <= set(left)
        key, plain = bench.host.files / "u1" / "key", bench.host.files / "u1" / "plain.conf"
        assert (key.read_bytes(), key.stat().st_mode & 0o777, key.stat().st_uid) == (b"hush", 0o400, UID)
        assert (plain.read_text(), plain.stat().st_mode & 0o777, plain.stat().st_uid) == ("hello", 0o444, 0)
        data = bench.host.disk / "lib" / "u1" / "data"
        assert (data.stat().st_uid, data.stat().st_mode & 0o777) == (UID, 0o700)
        await room.remove(HOST, "u1")
        await room.remove(HOST, "u1")
        assert not Path(f"/proc/{seen.pid}").exists()
        assert [path.name for path in bench.host.service.iterdir()] == [".s6-svscan"]
        assert not list(bench.host.files.iterdir()) + list(bench.host.log.iterdir())
        children = Path(f"/proc/{bench.pid1()}/task/{bench.pid1()}/children")
        assert waiting.soon("end of the supervisors", lambda: not children.read_text(), 10)
        assert room.status(HOST, "u1", None).reason == "is not installed"

    bench.run(test)


def test_status_is_what_s6_svstat_says(bench: Bench) -> None:
    async def test(room: units.Units) -> None:
        room.write(HOST, "u1", unit("sit"), UID, bench.blob)
        await room.start(HOST, "u1")
        folder = bench.host.service / "u1"
        ours = notified(folder)
        command = ("s6-svstat", "-o", "up,pid,wantedup,ready,updownfor", folder)
        before = time.time() - ours.since
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        said = (await child.communicate())[0].decode().split()
        after = time.time() - ours.since
        assert said[:4] == ["true", str(ours.pid), "true", "true"]
        assert ours.running
        assert ours.wanted_up
        assert ours.ready
        # In whole seconds, cut off.
        assert before - 1 - CLOCKS < float(said[4]) <= after + CLOCKS

    bench.run(test)


def test_a_killed_unit_is_back_at_once_then_ever_later(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(room: units.Units) -> None:
        room.write(HOST, "u1", unit("sit"), UID, bench.blob)
        await room.start(HOST, "u1")
        first = room.status(HOST, "u1", bench.pid1())
        folder = bench.host.service / "u1"
        notified(folder)
        await asyncio.sleep(1.1)  # s6 starts a service at most once a second
        assert first.pid is not None
        killed = time.time()
        os.kill(first.pid, signal.SIGKILL)
        again = await until(room, "u1", lambda now: now.state == "up" and now.restarts == 1)
        assert again.exit is not None
        assert (again.exit.signal, again.exit.code) == (signal.SIGKILL, None)
        assert again.since is not None
        assert killed - CLOCKS <= again.exit.at <= again.since + CLOCKS
        assert recorded(folder).pause == 0
        assert again.since - again.exit.at < 0.5
        with capsys.disabled():
            print(f"\n  back {1000 * (again.since - killed):.0f} ms after kill -9")

        room.write(HOST, "u2", unit("die"), UID, bench.blob)
        # By their number: one that nobody looked at in time is left out.
        deaths: dict[int, state.UnitRecord] = {}
        await room.start(HOST, "u2")
        while (known := max(deaths, default=0)) < 7:
            await until(room, "u2", lambda now, known=known: now.restarts > known)  # type: ignore[misc]
            seen = recorded(bench.host.service / "u2")
            assert seen.exit.code == 3
            deaths[seen.deaths] = seen
        gaps = [(a.pause, b.exit.at - a.exit.at) for a, b in itertools.pairwise(deaths.values())]
        with capsys.disabled():
            print("  deaths of a unit that dies at its start, apart by", *(f"{gap:.2f}" for _, gap in gaps), "s")
        for number, seen in deaths.items():
            assert seen.pause == (0 if number == 1 else 0.1 * 2 ** (number - 2)), deaths
        assert all(gap >= pause - CLOCKS for pause, gap in gaps), deaths
        waits = await until(room, "u2", lambda now: now.state == "backoff")
        assert waits.reason.startswith("exited with code 3; starts again after a pause of ")
        assert waits.pid is None

    bench.run(test)


def test_a_stop_ends_the_pause_and_a_start_that_was_asked_for_has_none(bench: Bench) -> None:
    async def test(room: units.Units) -> None:
        room.write(HOST, "u1", unit("sit"), UID, bench.blob)
        await room.start(HOST, "u1")
        folder = bench.host.service / "u1"
        notified(folder)
        pid = room.status(HOST, "u1", bench.pid1()).pid
        assert pid is not None
        # The next death is the tenth in a row.
        (folder / "state" / "record").write_text("0 0 1 9 0\n")
        os.chown(folder / "state" / "record", UID, UID)
        os.kill(pid, signal.SIGKILL)
        waiting.soon("pause", (folder / "state" / "waiting").exists, 20)
        assert recorded(folder).pause == 25.6
        began = time.monotonic()
        await room.stop(HOST, "u1", unit("sit"))
        assert time.monotonic() - began < 10, "a stop has to end the pause"
        assert room.status(HOST, "u1", None).state == "down"

        room.write(HOST, "u2", unit("die"), UID, bench.blob)
        await room.start(HOST, "u2")
        await until(room, "u2", lambda now: now.restarts > 0)
        await room.stop(HOST, "u2", unit("die"))
        # As it is when the stop came between a death and the next start.
        (bench.host.service / "u2" / "state" / "record").write_text("3 0 7 7 30000\n")
        began = time.monotonic()
        await room.start(HOST, "u2")
        await until(room, "u2", lambda now: now.restarts > 7)
        assert time.monotonic() - began < 15, "a start that was asked for has no pause"

    bench.run(test)


def test_readiness_by_notification(bench: Bench) -> None:
    async def test(room: units.Units) -> None:
        wanted = unit("notify", ready=desired.NotifyProbe(descriptor=4))
        room.write(HOST, "u1", wanted, UID, bench.blob)
        await room.start(HOST, "u1")
        assert room.status(HOST, "u1", None).state == "starting"
        assert not (await room.check(HOST, "u1", wanted, UID)).ready
        (bench.host.disk / "lib" / "u1" / "go").touch()
        await until(room, "u1", lambda now: now.state == "up")
        assert (await room.check(HOST, "u1", wanted, UID)).ready

    bench.run(test)


async def ready(room: units.Units, wanted: desired.Unit) -> units.Check:
    """Asked as often as the answers say, until it is ready."""
    async with asyncio.timeout(20):
        while not (seen := await room.check(HOST, "u1", wanted, UID)).ready:
            assert seen.reason
            await asyncio.sleep(seen.again)
    return seen


def test_probes_by_tcp_https_and_command(bench: Bench) -> None:
    made = authority()
    files = {
        name: desired.UnitFile(blob=bench.stream(content), secret=name.endswith(".key"))
        for name, content in made.items()
    }
    port = free_port()
    https = desired.HttpsProbe(port=port, path="/", ca="ca.crt", certificate="tls.crt", key="tls.key")

    def asked(probe: desired.Probe) -> desired.Unit:
        return unit("tls", files=files, environment={"PORT": str(port), "UNIT": "u1"}, ready=probe)

    async def test(room: units.Units) -> None:
        tcp = asked(desired.TcpProbe(port=port))
        room.write(HOST, "u1", tcp, UID, bench.blob)
        assert (await room.check(HOST, "u1", tcp, UID)).reason == "its process does not run"
        await room.start(HOST, "u1")
        await ready(room, tcp)
        assert room.write(HOST, "u1", asked(https), UID, bench.blob) == units.Change("nothing")
        await ready(room, asked(https))
        named = desired.HttpsProbe(port=port, path="/", ca="ca.crt", certificate="tls.crt", key="tls.key",
                                   server_name="u1.example")  # fmt: skip
        assert (await room.check(HOST, "u1", asked(named), UID)).ready

        async def refusal(probe: desired.Probe) -> str:
            room.forget(HOST, "u1")
            seen = await room.check(HOST, "u1", asked(probe), UID)
            assert not seen.ready
            return seen.reason

        wrong_ca = desired.HttpsProbe(port=port, path="/", ca="other.crt", certificate="tls.crt", key="tls.key")
        assert "self-signed certificate in certificate chain" in await refusal(wrong_ca)
        wrong_name = desired.HttpsProbe(port=port, path="/", ca="ca.crt", certificate="tls.crt", key="tls.key",
                                        server_name="u2.example")  # fmt: skip
        assert "Hostname mismatch" in await refusal(wrong_name)
        assert await refusal(desired.HttpsProbe(port=port, path="/", ca="ca.crt")), "a client certificate is asked for"
        closed = free_port()
        assert await refusal(desired.TcpProbe(port=closed)) == f"tcp 127.0.0.1:{closed}: Connection refused"

        command = asked(desired.CommandProbe(engine="test", component="look", arguments=("--it",)))
        assert (await room.check(HOST, "u1", command, UID)).reason == "command look exited with code 1: not yet"
        assert (await room.check(HOST, "u1", command, UID)).ready
        assert bench.probes[0] == ["/engine/test/look", "--it"]

        began = time.monotonic()
        assert (await room.check(HOST, "u1", tcp, UID)).ready
        bench.probes.clear()
        assert (await room.check(HOST, "u1", command, UID)).ready, "a ready unit is asked twice before it is not"
        assert len(bench.probes) == 2
        assert time.monotonic() - began > 0.4

    bench.run(test)


def test_a_log_is_followed_through_its_rotations(bench: Bench) -> None:
    line = re.compile(rb" line (\d+) of")

    async def test(room: units.Units) -> None:
        room.write(HOST, "u1", unit("talk"), UID, bench.blob)
        await room.start(HOST, "u1")
        raw = b""
        async for block in room.logs(HOST, "u1", None, follow=True):
            raw += block
            if b" line 89999 of" in raw:
                break
        assert [int(number) for number in line.findall(raw)] == list(range(90000))
        archives = [path.name for path in (bench.host.log / "u1").iterdir() if path.name.startswith("@")]
        assert archives, "it must have been rotated"
        raw = b"".join([block async for block in room.logs(HOST, "u1", 70000, follow=False)])
        assert [int(number) for number in line.findall(raw)] == list(range(20000, 90000))
        raw = b"".join([block async for block in room.logs(HOST, "u1", 3, follow=False)])
        assert [int(number) for number in line.findall(raw)] == [89997, 89998, 89999]
        assert re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+  line", raw)
        with pytest.raises(errors.NotFound):
            await anext(room.logs(HOST, "u2", 3, follow=False))

    bench.run(test)


def test_a_changed_definition_asks_until_it_was_done(bench: Bench) -> None:
    def made(content: str, on_change: str, **flags: str) -> desired.Unit:
        file = desired.UnitFile(content=content, on_change=on_change)  # type: ignore[arg-type]
        return unit("told", files={"conf": file}, flags=flags)

    async def test(room: units.Units) -> None:
        def write(wanted: desired.Unit) -> units.Change:
            return room.write(HOST, "u1", wanted, UID, bench.blob)

        first = made("1", "signal")
        write(first)
        await room.start(HOST, "u1")
        pid = room.status(HOST, "u1", bench.pid1()).pid
        waiting.soon("trap", lambda: "up" in bench.log_text("u1"), 10)
        for _ in range(2):
            assert write(made("2", "signal")) == units.Change("signal", "its file conf changed")
        assert write(first) == units.Change("nothing"), "taken back"
        second = made("2", "signal")
        assert write(second).action == "signal"
        await room.signal(HOST, "u1", second)
        assert write(second) == units.Change("nothing")
        waiting.soon("signal", lambda: "told" in bench.log_text("u1"), 10)
        assert write(made("3", "nothing")) == units.Change("nothing")
        third = made("3", "nothing", x="1")
        with bench.room() as other:
            expected = units.Change("restart", "its command line changed (-x, 1)")
            assert other.write(HOST, "u1", third, UID, bench.blob) == expected
        assert write(third).action == "restart"
        assert room.status(HOST, "u1", bench.pid1()).pid == pid, "nothing was restarted yet"
        await room.restart(HOST, "u1", third)
        seen = room.status(HOST, "u1", bench.pid1())
        assert (seen.state, seen.restarts) == ("up", 0)
        assert seen.pid != pid
        assert write(third) == units.Change("nothing")
        assert seen.pid is not None
        await asyncio.sleep(1.1)  # s6 starts a service at most once a second
        assert write(made("4", "restart", x="1")).action == "restart"
        os.kill(seen.pid, signal.SIGKILL)
        await until(room, "u1", lambda now: now.restarts == 1 and now.state == "up")
        assert write(made("4", "restart", x="1")) == units.Change("nothing"), "it came back with the new file"

    bench.run(test)


def test_a_deaf_unit_is_killed_after_its_stop_timeout(bench: Bench) -> None:
    async def test(room: units.Units) -> None:
        deaf = unit("deaf", stop_timeout=0.5)
        room.write(HOST, "u1", deaf, UID, bench.blob)
        await room.start(HOST, "u1")
        waiting.soon("trap", lambda: "deaf" in bench.log_text("u1"), 10)
        began = time.monotonic()
        await room.stop(HOST, "u1", deaf)
        assert time.monotonic() - began > 0.45
        seen = room.status(HOST, "u1", None)
        assert (seen.state, seen.restarts) == ("down", 0)
        assert seen.exit is not None
        assert seen.exit.signal == signal.SIGKILL
        stopped = desired.Unit(engine="test", component="deaf", stop_timeout=0.5, run=False)
        assert room.write(HOST, "u1", stopped, UID, bench.blob) == units.Change("nothing")
        bench.kill()
        assert room.status(HOST, "u1", None).reason == "no s6 watches over it: its host is not running"
        bench.boot()
        waiting.soon("supervisor", lambda: supervision.alive(bench.host.service / "u1" / "supervise"), 10)
        assert room.status(HOST, "u1", None).state == "down", "a unit that is not to run stays down"
        await room.start(HOST, "u1")
        await room.remove(HOST, "u1")
        assert not (bench.host.service / "u1").exists()

    bench.run(test)


def test_what_an_unprivileged_host_plants_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    async def test(room: units.Units) -> None:
        room.write(HOST, "u1", unit("sit"), UID, bench.blob)
        await room.start(HOST, "u1")
        (tmp_path / "secret").write_text("0 0 9999 9 9")
        folder = bench.host.service / "u1"
        (folder / "state" / "record").unlink(missing_ok=True)
        (folder / "state" / "record").symlink_to(tmp_path / "secret")
        os.mkfifo(folder / "state" / "waiting")
        assert (seen := room.status(HOST, "u1", None)).state == "up"
        assert seen.restarts == 0
        log = bench.host.log / "u1"
        waiting.soon("log", (log / "current").exists, 10)
        (log / "current").unlink()
        (log / "current").symlink_to(tmp_path / "secret")
        os.mkfifo(log / "@4000000000000000.s")
        assert [block async for block in room.logs(HOST, "u1", None, follow=False)] == []
        waiting.soon("last status", lambda: (now := supervision.supervised(folder)) is not None and now.ready, 10)
        (folder / "supervise" / "status").unlink()
        os.mkfifo(folder / "supervise" / "status")
        assert room.status(HOST, "u1", None).state == "down"
        data = bench.host.disk / "lib" / "u1"
        (data / "data").symlink_to("/etc")
        with pytest.raises(errors.Conflict, match="data is not a folder"):
            room.write(HOST, "u1", unit("sit", folders=("data",)), UID, bench.blob)
        (bench.host.service / "u2").symlink_to("/etc")
        await room.remove(HOST, "u1")

    bench.run(test)


def test_a_host_that_is_down(bench: Bench) -> None:
    async def test(room: units.Units) -> None:
        bench.kill()
        wanted = unit("sit")
        assert room.write(HOST, "u1", wanted, UID, bench.blob).action == "new"
        assert not any(path.name.startswith(".new") for path in bench.host.service.iterdir())
        await room.stop(HOST, "u1", wanted)
        with pytest.raises(errors.NotFound):
            await room.start(HOST, "u2")
        bench.boot()
        await room.start(HOST, "u1")
        assert room.status(HOST, "u1", None).state == "up"
        bench.kill()
        (bench.host.service / "u1").rename(bench.host.service / ".gone-u1")
        with pytest.raises(errors.Busy):
            room.write(HOST, "u1", wanted, UID, bench.blob)
        await room.remove(HOST, "u1")
        assert room.write(HOST, "u1", wanted, UID, bench.blob).action == "new"
        await room.remove(HOST, "u1")

    bench.run(test)
