"""The face of the room: a socket per node, and each request on it answered.

The socket lies in a folder that the node sees (`hosts.wanted.pods`); which socket it came by says which node asks. A
request is one packet, perhaps with the descriptor of a network namespace; so is its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from roadstead.agent.hosts import wanted
from roadstead.agent.pods import cni
from roadstead.agent.pods import executor as executors
from roadstead.contract import layout
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from roadstead.contract.messages import desired
    from roadstead.core import instance as instances

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 17
_AT_ONCE = 32
"""Requests of one node that are worked on or waited for; more wait in the socket's queue."""
_DEADLINE = 9.0
"""Seconds for one request; the CNI program waits for 10."""
_SLOW = 0.25
"""Seconds from which on a request is worth a line in the log."""


class Thread(Protocol):
    """Runs work with the kernel in the one thread that is for it."""

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Pods:
    """The pods of an instance's nodes."""

    def __init__(
        self,
        places: instances.Instance,
        thread: Thread,
        host: Callable[[str], desired.Host | None],
        spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
    ) -> None:
        """`host` gives a host as it is wanted now; `spawn` starts a task that the agent waits for."""
        self._places = places
        self._thread = thread
        self._host = host
        self._spawn = spawn
        self._executor = executors.PodExecutor(places)
        self._servers: dict[str, asyncio.Task[None]] = {}

    async def listen(self, id: str) -> None:
        """Answer the node from now on, and put right what was lost of its pods' wiring. It may be called again.

        Nothing happens for a host that is no node. Raises Failed.
        """
        host = self._host(id)
        if host is None or host.role != "node":
            return
        if id not in self._servers:
            server = _server(wanted.pods(self._places.host(id)))
            self._servers[id] = self._spawn(self._serve(id, server))
        for lost in await self._thread(self._executor.restore, self._node(id)):
            log.warning("node %s: %s; mended", id, lost)

    async def forget(self, id: str) -> None:
        """The node is about to be removed, its pods with it: nothing of it is held any more."""
        self._close(id)
        await self._thread(self._executor.forget, id)

    async def close_all(self) -> None:
        """Answer nobody; pods and sockets stay as they are for the next agent."""
        for id in list(self._servers):
            self._close(id)
        await self._thread(self._executor.close)

    def _close(self, id: str) -> None:
        server = self._servers.pop(id, None)
        if server is not None:
            # Never by shutdown(): a socket that does not block would then be readable for ever, with nothing to take.
            server.cancel()

    async def _serve(self, id: str, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(_AT_ONCE)
        with server:
            while True:
                await places.acquire()
                try:
                    peer, _ = await loop.sock_accept(server)
                except OSError as error:
                    places.release()
                    log.warning("node %s: its CNI requests cannot be taken: %s", id, error)
                    # Out of descriptors, most likely: others must end theirs first.
                    await asyncio.sleep(_SLOW)
                    continue
                self._spawn(self._one(id, peer, places))

    async def _one(self, id: str, peer: socket.socket, places: asyncio.Semaphore) -> None:
        """One request, whatever it is."""
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            with peer:
                peer.setblocking(False)
                async with asyncio.timeout(_DEADLINE):
                    packet, namespace = await _receive(peer)
                answer = await self._answer(id, packet, namespace)
                async with asyncio.timeout(_DEADLINE):
                    await loop.sock_sendall(peer, answer)
        except (OSError, TimeoutError) as error:
            log.warning("node %s: a CNI request was not answered: %s", id, error)
        finally:
            places.release()
            if (took := time.monotonic() - began) > _SLOW:
                log.info("node %s: a CNI request took %.2f s", id, took)

    async def _answer(self, id: str, packet: bytes, namespace: int | None) -> bytes:
        """The answer; the descriptor is closed by the thread that uses it, which may outlast this call."""

        def work() -> bytes:
            version = cni.VERSIONS[-1]
            try:
                asked = cni.decode(packet)
                version = asked.config.cni_version
                return cni.answer(self._do(id, asked, namespace), good=True)
            except (cni.CniRefused, errors.Error) as error:
                if isinstance(error, errors.Failed):
                    log.warning("node %s: %s %s", id, error.message, error.facts)
                return cni.answer(cni.refusal(version, error), good=False)
            finally:
                if namespace is not None:
                    os.close(namespace)

        return await self._thread(work)

    def _do(self, id: str, asked: cni.CniRequest, namespace: int | None) -> object:
        """What the node asked for; the answer's content, None where the specification has none."""
        node = self._node(id)
        match asked.command:
            case "ADD":
                pod = self._executor.add(node, asked, namespace)
                return cni.result(asked.config.cni_version, pod, asked.netns)
            case "DEL":
                self._executor.delete(node, asked.container, asked.device)
            case "CHECK":
                self._executor.check(node, asked, namespace)
            case "GC":
                if asked.config.valid is None:
                    raise cni.CniRefused(cni.BAD_CONFIG, "cni.dev/valid-attachments is missing: nothing is collected")
                self._executor.collect(node, asked.config.name, cni.kept(asked.config.valid))
            case "STATUS":
                if not node.prefixes:
                    raise cni.CniRefused(cni.UNAVAILABLE, f"node {id} has no prefixes for pods")
            case _:
                raise cni.CniRefused(cni.BAD_VARIABLES, f"CNI_COMMAND {asked.command!r} is not known")
        return None

    def _node(self, id: str) -> executors.PodNode:
        """Raises Busy for a node that is not served, or not any more."""
        host = self._host(id)
        if host is None or id not in self._servers:
            raise errors.Busy(f"node {id} is not there any more", node=id)
        places = self._places.host(id)
        leg = host.legs[0]
        return executors.PodNode(id, leg.address, leg.prefixes, places.netns, places.state / "pods.json")


def _server(folder: Path) -> socket.socket:
    """A listening socket in the folder. Raises Failed."""
    try:
        # A node that an earlier release has made cannot see it, and needs no socket.
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise errors.Failed(f"{folder} cannot be opened: {error.strerror}", path=folder) from error
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(layout.PODS_SOCKET, dir_fd=descriptor)
        # By the descriptor: a path to a socket has at most 107 bytes, and ids may be long.
        server.bind(f"/proc/self/fd/{descriptor}/{layout.PODS_SOCKET}")
        server.listen(128)
    except OSError as error:
        server.close()
        raise errors.Failed(f"{folder / layout.PODS_SOCKET} cannot be opened: {error.strerror}", path=folder) from error
    finally:
        os.close(descriptor)
    return server


async def _receive(peer: socket.socket) -> tuple[bytes, int | None]:
    """One packet and the descriptor that came with it, if one did."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(peer, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(peer)
    packet, descriptors, _, _ = socket.recv_fds(peer, _MOST_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    return packet, descriptors[0] if descriptors else None
