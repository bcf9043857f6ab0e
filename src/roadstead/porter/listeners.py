"""The sockets that the agent passes, each with who answers there: a cluster's webhook, or the resolver of a VPC.

What should be there follows from the sections. The agent is asked (`requests.Passing`) until all of it is, again when
these name something new, and again when the agent has come back: then it has new sockets beside the copies
here, and connections may come to either. Copies that are here answer while the agent is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, assert_never

import msgspec

from roadstead.contract import listeners
from roadstead.contract.messages import requests
from roadstead.contract.messages.sections import access, names, principals, webhooks
from roadstead.core import errors
from roadstead.http import gate
from roadstead.porter import dns, dns_messages, sections, tokens, upstream, webhook

log = logging.getLogger(__name__)

AGAIN = 0.5
"""Seconds until the agent is asked again for what is missing."""
LOOK = 0.25
"""Seconds between two looks whether the agent is another one: a look is one stat."""
ANYWAY = 30.0
"""Seconds after which it is asked even if nothing seems to be missing."""
_DEADLINE = 5.0
_ENDING = 1.0
"""Seconds for what was taken when it is told to end. Who asks nothing on a connection is waited for no longer."""
_HELD = gate.Limits(8 * webhook.CONNECTIONS, 8 * webhook.EACH)
"""Of a cluster's webhook, with those that have not spoken TLS yet: they are ended soon; nobody gives way for them."""


@dataclass(frozen=True)
class WebhookRole:
    """The webhook of a cluster."""

    cluster: str


@dataclass(frozen=True)
class ResolverRole:
    """A socket of a VPC's resolver."""

    vpc: str


Role: TypeAlias = WebhookRole | ResolverRole


@dataclass
class _Open:
    """A socket in use: what it is for, its inode, what ends its use, and the gate of a listening one."""

    role: Role
    inode: int
    close: Callable[[], None]
    gate: gate.Gate | None


@dataclass
class _Spoken:
    """How a cluster's webhook speaks: a context that takes the newest certificate."""

    context: ssl.SSLContext
    hook: webhook.Webhook
    loaded: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class ListenerSettings:
    """`passing`: the agent's socket for passing; `servers`: the machine's resolvers."""

    passing: Path
    servers: upstream.Servers
    counts: Counter[str] = field(default_factory=Counter)


def wanted(hooks: webhooks.Webhooks, resolvers: names.Names) -> dict[str, Role]:
    """The listeners that the sections ask for, by their ids at the agent. Pure."""
    found: dict[str, Role] = {listeners.webhook(id): WebhookRole(id) for id in hooks.clusters}
    for id, vpc in resolvers.vpcs.items():
        for subnet in vpc.resolvers:
            for protocol in listeners.PROTOCOLS:
                found[listeners.resolver(subnet, protocol)] = ResolverRole(id)
    return found


