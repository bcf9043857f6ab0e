"""The other porter: asked all the time whether it answers, and ended when it does not, so that it is started anew.

Two porters answer on the same sockets: each is passed the same ones by the agent, and what one does not take from a
socket the other does. So one that is killed or frozen is no gap, but for what it had taken and not answered yet. A
killed one's connections are reset with it, and API servers ask again; a frozen one's would stay open until they give
up, after half a minute. So each asks the other, which needs no rights: both
are one user's, who may end their own processes. The root tree starts anew what has ended.

A porter that was held up itself says nothing of the other one: a machine that stood still is no reason to end anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

log = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds for an answer, and between two questions."""
TIMES = 4
"""Questions without an answer, one after the other, after which it is ended."""
_CREDENTIALS = struct.Struct("3i")
"""struct ucred of unix(7): pid, uid, gid."""


class Answer(enum.Enum):
    """What became of a question."""

    GIVEN = "given"
    NONE = "none"
    """It is there and says nothing."""
    ABSENT = "absent"
    """It is not there: who started it knows."""


@dataclass
class Patience:
    """How often it was asked in vain, as far as that says something. Pure."""

    silent: int = 0

    def over(self, answer: Answer, took: float, allowed: float) -> bool:
        """Whether it is to be ended. took: seconds in which `allowed` should have gone by here."""
        held_up = took > allowed + EVERY
        self.silent = 0 if held_up or answer is not Answer.NONE else self.silent + 1
        return self.silent >= TIMES


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@contextlib.asynccontextmanager
async def answering(own: Path) -> AsyncIterator[None]:
    """Answer the other one at a socket in a folder of both; without the folder nobody is answered, which is said."""

    server = None
    try:
        own.unlink(missing_ok=True)
        server = await asyncio.get_running_loop().create_unix_server(_Echo, own)
    except OSError as error:
        log.error("the other porter cannot ask whether this one answers: %s", error)
    try:
        yield
    finally:
        if server is not None:
            server.close()


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    process: int
    """A descriptor of the process (pidfd_open(2))."""

    def close(self) -> None:
        self.writer.transport.abort()
        os.close(self.process)


class Peer:
    """`watch` the porter that answers at a socket until cancelled."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _Connection | None = None

    async def watch(self) -> None:
        """Asks it again and again, for ever, and ends it when it is silent for too long."""
        loop = asyncio.get_running_loop()
        patience = Patience()
        try:
            while True:
                began = loop.time()
                answer = await self._ask()
                rest = max(0.0, began + EVERY - loop.time())
                await asyncio.sleep(rest)
                if patience.over(answer, loop.time() - began, EVERY):
                    self._end()
                    patience = Patience()
        finally:
            self._leave()

    async def _ask(self) -> Answer:
        try:
            async with asyncio.timeout(EVERY):
                if self._connection is None:
                    self._connection = await self._reach()
                self._connection.writer.write(b"?")
                # Of any question: it may be slow and all the same there.
                if await self._connection.reader.read(64):
                    return Answer.GIVEN
        except TimeoutError:
            return Answer.NONE if self._connection is not None else Answer.ABSENT
        except OSError:
            # Nobody listens there, or not any more.
            pass
        self._leave()
        return Answer.ABSENT

    async def _reach(self) -> _Connection:
        """Raises OSError where nobody of this user listens."""
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            told = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, uid, _ = _CREDENTIALS.unpack(told)
            if uid != os.geteuid() or pid == os.getpid():
                raise PermissionError(f"{self._path} is answered by process {pid} of user {uid}")
            return _Connection(reader, writer, os.pidfd_open(pid))
        except BaseException:
            writer.transport.abort()
            raise

    def _end(self) -> None:
        """Its connections are reset with it."""
        if self._connection is None:
            return
        log.error("the porter at %s has not answered for %g s: it is ended", self._path, TIMES * EVERY)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._connection.process, signal.SIGKILL)
        self._leave()

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
