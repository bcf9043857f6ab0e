"""The whole service for measuring: agent, serve and two porters of an instance of its own, in a namespace of its own.

The namespace stands for the machine's network: the measuring thread is in it while the stage stands, so that it comes
to serve's server, and to clusters, as any client of the machine does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testkit import authorities, kube, waiting
from tests.live import conftest, service
from tests.peer import servers

from roadstead.agent import purge
from roadstead.agent.links import namespaces
from roadstead.agent_client import Client
from roadstead.contract.messages import observed
from roadstead.core import errors, instance
from roadstead.engine import cache, settings
from roadstead.identity import admin
from roadstead.machine.supervision import tree

USER = service.USER
"""nobody: serve and porter have no rights on the machine."""
ASKS, GROUP = "bench", "system:masters"
"""Who asks clusters, by a certificate of their own authorities: nothing is to be asked about it."""
REGION = "eu-central-1"
ROOT = Path(__file__).resolve().parents[1]
SERVE = ["-m", "roadstead.serve.main"]
PORTER = ["-m", "roadstead.porter.main"]

_ROOTS = (instance.STATE_ROOT, instance.RUN_ROOT, instance.LOG_ROOT)


@dataclass
class Seen:
    """What the agent saw of everything, from its watch: when each object was first in each phase, Unix time."""

    client: Client
    first: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    latest: dict[tuple[str, str], observed.Observation] = field(default_factory=dict)

    def follow(self) -> None:
        """For a thread that ends with the program."""
        since = self.client.observations().revision
        with contextlib.suppress(OSError, errors.Error):
            for change in self.client.watch(since, 3600):
                key = (change.kind, change.id)
                if change.observation is None:
                    self.first.pop(key, None)
                    self.latest.pop(key, None)
                else:
                    self.first.setdefault(key, {}).setdefault(change.observation.phase, time.time())
                    self.latest[key] = change.observation


@dataclass
class Stage:
    """What stands, by its processes, and how to speak to it."""

    places: instance.Instance
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]

    @functools.cached_property
    def client(self) -> Client:
        return Client(self.places.socket)

    @functools.cached_property
    def seen(self) -> Seen:
        """Followed from the first use on."""
        made = Seen(self.client)
        threading.Thread(target=made.follow, daemon=True).start()
        return made

    @functools.cached_property
    def _clients(self) -> Any:
        left = admin.read(self.folder / "serve")
        assert left.secret is not None
        return servers.clients(left.endpoint, left.access_key, left.secret)

    def aws(self, service: str) -> Any:
        """A client of boto3."""
        return self._clients(service, REGION, "well")

    def api(self, cluster: str, address: str, port: int) -> kube.Api:
        """As one who may do everything. Raises LookupError while no controller-manager has its files."""
        return kube.Api(address, port, self.authority(cluster).client(ASKS, self.folder, GROUP))

    def authority(self, cluster: str) -> authorities.Authority:
        """A cluster's own. Raises LookupError while no controller-manager has its files."""
        for letter in "abc":
            files = self.places.host(f"{cluster}.api-{letter}").files / "kube-controller-manager"
            if (files / "ca.key").exists() and (files / "ca.pem").exists():
                return authorities.Authority(cluster, (files / "ca.pem").read_bytes(), (files / "ca.key").read_bytes())
        raise LookupError(f"no member of {cluster} has the authority's key yet")


@contextlib.contextmanager
def standing() -> Iterator[Stage]:
    """Agent, serve and the porters answer; afterwards nothing is left of them, nor of what they made."""
    id = f"t-bench-{secrets.token_hex(3)}"
    netns = conftest.machine_namespace(id)
    ours = [root for root in _ROOTS if not root.exists()]
    places = instance.Instance.named(id, netns)
    namespaces.create(netns)
    with tempfile.TemporaryDirectory(prefix="roadstead-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        made = Stage(places, folder, {})
        try:
            _lend_engines(folder)
            with namespaces.opened(netns) as descriptor, namespaces.entered(descriptor):
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                _start(made)
                yield made
        finally:
            for process in made.processes.values():
                process.terminate()
            for process in made.processes.values():
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
            purge.purge(places)
            namespaces.delete(netns)
            if not any(netns.parent.iterdir()):
                namespaces.unshare_folder(netns.parent)
            for root in ours:
                # Another instance may have come meanwhile.
                with contextlib.suppress(OSError):
                    root.rmdir()


def _start(stage: Stage) -> None:
    folder, instance_id = stage.folder, stage.places.id
    agent = ["-m", "roadstead.agent.main", "--instance", instance_id, "--owner-pid", str(os.getpid())]
    agent += ["--machine-netns", str(stage.places.machine_netns), "--allow-uid", str(USER)]
    agent += ["--listener-uid", str(USER)]
    agent += ["--engines", str(folder / "cache")]
    stage.processes["agent"] = _process(stage, "agent", agent, root=True)
    waiting.until("the agent", lambda: _answers(stage), 60, every=0.02)
    state = folder / "serve"
    sections = folder / "porter"
    for path in (state, sections):
        path.mkdir()
        os.chown(path, USER, USER)
    serve = [*SERVE, "--instance", instance_id, "--state", str(state), "--agent", str(stage.places.socket)]
    serve += ["--engines", str(folder / "cache"), "--sections", str(sections)]
    stage.processes["serve"] = _process(stage, "serve", serve)
    waiting.until("serve", (state / admin.FILE).exists, 60, every=0.02)
    for name, peer in (tree.PORTERS, tree.PORTERS[::-1]):
        porter = [*PORTER, "--instance", instance_id, "--sections", str(sections)]
        # All of one user here, whose folder this is.
        porter += ["--health", str(sections / f"{name}.sock"), "--peer", str(sections / f"{peer}.sock")]
        stage.processes[name] = _process(stage, name, porter)


def _answers(stage: Stage) -> bool:
    with contextlib.suppress(errors.Error, OSError):
        stage.client.status()
        return True
    return False


def _process(stage: Stage, name: str, words: list[str], *, root: bool = False) -> subprocess.Popen[bytes]:
    user = [] if root else ["setpriv", *service.without_root()]
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("BENCH_PATH", "")])])
    with (stage.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*user, sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
        )


def _lend_engines(folder: Path) -> None:
    """The caller's cache is nobody else's to read: its engines once more, by links where that goes."""
    kept = settings.from_environment(os.environ).cache / "engines"
    shutil.copytree(kept, folder / "cache" / "engines", copy_function=_linked, symlinks=True)
    for path in (folder / "cache", *(path for path in (folder / "cache").rglob("*") if path.is_dir())):
        path.chmod(0o755)


def _linked(source: str, target: str) -> None:
    try:
        if source.endswith(cache.MANIFEST):
            # It says whose word it is, by its owner.
            shutil.copy(source, target)
            return
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
