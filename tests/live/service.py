"""A whole Roadstead of a test's own: agent, serve and two porters as real processes, all but the agent without root.

All of it is in a network namespace that stands for the machine's, ends with the test, and leaves nothing. Callers come
as customers do: boto3, awscli, kubectl with a token.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from tests.live import conftest

from roadstead import engine
from roadstead.agent import purge
from roadstead.agent.links import namespaces
from roadstead.core import instance
from roadstead.engine import cache as engine_cache
from roadstead.identity import admin as admins
from roadstead.machine import shell
from roadstead.machine.supervision import tree
from roadstead.wire import services

USER, PORTER = 1_800_000_002, 1_800_000_003
"""User ids of nobody: serve and the porters run as them."""
REGION = "eu-central-1"
ENGINES = ("1.37", "etcd", "containerd", "coredns", "pause", "cni", "volumes", "seed")
WORLD = "127.0.0.1:5353"
"""Where porter asks for names of the world."""
_STARTING = 30.0
_TOKEN_KEPT = 600.0
"""Seconds; a token is good for 900."""


@dataclass
class Program:
    """One process without root in the machine's namespace. `start` again after it ended."""

    name: str
    words: tuple[str, ...]
    netns: Path
    log: Path
    user: int = USER
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds until it says that it is ready; fails with its log."""
        began = time.monotonic()
        told, say = os.pipe()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(conftest.ROOT / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ROADSTEAD_NOTIFY_FD": str(say),
        }
        command = [
            "nsenter",
            f"--net={self.netns}",
            "setpriv",
            *without_root(self.user),
            sys.executable,
            "-m",
            *self.words,
        ]
        try:
            with self.log.open("ab") as out:
                self.process = subprocess.Popen(
                    *(command, -1),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=environment,
                    cwd="/",
                    pass_fds=(say,),
                )
            os.close(say)
            # At its end the pipe is readable, too, and empty.
            ready, _, _ = select.select([told], [], [], _STARTING)
            if not ready or os.read(told, 1) != b"\n":
                self.kill()
                pytest.fail(f"{self.name} did not start:\n{self.log.read_text()[-6000:]}")
        finally:
            os.close(told)
        return time.monotonic() - began

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9, as a crash would be."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


def without_root(user: int = USER) -> list[str]:
    """Flags of setpriv. Where the environment or the checkout is closed to others, as below root's home, reading it is
    allowed all the same: what is installed for services is another test's.
    """
    flags = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=KILL", "--no-new-privs"]
    needed = (Path(sys.prefix), Path(sys.base_prefix), conftest.ROOT / "src")
    if all(_open_to_all(place) for place in needed):
        return flags
    return [*flags, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def _open_to_all(place: Path) -> bool:
    resolved = place.resolve()
    return all(each.stat().st_mode & 0o001 for each in (resolved, *resolved.parents))


@dataclass
class Service:
    """A Roadstead that runs."""

    agent: conftest.RunningAgent
    folder: Path
    netns: Path
    kubectl_program: Path
    serve: Program
    porters: tuple[Program, Program]
    _clients: dict[str, Any] = field(default_factory=dict)
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def admin(self) -> admins.Admin:
        return admins.read(tree.serve_state(self.agent.places))

    def start(self) -> None:
        self.serve.start()
        for program in self.porters:
            program.start()

    def aws(self, service: str, operation: str, **parameters: Any) -> Any:
        """An operation of boto3's client as the administrator: `aws("eks", "describe_cluster", name=...)`."""
        with self.inside():
            if service not in self._clients:
                self._clients[service] = self._client(service)
            return getattr(self._clients[service], operation)(**parameters)

    def _client(self, service: str) -> Any:
        core = botocore.session.Session()
        core.get_component("data_loader").search_paths.append(str(services.OURS))
        session = boto3.Session(botocore_session=core, **self.credentials())
        retries = botocore.config.Config(retries={"max_attempts": 8, "mode": "standard"}, connect_timeout=3)
        return session.client(service, endpoint_url=self.admin.endpoint, config=retries)

    def credentials(self) -> dict[str, Any]:
        admin = self.admin
        return {
            "aws_access_key_id": admin.access_key,
            "aws_secret_access_key": admin.secret,
            "region_name": admin.region,
        }

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in the machine's namespace."""
        with namespaces.opened(self.netns) as descriptor, namespaces.entered(descriptor):
            yield

    def environment(self) -> dict[str, str]:
        """Of a person at a shell on this machine, with the administrator's keys."""
        admin = self.admin
        assert admin.secret is not None
        return {
            "PATH": f"{Path(sys.executable).parent}:{self.kubectl_program.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": admin.access_key,
            "AWS_SECRET_ACCESS_KEY": admin.secret,
            "AWS_REGION": admin.region,
            "AWS_DEFAULT_REGION": admin.region,
            "AWS_ENDPOINT_URL": admin.endpoint,
            "AWS_PAGER": "",
        }

    def machine(self, *words: str, text: str = "", timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """A command at a shell on the machine."""
        return subprocess.run(
            ["nsenter", f"--net={self.netns}", *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=self.environment(),
        )

    def popen(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """The same, going on."""
        command = ["nsenter", f"--net={self.netns}", *words]
        return subprocess.Popen(command, text=True, env=self.environment(), **{"stdin": subprocess.DEVNULL, **more})

    def token(self, cluster: str) -> str:
        """A token of the administrator's, by `aws eks get-token`."""
        made, token = self._tokens.get(cluster, (-_TOKEN_KEPT, ""))
        if time.monotonic() - made > _TOKEN_KEPT:
            done = self.machine("aws", "eks", "get-token", "--cluster-name", cluster, "--output", "json")
            assert done.returncode == 0, done.stderr
            token = json.loads(done.stdout)["status"]["token"]
            self._tokens[cluster] = (time.monotonic(), token)
        return token

    def forget_tokens(self) -> None:
        """The next is another one, which nobody has seen before."""
        self._tokens.clear()

    def restart(self) -> dict[str, float]:
        """The machine's power goes, and comes back: nothing but its disks is kept. Seconds of each program's start."""
        for program in (self.serve, *self.porters):
            program.kill()
        self.agent.kill()
        purge.halt(self.agent.places)
        took = {"agent": self.agent.restart()}
        _make_health(self.agent.places)
        return took | {program.name: program.start() for program in (self.serve, *self.porters)}

    def in_host(self, host: str, *command: str, timeout: float = 30.0) -> str:
        """The output of a command in a host, as its own user."""
        argv = shell.inside(self.agent.client.shell(host), command, terminal=False)
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout
        )
        assert done.returncode == 0, f"{host}: {' '.join(command)}: {done.stderr}"
        return done.stdout


@contextlib.contextmanager
def running_service(folder: Path, minors: tuple[str, ...] = (), registries: Path | None = None) -> Iterator[Service]:
    """Afterwards everything of the instance is gone, or the test fails. `minors`: more releases of Kubernetes."""
    # Had before anything is started: what is built now is found by serve.
    runc = ("runc",) if engine.find("runc") else ()
    built = {name: engine.get(name) for name in (*ENGINES, *runc, *minors, *(f"seed-{minor}" for minor in minors))}
    with conftest.running_agent(folder, USER, PORTER) as agent:
        places = agent.places
        assert places.machine_netns is not None
        cache = conftest.engines_of(places)
        # The newest seed has two names.
        _lend_engines({next(iter(one.components.values())).parent for one in built.values()}, cache)
        for owned, group, mode in (
            (tree.serve_state(places), USER, 0o700),
            (tree.sections(places), PORTER, 0o2750),
        ):
            owned.mkdir()
            os.chown(owned, USER, group)
            owned.chmod(mode)
        sections = str(tree.sections(places))
        serve = (
            *("roadstead.serve.main", "--instance", places.id, "--state", str(tree.serve_state(places))),
            *("--agent", str(places.socket), "--engines", str(cache), "--sections", sections),
            f"--porter-uid={PORTER}",
            *(() if registries is None else (f"--registries={registries}",)),
        )
        _make_health(places)
        porter = ("roadstead.porter.main", "--instance", places.id, "--sections", sections, f"--resolver={WORLD}")
        service = Service(
            agent,
            folder,
            places.machine_netns,
            built["1.37"].components["kubectl"],
            Program("serve", serve, places.machine_netns, folder / "serve.log"),
            (_porter(places, folder, porter, *tree.PORTERS), _porter(places, folder, porter, *reversed(tree.PORTERS))),
        )
        try:
            service.start()
            yield service
        finally:
            service.serve.end()
            for program in service.porters:
                program.end()


def _porter(places: instance.Instance, folder: Path, words: tuple[str, ...], name: str, peer: str) -> Program:
    assert places.machine_netns is not None
    more = (f"--health={tree.health(places, name)}", f"--peer={tree.health(places, peer)}")
    return Program(name, (*words, *more), places.machine_netns, folder / f"{name}.log", PORTER)


def _make_health(places: instance.Instance) -> None:
    """As the root tree does, also after a reboot."""
    folder = tree.health(places, tree.PORTERS[0]).parent
    folder.mkdir(exist_ok=True)
    os.chown(folder, PORTER, PORTER)
    folder.chmod(0o700)


def _lend_engines(entries: Iterable[Path], cache: Path) -> None:
    """A cache with the same engines that serve only reads: hard links where the disk is the same."""
    for entry in entries:
        # engines/NAME/VERSION/RECIPE/ARCH
        place = cache / "engines" / Path(*entry.parts[-4:])
        shutil.copytree(entry, place, copy_function=_link)
    for folder in (cache, *(path for path in cache.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _link(source: str, target: str) -> None:
    try:
        if source.endswith(engine_cache.MANIFEST):
            # It says whose word it is, by its owner.
            shutil.copy(source, target)
            return
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