class Listeners:
    """`run` until cancelled; `close` then."""

    def __init__(self, known: sections.Sections, settings: ListenerSettings) -> None:
        self._known = known
        self._told = known.told(webhooks.SECTION, names.SECTION)
        self._settings = settings
        self._open: dict[str, _Open] = {}
        self._spoken: dict[str, _Spoken] = {}
        self._resolvers: dict[str, dns.Resolver] = {}
        self._agent: tuple[int, int] | None = None
        self._fresh: set[str] = set()
        """Those that are as the agent, as it is now, has them."""
        self._said = ""

    async def begin(self, within: float) -> None:
        """Answer on all sockets that the sections ask for, or on those that the agent passes in so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while True:
            if await self.step() or loop.time() >= until:
                return
            await asyncio.sleep(LOOK)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        ask_at = loop.time()
        while True:
            if self._told.take() or self._another_agent():
                self._give_up()
                ask_at = loop.time()
            if loop.time() >= ask_at:
                ask_at = loop.time() + (ANYWAY if await self.step() else AGAIN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._told.changed.wait()

    async def step(self) -> bool:
        """Ask the agent once and answer where it is new; whether all that is wanted is there."""
        asked = self._wanted()
        try:
            passed = await asyncio.to_thread(fetch, self._settings.passing)
        except (errors.Error, OSError) as error:
            self._say(f"the agent passes no sockets ({error}); what is here already is answered")
            return False
        for one, descriptor in passed:
            role = asked.get(one.id)
            inode = os.fstat(descriptor).st_ino
            there = self._open.get(one.id)
            if role is None or (there is not None and (there.inode, there.role) == (inode, role)):
                os.close(descriptor)
            else:
                with taken(descriptor) as given:
                    await self._answer(one, role, inode, given)
            if role is not None:
                self._fresh.add(one.id)
        missing = sorted(asked.keys() - self._fresh)
        self._say(f"the agent has no socket yet for {', '.join(missing[:5])}" if missing else "")
        return not missing

    async def close(self) -> None:
        """Take nothing more: the other porter does. What was taken is answered, if that goes soon."""
        gates = [one.gate for one in self._open.values() if one.gate is not None]
        await asyncio.gather(*(each.shut() for each in gates))
        for one in self._open.values():
            one.close()
        self._open.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                await asyncio.gather(*(each.empty.wait() for each in gates))
        for spoken in self._spoken.values():
            await spoken.hook.close()
        for resolver in self._resolvers.values():
            for task in resolver.tasks:
                task.cancel()

    def _another_agent(self) -> bool:
        """Whether the agent has come back since the last look: then nothing here is known to be its."""
        try:
            facts = self._settings.passing.stat()
        except OSError:
            return False
        seen = (facts.st_ino, facts.st_ctime_ns)
        if seen == self._agent:
            return False
        self._agent = seen
        self._fresh.clear()
        return True

    def _give_up(self) -> None:
        """Close what the sections do not name any more, and take new certificates."""
        asked = self._wanted()
        for id in [id for id, one in self._open.items() if asked.get(id) != one.role]:
            self._open.pop(id).close()
            self._fresh.discard(id)
        hooks = self._known.now(webhooks.SECTION)
        for cluster in self._spoken.keys() - hooks.clusters.keys():
            del self._spoken[cluster]
        for vpc in self._resolvers.keys() - self._known.now(names.SECTION).vpcs.keys():
            del self._resolvers[vpc]
        for id, spoken in self._spoken.items():
            try:
                _load(spoken, hooks.clusters[id])
            except OSError as error:
                log.error("the new certificate of %s cannot be used, the last one counts: %s", id, error)

    async def _answer(self, one: requests.Passed, role: Role, inode: int, given: socket.socket) -> None:
        """Begin to answer on a socket; what was answered on before it under the same id ends."""
        try:
            match role:
                case WebhookRole():
                    close, held = await self._review(role.cluster, given.dup())
                case ResolverRole():
                    resolver = self._resolver(role.vpc)
                    if one.protocol == "tcp":
                        close, held = await dns.streams(resolver, given.dup())
                    else:
                        close, held = await dns.datagrams(resolver, given.dup()), None
                case _:
                    assert_never(role)
        except (OSError, KeyError) as error:
            # One hook that cannot be opened is no reason to leave the others shut.
            log.error("%s cannot be answered: %s", one.id, error)
            return
        before = self._open.pop(one.id, None)
        self._open[one.id] = _Open(role, inode, close, held)
        if before is not None:
            if before.gate is not None:
                await before.gate.shut()
            before.close()

    async def _review(self, cluster: str, given: socket.socket) -> tuple[Callable[[], None], gate.Gate | None]:
        spoken = self._spoken.get(cluster)
        if spoken is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            hook = webhook.Webhook(lambda: self._found(cluster), self._settings.counts)
            spoken = self._spoken[cluster] = _Spoken(context, hook)
        _load(spoken, self._known.now(webhooks.SECTION).clusters[cluster])
        held = gate.Gate(given, _HELD, resets=True)
        server = await asyncio.get_running_loop().create_server(
            spoken.hook.protocol,
            sock=held,
            backlog=128,
            ssl=spoken.context,
            ssl_handshake_timeout=5.0,
        )
        return server.close, held

    def _wanted(self) -> dict[str, Role]:
        return wanted(self._known.now(webhooks.SECTION), self._known.now(names.SECTION))

    def _found(self, cluster: str) -> tokens.Known | None:
        known = self._known.now(webhooks.SECTION).clusters.get(cluster)
        if known is None:
            return None
        entries = self._known.now(access.SECTION).entries.get(cluster, {})
        return tokens.Known(known, entries, self._known.now(principals.SECTION).principals)

    def _resolver(self, vpc: str) -> dns.Resolver:
        def zone() -> dns_messages.VpcZone | None:
            known = self._known.now(names.SECTION).vpcs.get(vpc)
            return None if known is None else dns_messages.VpcZone(known.region, known.cidr)

        if vpc not in self._resolvers:
            self._resolvers[vpc] = dns.Resolver(dns.KnownNames(zone, self._settings.servers, self._settings.counts))
        return self._resolvers[vpc]

    def _say(self, said: str) -> None:
        if said and said != self._said:
            log.info(said)
        self._said = said


def fetch(passing: Path, process: str = listeners.PORTER) -> list[tuple[requests.Passed, int]]:
    """What the agent has for this process, each with its descriptor, which is the caller's to close. Blocks.

    Raises Failed for an answer that is not understood, OSError when there is none.
    """
    body, descriptors = b"", list[int]()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_DEADLINE)
            client.connect(str(passing))
            client.sendall(msgspec.json.encode(requests.Passing(process=process)) + b"\n")
            while True:
                data, some, _, _ = socket.recv_fds(client, 65536, 253)
                descriptors += some
                body += data
                if not data:
                    break
        listed = [one for line in body.splitlines() for one in _decoded(line)]
        if len(listed) != len(descriptors) or not body:
            raise errors.Failed(f"the agent named {len(listed)} sockets and passed {len(descriptors)}")
    except BaseException:
        _close(descriptors)
        raise
    return list(zip(listed, descriptors, strict=True))


def taken(descriptor: int) -> socket.socket:
    """A socket that other processes have, too. It is blocking at no moment, which is one for all of them: the copy that
    `dup` makes of a socket would set it so, and another porter would wait in `accept` for what somebody else has taken.
    """
    given = socket.socket(fileno=descriptor)
    given.setblocking(False)
    return given


def _decoded(line: bytes) -> list[requests.Passed]:
    try:
        return msgspec.json.decode(line, type=list[requests.Passed])
    except msgspec.DecodeError as error:
        raise errors.Failed(f"the agent's answer is not understood: {error}") from error


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _load(spoken: _Spoken, cluster: webhooks.Cluster) -> None:
    """Speak with this certificate from now on. Raises OSError (SSLError is one) for one that cannot be used."""
    pair = (cluster.certificate, cluster.key)
    if pair == spoken.loaded:
        return
    # The library reads files only; this one is in no folder.
    file = os.memfd_create("door", os.MFD_CLOEXEC)
    try:
        os.write(file, f"{cluster.certificate}\n{cluster.key}\n".encode())
        spoken.context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    spoken.loaded = pair
