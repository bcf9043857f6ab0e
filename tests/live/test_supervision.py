"""The root tree with real s6, and `roadstead start` from a checkout that only root may enter. Half a minute."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from testkit import waiting
from tests.live import conftest, ownership, taken_over

from roadstead.core import errors, instance
from roadstead.machine import installation, start, uninstall
from roadstead.machine.supervision import make, see, settings, tree

pytestmark = [pytest.mark.live, pytest.mark.machine]

ROOT = Path(__file__).resolve().parents[2]

SERVICES = tree.NAMES

READY = "import os, signal, sys; print('up', *sys.argv[1:], flush=True); os.write(3, b'\\n'); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + READY


@pytest.fixture
def places(tmp_path: Path) -> Iterator[instance.Instance]:
    """An instance in a folder of the test, whose tree is ended afterwards."""
    made = instance.Instance(id="t-launcher", state=tmp_path / "state", run=tmp_path / "run", log=tmp_path / "log")
    yield made
    make.down(made, unit=None, timeout=1)
    assert see.tree(tree.folder(made)) == see.RunningTree(None, {})


def service(code: str, *arguments: str, name: str = "thing") -> tree.TreeService:
    return tree.TreeService(name, (sys.executable, "-c", code, *arguments))


def pid(places: instance.Instance, name: str = "thing") -> int:
    folder = str(tree.folder(places) / name)
    said = subprocess.run(["s6-svstat", "-o", "pid", folder], capture_output=True, text=True, check=True, timeout=10)
    return int(said.stdout)


def back_within(places: instance.Instance, name: str, seconds: float) -> bool:
    """Whether a service that is killed is back in time, at one of two kills: at one the machine may be busy."""

    def took() -> float:
        killed = pid(places, name)
        os.kill(killed, signal.SIGKILL)
        back = waiting.until(f"{name} is back", lambda: pid(places, name) not in (killed, -1), 20, every=0.01)
        make.wait_ready(places, tree.TreeService(name, ()), deadline=time.monotonic() + 20)
        return back

    return any(took() < seconds for _ in range(2))


def test_a_tree_runs_until_it_is_taken_down(places: instance.Instance) -> None:
    wanted = [service(READY), service(READY, name="other")]
    assert make.up(places, wanted, unit=None, timeout=20)
    # Nobody waits for those of the logs.
    everything = {"thing", "thing/log", "other", "other/log"}
    waiting.until("all are supervised", lambda: set(see.tree(tree.folder(places)).supervised) == everything, 20)
    seen = see.tree(tree.folder(places))
    assert seen.scanner is not None
    # In a session of its own, with nothing of this process's environment.
    assert os.getsid(seen.scanner) != os.getsid(0)
    assert b"PYTEST_CURRENT_TEST" not in Path(f"/proc/{seen.scanner}/environ").read_bytes()
    assert Path(f"/proc/{seen.scanner}/cwd").resolve() == tree.folder(places)
    log = tree.log_folder(places, "thing") / "current"
    waiting.until("its log", lambda: log.exists() and " up\n" in log.read_text(), 20)

    before = pid(places)
    assert not make.up(places, wanted, unit=None, timeout=20)
    assert pid(places) == before

    assert make.down(places, unit=None, timeout=10)
    assert not Path(f"/proc/{before}").exists()
    assert not make.down(places, unit=None, timeout=10)


def test_a_killed_service_is_back_within_two_seconds(places: instance.Instance) -> None:
    make.up(places, [service(READY)], unit=None, timeout=20)
    assert back_within(places, "thing", 2)


def test_a_changed_service_alone_is_restarted(places: instance.Instance) -> None:
    make.up(places, [service(READY), service(READY, name="other")], unit=None, timeout=20)
    thing, other = pid(places), pid(places, "other")
    assert make.up(places, [service(READY, "newer"), service(READY, name="other")], unit=None, timeout=20)
    assert pid(places) != thing
    assert pid(places, "other") == other
    assert b"newer" in Path(f"/proc/{pid(places)}/cmdline").read_bytes()


def test_a_new_service_is_taken_up_by_a_running_tree(places: instance.Instance, tmp_path: Path) -> None:
    """And is ready before what comes after it is restarted: as one porter becomes two."""
    make.up(places, [service(READY), service(READY, name="kept")], unit=None, timeout=20)
    kept, thing, scanner = pid(places, "kept"), pid(places), see.tree(tree.folder(places)).scanner
    slow = service(f"import time; time.sleep(0.5); open({str(tmp_path / 'up')!r}, 'w');{READY}", name="other")
    after = service(f"open({str(tmp_path / 'up')!r});{READY}")
    assert make.up(places, [slow, after, service(READY, name="kept")], unit=None, timeout=20)
    assert pid(places, "other") > 0
    assert pid(places) != thing
    assert see.deaths(tree.folder(places), "thing") == 1
    assert (pid(places, "kept"), see.tree(tree.folder(places)).scanner) == (kept, scanner)


def test_a_killed_tree_is_taken_over(places: instance.Instance) -> None:
    make.up(places, [service(READY)], unit=None, timeout=20)
    before, scanner = pid(places), see.tree(tree.folder(places)).scanner
    assert scanner is not None
    os.kill(scanner, signal.SIGKILL)
    waiting.until("no s6-svscan", lambda: see.tree(tree.folder(places)).scanner is None, 5)
    assert see.tree(tree.folder(places)).supervised, "the supervisors should have outlived it"
    assert make.up(places, [service(READY)], unit=None, timeout=20)
    assert see.tree(tree.folder(places)).scanner is not None
    assert pid(places) != before
    assert not Path(f"/proc/{before}").exists()


def test_what_cannot_run_is_told_with_its_words_and_left_alone(places: instance.Instance) -> None:
    with pytest.raises(errors.Failed, match="ends as soon as it is started") as caught:
        make.up(places, [service("print('no such thing', flush=True); raise SystemExit(3)")], unit=None, timeout=20)
    assert "no such thing" in caught.value.facts["output"]
    assert see.tree(tree.folder(places)) == see.RunningTree(None, {})


def test_what_does_not_get_ready_is_told(places: instance.Instance) -> None:
    with pytest.raises(errors.Failed, match="did not get ready in time"):
        make.up(places, [service("import signal; signal.pause()")], unit=None, timeout=5)
    assert see.tree(tree.folder(places)) == see.RunningTree(None, {})


def test_what_does_not_stop_is_killed(places: instance.Instance) -> None:
    make.up(places, [service(STUBBORN)], unit=None, timeout=20)
    before = pid(places)
    assert make.down(places, unit=None, timeout=0.5)
    assert not Path(f"/proc/{before}").exists()


def test_boot_refuses_a_wrong_instance() -> None:
    command = [sys.executable, "-m", "roadstead.machine.supervision.boot", "--instance", "Not/An/Id"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("roadstead-boot: instance id 'Not/An/Id'")


@pytest.fixture
def closed_checkout() -> Iterator[Path]:
    """A copy of this checkout below a folder that only root may enter, its files for root's eyes only."""
    with tempfile.TemporaryDirectory(prefix="roadstead-closed-") as name:
        place = Path(name) / "checkout"
        place.mkdir(mode=0o700)
        for each in ("roadstead", "uv.lock", "pyproject.toml"):
            shutil.copy2(ROOT / each, place)
        for each in ("src", "engines"):
            shutil.copytree(ROOT / each, place / each, ignore=shutil.ignore_patterns("__pycache__"))
        for path in place.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        yield place


