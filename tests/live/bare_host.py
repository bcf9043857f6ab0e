"""A bare host for units: s6-svscan as an unprivileged user in a root and PID namespace of its own, no bundle."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from testkit import authorities, waiting

from roadstead.agent.units import change, state, supervision, units
from roadstead.contract.messages import desired
from roadstead.core import instance

T = TypeVar("T")
UID = 64123
HOST = "h1"

COMPONENTS = {
    "sit": "exec sleep 1000",
    "deaf": "trap '' TERM\necho deaf\nwhile :; do sleep 1000; done",
    "die": "exit 3",
    "notify": "until [ -e $HOME/go ]; do sleep 0.05; done\necho >&4\nexec sleep 1000",
    "told": "trap 'echo told' HUP\necho up\nwhile :; do sleep 5 & wait $!; done",
    "say": 'printf "%s\\n" "$0" "$@"\nenv\nid -u\npwd\numask\necho said\nexec sleep 1000',
    "talk": 'i=0\nwhile [ $i -lt 900 ]; do seq -f "line %.0f of a log that is long enough to be rotated away" '
    "$((i * 100)) $((i * 100 + 99)); i=$((i + 1)); done\nexec sleep 1000",
    "tls": "exec openssl s_server -quiet -accept 127.0.0.1:$PORT -cert /etc/units/$UNIT/tls.crt "
    "-key /etc/units/$UNIT/tls.key -CAfile /etc/units/$UNIT/ca.crt -Verify 1 -verify_return_error -www",
}
"""Components of a test engine, as shell scripts."""

HOST_SCRIPT = """
set -e
mount --make-rprivate /
mount --rbind /usr "$R/usr"; mount -t proc proc "$R/proc"; mount --bind /dev "$R/dev"
mount --bind "$DISK" "$R/var"; mount --bind "$SERVICE" "$R/run/service"; mount --bind "$FILES" "$R/etc/units"
mount --bind "$ENGINES" "$R/engine"; mount --bind "$LOG" "$R/var/log/units"
exec chroot "$R" /usr/bin/setpriv --reuid $U --regid $U --clear-groups --no-new-privs \\
  /usr/bin/env --default-signal=HUP /usr/bin/s6-svscan /run/service
"""


@dataclass
class Bench:
    """A bare host and the room's face on it."""

    places: instance.Instance
    blobs: Path
    unshare: subprocess.Popen[bytes] | None = None
    probes: list[list[str]] = field(default_factory=list)

    @property
    def host(self) -> instance.HostPlaces:
        return self.places.host(HOST)

    def boot(self) -> None:
        root = self.host.root
        for name in ("usr", "proc", "dev", "var", "run/service", "etc/units", "engine", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (root / name).is_symlink():
                (root / name).symlink_to(f"usr/{name}")
        for path in (self.host.disk / "log" / "units", self.host.service, self.host.files, self.host.log):
            path.mkdir(parents=True, exist_ok=True)
        svscan = self.host.service / ".s6-svscan"
        svscan.mkdir(mode=0o700, exist_ok=True)
        os.chown(svscan, UID, UID)
        environment = {
            "R": root,
            "U": UID,
            "DISK": self.host.disk,
            "SERVICE": self.host.service,
            "FILES": self.host.files,
            "ENGINES": self.places.engines,
            "LOG": self.host.log,
            "PATH": os.environ["PATH"],
        }
        self.unshare = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", HOST_SCRIPT],
            env={name: str(value) for name, value in environment.items()},
            stdin=subprocess.DEVNULL,
        )

    def pid1(self) -> int:
        assert self.unshare is not None
        path = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        return waiting.soon("PID 1", lambda: int(path.read_text() or 0), 10)

    def kill(self) -> None:
        if self.unshare is not None:
            # The parent's death would not do: the kernel forgets --kill-child when the user changes.
            if self.unshare.poll() is None:
                os.kill(self.pid1(), signal.SIGKILL)
            self.unshare.wait(10)
        self.unshare = None

    def blob(self, digest: str) -> Path:
        return self.blobs / digest

    def stream(self, content: bytes) -> str:
        digest = change.digest(content)
        (self.blobs / digest).write_bytes(content)
        return digest

    @contextmanager
    def room(self) -> Iterator[units.Units]:
        async def run(host_id: str, uid: int, argv: list[str], timeout: float) -> tuple[int, str]:
            assert (host_id, uid, timeout) == (HOST, UID, 5.0)
            self.probes.append(argv)
            return len(self.probes) % 2, "not yet\n"

        def open_socket(netns: Path | None, family: int, kind: int) -> socket.socket:
            assert netns == self.host.netns
            return socket.socket(family, kind)

        room = units.Units(self.places, open_socket, run)
        try:
            yield room
        finally:
            room.close()

    def run(self, test: Callable[[units.Units], Awaitable[None]]) -> None:
        async def main() -> None:
            with self.room() as room:
                async with asyncio.timeout(60):
                    await test(room)

        asyncio.run(main())

    def log_text(self, unit_id: str) -> str:
        """The log without its time stamps."""
        path = self.host.log / unit_id / "current"
        text = path.read_text() if path.exists() else ""
        return re.sub(r"^\S+ \S+  ", "", text, flags=re.MULTILINE)


async def until(room: units.Units, unit_id: str, seen: Callable[[units.UnitStatus], bool]) -> units.UnitStatus:
    """Woken by the room's events alone."""
    async with asyncio.timeout(20):
        if seen(now := room.status(HOST, unit_id, None)):
            return now
        async for key in room.events():
            now = room.status(HOST, unit_id, None)
            if key == (HOST, unit_id) and seen(now):
                return now
    raise AssertionError("events ended")


def notified(folder: Path) -> state.Supervised:
    """What s6 says once it has heard of a unit's start, from which it counts the second to the next one."""

    def seen() -> state.Supervised | None:
        now = supervision.supervised(folder)
        return now if now is not None and now.ready else None

    found = waiting.soon("notification", seen, 10)
    assert found is not None
    return found


def recorded(folder: Path) -> state.UnitRecord:
    """The last death of a unit. While `finish` writes it the file is empty."""
    found = waiting.soon("record", lambda: supervision.recorded(folder)[0], 10)
    assert found is not None
    return found


def unit(component: str, **more: object) -> desired.Unit:
    return desired.Unit(engine="test", component=component, **more)  # type: ignore[arg-type]


@contextmanager
def booted(folder: Path) -> Iterator[Bench]:
    """A running bare host in a folder; nothing runs afterwards."""
    folder.chmod(0o755)
    places = instance.Instance("t-units", folder / "state", folder / "run", folder / "log")
    engine = places.engines / "test"
    engine.mkdir(parents=True)
    for name, script in COMPONENTS.items():
        (engine / name).write_text(f"#!/bin/sh\n{script}\n")
        (engine / name).chmod(0o755)
    (folder / "blobs").mkdir()
    bench = Bench(places, folder / "blobs")
    bench.boot()
    try:
        yield bench
    finally:
        bench.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def authority() -> dict[str, bytes]:
    """A CA, a certificate of it for 127.0.0.1, and another CA."""
    ca, other = (authorities.Authority(name) for name in ("ca", "other"))
    own = ca.issue("u1", addresses=["127.0.0.1"], names=["u1.example"])
    return {"ca.crt": ca.pem, "other.crt": other.pem, "tls.crt": own.certificate, "tls.key": own.key}
