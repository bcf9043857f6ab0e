"""Sessions that are idle as people's are: exec, port-forward, a watch, `logs -f`, by real kubectl at the endpoint.

Several of each, so that each API server and each proxy has some. kubectl ends when its connection does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testkit import waiting
from tests.live import shared

from roadstead.agent.links import namespaces

NAME = "idle"
EACH = 3
PORT = 8080
KINDS = {
    "exec": ("exec", "-i", NAME, "--", "cat"),
    "port-forward": ("port-forward", f"pod/{NAME}", f":{PORT}"),
    "watch": ("get", "configmap", NAME, "--watch", "-o", "jsonpath={.data.count}{'\\n'}"),
    "logs": ("logs", "-f", NAME),
}
_PATIENCE = 10.0


@dataclass(frozen=True)
class Session:
    kind: str
    process: subprocess.Popen[str]
    out: Path

    def said(self) -> str:
        return self.out.read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


@dataclass
class Sessions:
    """All of them."""

    cluster: shared.Cluster
    running: list[Session] = field(default_factory=list)
    streams: dict[int, socket.socket] = field(default_factory=dict)
    """Connections through port-forwards, by the process."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def renew(self) -> None:
        """Those that ended, or are of no use any more, are made again; afterwards all are of use."""
        for one in self.ended():
            self._drop(one)
        for one in self._silent():
            self._drop(one)
        for kind in KINDS:
            for _ in range(EACH - sum(one.kind == kind for one in self.running)):
                self.running.append(self._begin(kind))
        waiting.until("port-forwards listen", lambda: all(map(self._streams, self.running)), _PATIENCE)
        self.prove()

    def ended(self) -> list[Session]:
        return [one for one in self.running if one.process.poll() is not None]

    def prove(self) -> None:
        """Each session passes something on that is new."""
        silent = [one.kind for one in self._silent()]
        assert not silent, f"nothing new came by {silent}"

    def _silent(self) -> list[Session]:
        """Those by which nothing new came in time."""
        number = f"{next(self._numbers)}"
        before = {one.process.pid: len(one.said()) for one in self.running}
        self.cluster.patch("configmap", NAME, {"data": {"count": number}})
        unasked = [one for one in self.running if not self._ask(one, number)]
        told = [one for one in self.running if one.kind != "port-forward" and one not in unasked]
        deadline = time.monotonic() + _PATIENCE
        while (late := [one for one in told if len(one.said()) == before[one.process.pid]]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.05)
        return [*unasked, *late]

    def _ask(self, one: Session, number: str) -> bool:
        """Whether it could be asked. What is asked by a port-forward is in the pod's log."""
        try:
            if one.kind == "exec":
                assert one.process.stdin is not None
                one.process.stdin.write(f"{number}\n")
                one.process.stdin.flush()
            elif one.kind == "port-forward":
                stream = self.streams[one.process.pid]
                stream.sendall(b"GET / HTTP/1.1\r\nHost: idle\r\n\r\n")
                return stream.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
        return True

    def end(self) -> None:
        for one in list(self.running):
            self._drop(one)

    def _begin(self, kind: str) -> Session:
        out = self.cluster.service.folder / f"{kind}-{next(self._numbers)}.log"
        stdin = subprocess.PIPE if kind == "exec" else subprocess.DEVNULL
        with out.open("w") as told:
            command = (*self.cluster.kubectl_command, *KINDS[kind])
            process = self.cluster.service.popen(*command, stdin=stdin, stdout=told, stderr=told)
        return Session(kind, process, out)

    def _streams(self, one: Session) -> bool:
        if one.kind == "port-forward" and one.process.pid not in self.streams:
            listens = re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", one.said())
            if listens is None:
                return False
            stream = namespaces.open_socket(self.cluster.service.netns, socket.AF_INET, socket.SOCK_STREAM)
            stream.settimeout(_PATIENCE)
            self.streams[one.process.pid] = stream
            stream.connect(("127.0.0.1", int(listens[1])))
        return True

    def _drop(self, one: Session) -> None:
        stream = self.streams.pop(one.process.pid, None)
        if stream is not None:
            stream.close()
        one.end()
        self.running.remove(one)


@contextlib.contextmanager
def running(cluster: shared.Cluster, node: str, labels: dict[str, str]) -> Iterator[Sessions]:
    """With a pod on that node, which goes with the objects of these labels."""
    cluster.apply(_config_map(labels), _pod(node, labels))
    cluster.kubectl(
        "wait", "pod", NAME, "--for=condition=Ready", f"--timeout={shared.WELL:g}s", timeout=shared.WELL + 5
    )
    made = Sessions(cluster)
    try:
        made.renew()
        yield made
    finally:
        made.end()


@contextlib.contextmanager
def deleting(cluster: shared.Cluster) -> Iterator[None]:
    """`kubectl delete -f` is in flight meanwhile, and does what it was told when it may."""
    names = [f"{NAME}-{number}" for number in range(EACH)]
    objects = {name: {**_config_map({}), "metadata": {"name": name, "finalizers": [f"test/{NAME}"]}} for name in names}
    cluster.apply(*objects.values())
    deletes = []
    for name, one in objects.items():
        file = cluster.service.folder / f"{name}.json"
        file.write_text(json.dumps(one))
        command = (*cluster.kubectl_command, "delete", "-f", str(file))
        deletes.append(cluster.service.popen(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    try:
        waiting.until("all are being deleted", lambda: all(map(_is_going, _listed(cluster, names))), _PATIENCE)
        yield
    finally:
        for name in names:
            with contextlib.suppress(AssertionError, OSError):
                cluster.patch("configmap", name, {"metadata": {"finalizers": None}})
        said = {each.communicate(timeout=_PATIENCE)[0]: each.returncode for each in deletes}
    assert set(said.values()) == {0}, said


def _listed(cluster: shared.Cluster, names: list[str]) -> list[dict[str, Any]]:
    return [cluster.get("configmap", name) for name in names]


def _is_going(one: dict[str, Any]) -> bool:
    return "deletionTimestamp" in one["metadata"]


def _config_map(labels: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "labels": labels},
        "data": {"count": "-"},
    }


def _pod(node: str, labels: dict[str, str]) -> dict[str, Any]:
    """It stays where it is, whatever becomes of its node."""
    container = {"name": "main", "image": shared.IMAGE, "command": ["/bin/visitor", "serve", f"{PORT}"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
        },
    }
