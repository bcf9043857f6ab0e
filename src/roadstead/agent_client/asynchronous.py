"""The agent's API for programs with an event loop: the same calls as the plain client's, without blocking.

One session of HTTP over the unix socket. Errors are those of core.errors, as the agent raised them; Busy while no agent
answers: who asks for ever tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from roadstead.agent_client import client
from roadstead.contract import paths
from roadstead.contract.messages import desired, machine, observed, requests
from roadstead.core import errors

_T = TypeVar("_T")
_GRACE = 5.0
_HEARTBEAT = 30.0
"""Seconds without a line (the agent sends empty ones) after which a watch is given up."""

Generations = Mapping[str, Mapping[str, int]]
Put = Mapping[str, Mapping[str, tuple[int, desired.Message]]]


class AgentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A desired state as the agent keeps it."""

    generation: int
    deleting: bool = False
    spec: msgspec.Raw = msgspec.Raw(b"null")


class AsyncClient:
    """Calls to the agent at a socket; an async context manager. `timeout`: seconds for each answer."""

    def __init__(self, path: Path, timeout: float = 60.0) -> None:
        self._path = path
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._longest = timeout + _GRACE
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(path=str(self._path), limit=32)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def status(self) -> observed.Status:
        """Raises Busy when the agent does not answer."""
        return msgspec.json.decode(await self._call("GET", paths.STATUS), type=observed.Status)

    async def machine(self) -> machine.Machine:
        """What the agent's machine has, as it is now."""
        return msgspec.json.decode(await self._call("GET", paths.MACHINE), type=machine.Machine)

    async def accept(self, put: Put | None = None, delete: Generations | None = None) -> requests.BatchAnswer:
        """Put and delete many objects at once, by kind and id, with their generations: all, or an error."""
        body = client.batch(put or {}, delete or {})
        return msgspec.json.decode(await self._call("PUT", paths.DESIRED, body), type=requests.BatchAnswer)

    async def wanted(self) -> dict[str, dict[str, AgentRecord]]:
        """Every desired state by kind and id."""
        return msgspec.json.decode(await self._call("GET", paths.DESIRED), type=dict[str, dict[str, AgentRecord]])

    async def observations(self) -> requests.Observations:
        """All of them, and the revision to `watch` from."""
        return msgspec.json.decode(await self._call("GET", paths.OBSERVATIONS), type=requests.Observations)

    async def keep_blob(self, content: bytes | Path, digest: str | None = None) -> str:
        """Stream bytes or a file, unless the agent has them; returns the digest. `digest`: when it is known."""
        digest = digest or await _digest(content)
        try:
            await self._call("HEAD", paths.blob(digest))
        except errors.NotFound:
            if isinstance(content, Path):
                with content.open("rb") as file:
                    await self._call("PUT", paths.blob(digest), file)
            else:
                await self._call("PUT", paths.blob(digest), content)
        return digest

    async def watch(self, since: int) -> AsyncIterator[observed.Changed]:
        """Every change after a revision. Ends with Busy when the agent goes, Gone when it cannot tell them all."""
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_HEARTBEAT)
        with _as_ours(self._path):
            async with self._session.get(f"http://agent{paths.WATCH}?since={since}", timeout=timeout) as response:
                if response.status >= 400:
                    raise client.error(response.status, await response.read())
                async for line in response.content:
                    if line.strip():
                        yield msgspec.json.decode(line, type=observed.Changed)
        raise errors.Busy(f"the agent on {self._path} ended the watch")

    async def _call(self, method: str, path: str, body: Any = None) -> bytes:
        assert self._session is not None, "used outside of its context"
        # A deadline of our own: whoever holds a lock meanwhile must come back, whatever the connection does.
        with _as_ours(self._path):
            async with (
                asyncio.timeout(self._longest),
                self._session.request(method, f"http://agent{path}", data=body) as response,
            ):
                content = await response.read()
                if response.status >= 400:
                    raise client.error(response.status, content)
                return content


@contextlib.contextmanager
def _as_ours(path: Path) -> Any:
    """Failures of the connection as Busy: the agent is on its way up, or away."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise errors.Busy(f"no answer from the agent on {path}: {error or type(error).__name__}") from error


async def _digest(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    return await asyncio.to_thread(client.digest, content)