@dataclass(frozen=True)
class Person:
    """Somebody at a shell on the machine that an instance's namespace stands for."""

    checkout: Path
    places: instance.Instance
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Only `start` and `purge` need the world (packages), or the real machine."""
        inside = [] if arguments[0] in ("start", "purge") else ["nsenter", f"--net={self.places.machine_netns}", "--"]
        return subprocess.run(
            [*inside, str(self.checkout / "roadstead"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            cwd="/",
        )

    def told(self, *arguments: str) -> str:
        """What a command prints that must go well."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


def someone(checkout: Path, places: instance.Instance, home: Path) -> Person:
    return Person(checkout, places, {**conftest.person(home), "ROADSTEAD_INSTANCE": places.id})


def test_services_run_from_a_checkout_that_only_root_may_enter(
    closed_checkout: Path, started_instance: instance.Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = started_instance
    person = someone(closed_checkout, places, tmp_path / "home")
    words = ("start", "--machine-netns", str(places.machine_netns), "--yes")
    done = person.told(*words)
    assert f"instance {places.id}: agent 0." in done
    assert "is up" in done

    agent = pid(places, "agent")
    words_of_agent = Path(f"/proc/{agent}/cmdline").read_bytes().split(b"\0")
    python = Path(words_of_agent[0].decode())
    assert python.is_relative_to(installation.ROOT)
    assert str(closed_checkout).encode() not in Path(f"/proc/{agent}/environ").read_bytes()
    assert str(closed_checkout) not in Path(f"/proc/{agent}/maps").read_text()

    # The same code, as the user of the services that need no root; no service needs the checkout any more.
    moved = closed_checkout.with_name("moved")
    closed_checkout.rename(moved)
    ask = "import roadstead.agent.main, roadstead.engine.settings, os; print(os.getuid(), roadstead.__file__)"
    seen = subprocess.run(
        ["s6-setuidgid", start.USER, str(python), "-I", "-c", ask],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    uid, _, file = seen.stdout.strip().partition(" ")
    assert int(uid) == pwd.getpwnam(start.USER).pw_uid, seen.stderr
    assert Path(file).is_relative_to(installation.ROOT)
    for name in SERVICES:
        assert back_within(places, name, 2), name

    moved.rename(closed_checkout)
    before = [pid(places, name) for name in SERVICES]
    assert "was up" in person.told("start")
    assert [pid(places, name) for name in SERVICES] == before

    assert person.told("stop") == f"instance {places.id}: stopped; its hosts, if any, keep running\n"
    assert see.tree(tree.folder(places)) == see.RunningTree(None, {})
    gone = person("status")
    assert gone.returncode == 1
    assert gone.stderr.startswith("Error: ")

    # As uninstall does for each instance, also while it runs.
    person.told("start")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    uninstall.apply(uninstall.EndInstance(places.id), uninstall.UninstallPlaces())
    assert see.tree(tree.folder(places)) == see.RunningTree(None, {})
    assert not any(path.exists() for path in (places.state, places.run, places.log))


def test_serve_and_porter_run_without_root_and_are_shown(started_instance: instance.Instance, tmp_path: Path) -> None:
    places = started_instance
    person = someone(ROOT, places, tmp_path / "home")
    others = tmp_path / "home" / ".aws" / "config"
    others.parent.mkdir(mode=0o700)
    others.write_text("[default]\nregion = somewhere\n")
    person.told("start", "--machine-netns", str(places.machine_netns), "--port", "4577", "--yes")
    users = dict(zip(("serve", "porter", "supplier"), map(pwd.getpwnam, start.USERS), strict=True))
    for name, user in {**users, "porter-2": users["porter"]}.items():
        process = Path(f"/proc/{pid(places, name)}")
        assert _ids(process, "Uid") == {user.pw_uid}
        assert _ids(process, "Gid") == {user.pw_gid} == _ids(process, "Groups")

    assert ownership.wrong(places) == []
    taken_over.porter_has_nothing(places, [pid(places, "agent"), pid(places, "serve")])
    told = json.loads(person.told("status", "-o", "json"))
    assert [(one["name"], one["pid"]) for one in told["services"]] == [(name, pid(places, name)) for name in SERVICES]
    assert all(one["pss"] > 1 << 20 for one in told["services"] if one["name"] != "supplier")
    assert (told["serve"]["endpoint"], told["serve"]["answers"]) == ("http://127.0.0.1:4577", True)
    shown = person.told("status")
    assert f"http://127.0.0.1:4577, account {told['serve']['account']}" in shown
    assert '"serving"' in person.told("logs", "serve")
    assert "listening on" in person.told("logs", "agent", "-n", "20")

    # The profile is the caller's, beside what they had; `env` says the same.
    assert others.read_text().startswith("[default]\nregion = somewhere\n")
    exported = json.loads(person.told("env", "-o", "json"))
    assert exported["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4577"
    assert exported["AWS_SECRET_ACCESS_KEY"] in (others.parent / "credentials").read_text()
    assert person.told("get", "clusters") == "No clusters found\n"

    # Another port concerns serve alone, and is kept by a start that does not name it.
    before = [pid(places, name) for name in SERVICES]
    person.told("start", "--port", "4578")
    assert [pid(places, name) == was for name, was in zip(SERVICES, before, strict=True)] == [
        name != "serve" for name in SERVICES
    ]
    assert "http://127.0.0.1:4578" in person.told("start")
    assert "endpoint_url = http://127.0.0.1:4578" in others.read_text()

    # What cannot be is said, and everything is as it was.
    failed = person("start", "--address", "203.0.113.99")
    assert failed.returncode == 1
    assert "cannot listen on 203.0.113.99" in failed.stderr
    assert settings.read(places).address == "127.0.0.1"
    assert person.told("get", "clusters") == "No clusters found\n"
    _settings_follow(places, person, tmp_path / "home")


def _settings_follow(places: instance.Instance, person: Person, home: Path) -> None:
    """Where endpoints are, with the caller's kubeconfig, and where images come from; wrong ones change nothing."""
    kubeconfig, file = home / ".kube" / "config", home / "registries.toml"
    kubeconfig.parent.mkdir()
    cluster = "{cluster: {server: 'https://127.0.0.1:16443'}, name: one.eu-central-1.eksctl.io}"
    kubeconfig.write_text(f"clusters:\n- {cluster}\n")
    told = person.told("start", "--advertise-address", "127.0.0.2")
    assert "clusters are reached at 127.0.0.2, no more at 127.0.0.1" in told
    assert f"{kubeconfig} was changed accordingly" in told
    assert kubeconfig.read_text() == f"clusters:\n- {cluster}\n".replace("127.0.0.1", "127.0.0.2")

    file.write_text('[mirrors]\n"docker.io" = "https://mirror.example"\n')
    person.told("start", "--registries", str(file))
    serve, kept = pid(places, "serve"), settings.read(places).registries
    assert kept is not None
    given = places.state / kept
    facts = given.stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (0, pwd.getpwnam(start.USER).pw_gid, 0o640)
    assert f"--registries {given}" in (tree.folder(places) / "serve" / "run").read_text()
    file.write_text('[mirrors]\n"docker.io" = "mirror.example"\n')
    for words, said in (
        (("--registries", str(file)), f"--registries {file}: mirrors of docker.io: 'mirror.example' is not a URL"),
        (("--advertise-address", "203.0.113.99"), "203.0.113.99 is no address of this machine"),
    ):
        failed = person("start", *words)
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"Error: {said}"), failed.stderr
    assert "was up" in person.told("start")
    assert (pid(places, "serve"), settings.read(places).registries) == (serve, kept)
    person.told("start", "--registries", "none")
    assert settings.read(places).registries is None
    assert not list(places.state.glob("registries*"))
    assert pid(places, "serve") != serve


def test_a_port_that_is_taken_is_said_and_nothing_is_left(started_instance: instance.Instance, tmp_path: Path) -> None:
    places = started_instance
    person = someone(ROOT, places, tmp_path / "home")
    listen = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 4579)); print('on', flush=True); sys.stdin.read()"
    )
    command = ["nsenter", f"--net={places.machine_netns}", "--", sys.executable, "-c", listen]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"on\n"
        done = person("start", "--machine-netns", str(places.machine_netns), "--port", "4579", "--yes")
        other.kill()
    assert done.returncode == 1
    # The launcher may say that it makes its environment.
    (said,) = (line for line in done.stderr.splitlines() if not line.startswith("roadstead: "))
    assert said.startswith(f"Error: port 4579 of 127.0.0.1 is taken by process {other.pid} (")
    assert not any(path.exists() for path in (places.state, places.run, places.log))
    assert not (tmp_path / "home" / ".aws").exists()


