"""The same request twice does the thing once, and has the same answer.

Which member of an input is the token, the model says (`idempotencyToken`); botocore fills it in by itself, so that
its retries are such requests. That a token was used is kept in the same transaction as what the operation did: when
serve dies between the two, either both are there or neither is. The answer is kept as the observation of the token,
unflushed. When it was lost, with the power or with serve, what was done is not done again: the operation that the
mark's note `again` names answers, given the same input and the first request's id (CreateCluster:
again="DescribeCluster"), or else the caller is told to look.

Tokens are good for a day. They are the caller's account's, and one operation's: the same token for another operation
is another token.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from roadstead.aws import calls, digests
from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes

KIND = "idempotency-token"
LIFETIME = dt.timedelta(days=1)

Handler = Callable[[calls.Call], Awaitable[Mapping[str, Any]]]


class Used(msgspec.Struct, frozen=True):
    """What is kept of a token: the digest of its request, until when (seconds since 1970), and the request's id."""

    request: bytes
    until: float
    request_id: str = ""


class Mismatch(errors.Conflict):
    """A token that was used with another request."""


@dataclass(frozen=True)
class TokenRequest:
    """One request with a token."""

    call: calls.Call
    token: str
    asked: Mapping[str, Any]
    """Without the token."""

    @property
    def key(self) -> keys.Key:
        """Where what was done for the token is kept: of an account, a region and an operation."""
        # A token may be longer than a key, and may be of any characters.
        digest = hashlib.sha256(self.token.encode("utf-8", "surrogatepass")).hexdigest()
        call = self.call
        return keys.Key(call.account, call.region, KIND, call.service, call.operation, digest)

    @property
    def digest(self) -> bytes:
        """Of the input: the same token with another one is refused."""
        return digests.digest(self.asked)


class Tokens:
    """The tokens that are in use just now: of two requests with the same token the second waits for the first."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def once(self, request: TokenRequest, handler: Handler, again: Handler | None) -> Mapping[str, Any]:
        """The answer to a request, now or from before. Raises Mismatch, and what the handler raises.

        A request that was refused left nothing behind: with the same token it may be tried again, or changed.
        """
        async with self._alone(request.key.text):
            store, now = request.call.store, request.call.now
            state = await store.get(request.key)
            if state is not None:
                used = msgspec.msgpack.decode(state.desired.body, type=Used)
                if used.until > now.timestamp():
                    return await self._answered(request, used, state, again)
            body = msgspec.msgpack.encode(Used(request.digest, (now + LIFETIME).timestamp(), request.call.request_id))
            marking = _Marking(store, writes.Put(request.key, body))
            answer = await handler(replace(request.call, store=marking))
            if marking.generation is not None:
                with contextlib.suppress(errors.Error):
                    # It is done, and has to be answered; that the answer was not kept costs a repeated request only.
                    await store.observe(request.key, msgspec.msgpack.encode(answer), marking.generation)
            return answer

    async def _answered(
        self, request: TokenRequest, used: Used, state: facts.State, again: Handler | None
    ) -> Mapping[str, Any]:
        if used.request != request.digest:
            raise Mismatch("This idempotency token was used before with other parameters: use a new one.")
        if state.current and state.observation is not None:
            answer: dict[str, Any] = msgspec.msgpack.decode(state.observation.body)
            return answer
        if again is not None:
            # As the first request: ids that were made from its id are found again by it.
            return await again(replace(request.call, request_id=used.request_id or request.call.request_id))
        raise errors.Busy("This was done already, but its answer was lost: look for what it made.")

    @contextlib.asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = (lock, users - 1)


class _Marking(interface.Store):
    """The store, but the first transaction that lasts also keeps the token."""

    def __init__(self, store: interface.Store, mark: writes.Put) -> None:
        self._store = store
        self._mark = mark
        self.generation: int | None = None

    @property
    def revision(self) -> int:
        return self._store.revision

    async def commit(self, *transaction: writes.Write) -> int:
        if self.generation is not None or not writes.durable(transaction):
            return await self._store.commit(*transaction)
        self.generation = await self._store.commit(*transaction, self._mark)
        return self.generation

    async def get(self, key: keys.Key) -> facts.State | None:
        return await self._store.get(key)

    async def list(
        self,
        prefix: keys.Prefix = interface.ALL,
        *,
        kind: str | None = None,
        after: keys.Key | None = None,
        limit: int = 100,
    ) -> facts.Page[facts.State]:
        return await self._store.list(prefix, kind=kind, after=after, limit=limit)

    async def records(
        self, of: keys.Key | keys.Prefix, *, after: int | None = None, limit: int = 100, newest: bool = False
    ) -> tuple[facts.Record, ...]:
        return await self._store.records(of, after=after, limit=limit, newest=newest)

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        return await self._store.secret(key)

    def watch(self, revision: int, prefix: keys.Prefix = interface.ALL) -> AsyncIterator[facts.Changes]:
        return self._store.watch(revision, prefix)


async def sweep(store: interface.Store, now: dt.datetime) -> int:
    """Forget the tokens whose day is over; how many there were."""
    gone = 0
    after: keys.Key | None = None
    while True:
        page = await store.list(kind=KIND, after=after, limit=writes.MOST)
        old = [
            writes.Delete(item.key, writes.At(item.desired.generation))
            for item in page.items
            if msgspec.msgpack.decode(item.desired.body, type=Used).until <= now.timestamp()
        ]
        if old:
            with contextlib.suppress(errors.Conflict, errors.NotFound):
                # One of them has just been used again: the next sweep takes the others.
                await store.commit(*old)
                gone += len(old)
        if page.next is None:
            return gone
        after = page.next
