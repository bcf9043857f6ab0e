"""Sockets opened in namespaces by root and passed to unprivileged processes that could not open them.

A process connects to the passing socket, says its name (requests.Passing, one line of JSON), and gets the
descriptors of its listeners with SCM_RIGHTS and a line that tells which is which; many come in several lines, until the
end of the stream. It asks again after a restart; the sockets stay open here meanwhile. SO_REUSEPORT lets an agent that
comes back open them beside copies that live on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from roadstead.agent import peers
from roadstead.contract.messages import desired, requests
from roadstead.core import errors, instance

log = logging.getLogger(__name__)

_LINE_LIMIT = 4096
_DEADLINE = 5.0
_MOST = 16
"""Askers at once."""
_AT_ONCE = 200
"""Descriptors of one message: Linux takes 253 (SCM_MAX_FD)."""

OpenSocket = Callable[[Path | None, int, int], socket.socket]


class Listeners:
    """The sockets that are open, by the ids of their desired states, and who may fetch them."""

    def __init__(
        self, places: instance.Instance, open_socket: OpenSocket, user: int | None, former: int | None
    ) -> None:
        """`user`: the one that sockets are passed to; None: nobody. `former`: who it was in earlier releases: the one
        who asked for them. Listeners of then are passed to who it is now.
        """
        self._places = places
        self._former = former
        self._user = user
        self._open_socket = open_socket
        self._open: dict[str, tuple[desired.Listener, socket.socket]] = {}

    def open(self, id: str, spec: desired.Listener) -> None:
        """Open it, or leave it when it is open as asked. Raises Failed when the address cannot be had."""
        if id in self._open:
            if self._open[id][0] == spec:
                return
            self.close(id)
        kind = socket.SOCK_STREAM if spec.protocol == "tcp" else socket.SOCK_DGRAM
        made = self._open_socket(self._namespace(spec), socket.AF_INET, kind)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((spec.address, spec.port))
            if kind == socket.SOCK_STREAM:
                made.listen(1024)
        except OSError as error:
            made.close()
            raise errors.Failed(
                f"listener {id}: {spec.protocol} {spec.address}:{spec.port} cannot be opened: {error.strerror}",
                address=spec.address,
                port=spec.port,
            ) from error
        self._open[id] = (spec, made)

    def close(self, id: str) -> None:
        """Copies that were passed live on with who has them. None of that id is as good."""
        opened = self._open.pop(id, None)
        if opened is not None:
            opened[1].close()

    def close_all(self) -> None:
        """At the agent's end: copies that were passed live on."""
        for id in list(self._open):
            self.close(id)

    def _namespace(self, spec: desired.Listener) -> Path | None:
        match spec.namespace:
            case "machine":
                return self._places.machine_netns
            case "network":
                return self._places.router_netns(spec.of or "")
            case "host":
                return self._places.host(spec.of or "").netns

    async def serve(self) -> None:
        """Answer on the passing socket until cancelled."""
        gate = peers.Gate(frozenset() if self._user is None else frozenset({self._user}), _MOST)
        with peers.listening(self._places.passing_socket, self._user) as server:
            async with asyncio.TaskGroup() as tasks:
                async for peer in peers.accepted(server, gate):
                    tasks.create_task(self._one(peer))

    async def _one(self, peer: socket.socket) -> None:
        with peer:
            try:
                async with asyncio.timeout(_DEADLINE):
                    await self._pass(peer)
            except (TimeoutError, OSError, errors.Error, msgspec.DecodeError, UnicodeDecodeError) as error:
                log.warning("passing of sockets refused: %s", error or type(error).__name__)

    async def _pass(self, peer: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        uid = peers.uid(peer)
        line = b""
        while not line.endswith(b"\n"):
            chunk = await loop.sock_recv(peer, _LINE_LIMIT)
            line += chunk
            if not chunk or len(line) > _LINE_LIMIT:
                raise errors.Invalid("one line of JSON with the process's name was expected")
        asked = msgspec.json.decode(line, type=requests.Passing)
        given = chosen({id: spec for id, (spec, _) in self._open.items()}, asked.process, {uid, self._former})
        for some in _portions(list(given), _AT_ONCE):
            body = msgspec.json.encode([_passed(id, given[id]) for id in some]) + b"\n"
            # One that was closed while a slow reader was waited for is no more to be had: it asks again.
            descriptors = [self._open[id][1].fileno() for id in some if id in self._open]
            if len(descriptors) != len(some):
                raise errors.Conflict("its listeners have changed meanwhile")
            await _send(peer, body, descriptors)


async def _send(peer: socket.socket, body: bytes, descriptors: list[int]) -> None:
    """All of it, however slowly it is read: nobody else waits for this reader."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            sent = socket.send_fds(peer, [body], descriptors)
            break
        except BlockingIOError:
            await _writable(peer)
    await loop.sock_sendall(peer, body[sent:])


async def _writable(peer: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(peer, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(peer)


def _portions(ids: list[str], most: int) -> Iterator[list[str]]:
    """All of them, at most so many at a time; one empty portion when there are none."""
    for start in range(0, max(1, len(ids)), most):
        yield ids[start : start + most]


def _passed(id: str, spec: desired.Listener) -> requests.Passed:
    return requests.Passed(id=id, address=spec.address, port=spec.port, protocol=spec.protocol)


def chosen(
    open_: Mapping[str, desired.Listener], process: str, users: Collection[int | None]
) -> dict[str, desired.Listener]:
    """The listeners of a process of these users, by id. Raises Denied where all of that process are another user's."""
    named = {id: spec for id, spec in sorted(open_.items()) if spec.process == process}
    own = {id: spec for id, spec in named.items() if spec.user in users}
    if named and not own:
        raise errors.Denied(f"the listeners of {process} are for another user", process=process)
    return own