def _ids(process: Path, which: str) -> set[int]:
    lines = (process / "status").read_text().splitlines()
    return {int(word) for line in lines if line.startswith(f"{which}:") for word in line.split()[1:]}


def test_after_a_reboot_the_program_of_the_systemd_unit_makes_the_tree_again(
    started_instance: instance.Instance,
) -> None:
    """/run is empty; `boot` becomes the s6-svscan, and is told to stop as systemd would: SIGTERM to it alone."""
    places = started_instance
    for user in start.USERS:
        start.ensure_user(user)
    settings.write(places, settings.TreeSettings(port=4580, machine_netns=str(places.machine_netns)))
    command = [sys.executable, "-m", "roadstead.machine.supervision.boot", "--instance", places.id]
    # The services of this tree find no package (their environment is their own), so they cannot touch the machine.
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # Under the lock that a `start` holds while it waits for systemd.
    with make.alone(places), subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL) as process:
        try:
            waiting.until("the s6-svscan", lambda: see.tree(tree.folder(places)).scanner == process.pid, 20)
            everything = {name for service in SERVICES for name in (service, f"{service}/log")}
            waiting.until("all are supervised", lambda: set(see.tree(tree.folder(places)).supervised) == everything, 20)
            assert sys.executable in (tree.folder(places) / "agent" / "run").read_text()
            assert "--port 4580" in (tree.folder(places) / "serve" / "run").read_text()
        finally:
            # On this signal it ends its services, too.
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        assert process.returncode == 0
    assert see.tree(tree.folder(places)) == see.RunningTree(None, {})
