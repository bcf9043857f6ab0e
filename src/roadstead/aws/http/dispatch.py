"""One request to one answer. No sockets: bytes and facts come in, a response and what to write down go out.

The order of the walk is that of trust: who says it (an access key that there is), that they say it (the signature),
for where (service and region of the scope), what (the operation and its input), whether they may, and only then
anything is done, or looked up of what was done before.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from roadstead.aws import calls, faults, idempotency, paging, registry
from roadstead.aws.authorization import gate, requests
from roadstead.aws.http import logs
from roadstead.core import errors
from roadstead.identity import users
from roadstead.store import interface
from roadstead.wire import coding, exchange, refusals, server, services, sigv4, validate
from roadstead.wire.codes import choice, table

log = logging.getLogger(__name__)

GLOBAL = "aws-global"
GLOBAL_IN = "us-east-1"
WITHOUT_REGIONS = frozenset({"iam", "sts"})
_PATIENT = dt.timedelta(minutes=15)
RULES: Mapping[str, sigv4.Rules] = {
    "iam": sigv4.Rules(skew=_PATIENT),
    "ec2": sigv4.Rules(skew=_PATIENT),
    "sts": sigv4.Rules(skew=_PATIENT, presigned=_PATIENT),
}
"""Of services that bear a clock that is further off (EC2: its "Error codes", RequestExpired). STS gives presigned URLs
15 minutes whatever they ask for (aws-iam-authenticator, `presignedURLExpiration`)."""
MOST_KEYS = 512
"""Signing keys that are remembered: one a day, region and service of an access key."""
MOST_UNPACKED = 64 * 1024 * 1024
"""Bytes of all bodies that were unpacked and are worked on."""
_INSTEAD: Mapping[str, str] = {
    "cloudformation": " There are no stacks here yet: what eksctl makes by them, `roadstead create` makes by APIs "
    "of its parts, from the same ClusterConfig files.",
}
"""What is said of services of which hardly anything is built."""
MOST_SECONDS = 30.0
"""An operation only reads and writes the store: this is for one that hangs."""
_ACCESS_KEY = re.compile(r"[A-Z0-9]{16,32}")
"""Secrets have 40 characters."""


@dataclass
class Outcome:
    """What becomes of one request: filled in on its way, written down at its end."""

    request_id: str
    protocol: exchange.Protocol
    service: services.Service | None = None
    operation: str = "-"
    region: str = "-"
    caller: str = "-"
    code: str = ""
    key: str = "-"
    """The access key that is named, whether it is believed or not."""
    peer: str = "-"
    """The address that the request comes from."""
    response: exchange.Response = field(default_factory=lambda: exchange.Response(500))


@dataclass(frozen=True)
class DispatcherFacts:
    """What the dispatcher is built of."""

    registry: registry.Registry
    store: interface.Store
    regions: frozenset[str]
    cursors: bytes = field(repr=False)
    authorizer: requests.Authorizer
    secure: bool = False
    """Whether requests come over TLS, where a signature may leave out the body."""
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)


class Dispatcher:
    """The AWS API."""

    def __init__(self, facts: DispatcherFacts) -> None:
        self._facts = facts
        self._tokens = idempotency.Tokens()
        self._unpacked = 0
        self._keys: dict[tuple[str, str, sigv4.Scope], bytes] = {}

    async def admit(self, claim: sigv4.Claim) -> users.Known:
        """Who a request says that it is of; nothing of it is believed yet. Raises Refusal for who there is not."""
        known = await users.whose(self._facts.store, claim.access_key)
        if known is None or claim.token is not None:
            # Session tokens are of roles, which come later: one that is sent cannot be ours.
            raise refusals.Refusal("InvalidClientTokenId", "The security token included in the request is invalid.")
        return known

    async def answer(self, request: exchange.Request, peer: str = "-") -> Outcome:
        """The answer to a whole request from an address. Never raises but for cancellation."""
        outcome = Outcome(str(uuid.uuid4()), server.detect(request), peer=peer)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._walk(request, outcome)
        except refusals.Refusal as refusal:
            self._refuse(outcome, refusal.fault(outcome.protocol))
        except exchange.RequestRefused as refused:
            self._refuse(outcome, refused.fault)
        except Exception:
            # The one place where everything that may fail in an operation ends: logged whole, told in one sentence.
            log.exception("an operation failed", extra={logs.FIELDS: {"request_id": outcome.request_id}})
            self._refuse(outcome, _failed(outcome))
        _write_down(outcome, time.perf_counter() - started)
        return outcome

    def refused(
        self, request: exchange.Request, refusal: refusals.Refusal | exchange.RequestRefused, peer: str = "-"
    ) -> Outcome:
        """The answer to a request that is refused by its head alone."""
        outcome = Outcome(str(uuid.uuid4()), server.detect(request), peer=peer)
        with contextlib.suppress(refusals.Refusal):
            outcome.key = _shown(sigv4.read(request).access_key)
        fault = refusal.fault(outcome.protocol) if isinstance(refusal, refusals.Refusal) else refusal.fault
        self._refuse(outcome, fault)
        _write_down(outcome, 0.0)
        return outcome

    def _refuse(self, outcome: Outcome, fault: exchange.Fault) -> None:
        outcome.code = fault.code
        try:
            outcome.response = server.render_error(outcome.service, outcome.protocol, fault, outcome.request_id)
        except errors.Failed:
            log.exception("an error does not fit its model", extra={logs.FIELDS: {"code": fault.code}})
            bare = replace(fault, members={})
            outcome.response = server.render_error(outcome.service, outcome.protocol, bare, outcome.request_id)

    async def _walk(self, request: exchange.Request, outcome: Outcome) -> None:
        facts = self._facts
        try:
            claim = sigv4.read(request)
        except refusals.Refusal as refusal:
            if refusal.kind == "MissingAuthenticationToken":
                self._unsigned(request, outcome)
            raise
        outcome.key = _shown(claim.access_key)
        # The scope is not believed yet; it only tells in which words a refusal is understood.
        outcome.service = facts.registry.services.get(claim.scope.service)
        outcome.protocol = server.detect(request, outcome.service)
        known = await self.admit(claim)
        coding.check(outcome.protocol, request)
        now = facts.now()
        rules = replace(RULES.get(claim.scope.service, sigv4.RULES), unsigned_payload=facts.secure)
        sigv4.verify(request, claim, self._signing_key(known, claim.scope), now, rules)
        outcome.region, outcome.caller = _region(claim.scope), known.arn
        service = self._service(outcome, claim)
        plain = coding.plain(outcome.protocol, request)
        with self._room(outcome.protocol, 0 if plain is request else len(plain.body)):
            await self._done(plain, service, known, now, outcome)

    async def _done(
        self,
        request: exchange.Request,
        service: services.Service,
        known: users.Known,
        now: dt.datetime,
        outcome: Outcome,
    ) -> None:
        """What is asked, done and answered, of a caller who is known."""
        facts = self._facts
        found = server.match(service, request)
        outcome.protocol, outcome.operation = found.protocol, found.operation.name
        bound = facts.registry.find(service.name, found.operation.name)
        if bound is None:
            raise exchange.RequestRefused(faults.not_built(service, found.operation, _INSTEAD.get(service.name, "")))
        asked = server.parse_input(found, request)
        caller = requests.Caller(known.account, known.arn, known.user_id, known.access_key, tags=known.tags)
        call = calls.Call(
            service.name,
            found.operation.name,
            outcome.region,
            caller,
            outcome.request_id,
            now,
            facts.store,
            facts.authorizer,
            facts.registry.kinds,
        )
        output = await self._output(bound, call, asked)
        outcome.response = server.render_output(
            service, found.operation, found.protocol, dict(output), outcome.request_id
        )

    @contextlib.contextmanager
    def _room(self, protocol: exchange.Protocol, size: int) -> Iterator[None]:
        """Room for a body that was unpacked, for as long as it is worked on: the server counts what is sent."""
        if self._unpacked + size > MOST_UNPACKED:
            said = "More is being sent than there is room for when it is unpacked: try again."
            raise exchange.RequestRefused(table.unserved(protocol, "busy", said))
        self._unpacked += size
        try:
            yield
        finally:
            self._unpacked -= size

    def _unsigned(self, request: exchange.Request, outcome: Outcome) -> None:
        """Raises Refused for an operation that is called without a signature: none of these is built yet."""
        for service in self._facts.registry.services.values():
            if not service.unsigned:
                continue
            try:
                found = server.match(service, coding.plain(outcome.protocol, request))
            except exchange.RequestRefused:
                # It is none of this service, and that it has no signature is what is told of it.
                continue
            if found.operation.name in service.unsigned:
                outcome.service, outcome.operation, outcome.protocol = service, found.operation.name, found.protocol
                raise exchange.RequestRefused(
                    faults.not_built(service, found.operation, _INSTEAD.get(service.name, ""))
                )

    def _service(self, outcome: Outcome, claim: sigv4.Claim) -> services.Service:
        """The service that the request is for. Raises Refused for one that has no operations here."""
        if outcome.region not in self._facts.regions:
            raise refusals.Refusal("SignatureDoesNotMatch", "Credential should be scoped to a valid region.")
        if outcome.service is None:
            said = (
                f"Roadstead has no service {claim.scope.service[:100]!r}, for which this request is signed; it has "
                f"{', '.join(sorted(self._facts.registry.services))}."
            )
            raise exchange.RequestRefused(table.unserved(outcome.protocol, "no operation", said))
        return outcome.service

    def _signing_key(self, known: users.Known, scope: sigv4.Scope) -> bytes:
        # With the secret in it: a key that is made anew under the same id signs differently.
        name = (known.access_key, known.secret, scope)
        key = self._keys.get(name)
        if key is None:
            if len(self._keys) >= MOST_KEYS:
                self._keys.clear()
            key = self._keys[name] = sigv4.signing_key(known.secret, scope)
        return key

    async def _output(self, bound: registry.Bound, call: calls.Call, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the operation answers. Raises Refused for every error that a caller is told."""
        service, operation = bound.service, bound.operation
        if problems := validate.problems(operation.input, dict(asked)):
            raise exchange.RequestRefused(faults.invalid(service, operation, problems))
        try:
            await gate.check(bound.authorization, call, asked)
            window = None
            if bound.pages is not None:
                where = (call.account, call.region, call.service, call.operation)
                window, asked = paging.opened(
                    bound.pages, operation, where, asked, self._facts.cursors, service.protocol
                )
            output = await self._called(bound, call, asked)
            return output if window is None else paging.cut(window, output, self._facts.cursors)
        except paging.Foreign as error:
            raise exchange.RequestRefused(choice.fault(service, operation, "cursor", error.message)) from error
        except idempotency.Mismatch as error:
            raise exchange.RequestRefused(choice.fault(service, operation, "mismatch", error.message)) from error
        except errors.Error as error:
            fault = faults.fault(service, operation, error)
            if not faults.known(service, fault.code):
                raise errors.Failed(f"{service.name} has no error {fault.code}: {error.message}") from error
            if fault.status >= 500 and not isinstance(error, errors.Busy | calls.OperationRefused):
                raise
            raise exchange.RequestRefused(fault) from error

    async def _called(self, bound: registry.Bound, call: calls.Call, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        member = bound.operation.idempotency_token
        token = asked.get(member) if member is not None else None
        if not token:
            return await bound.handler(call, asked)
        without = {key: value for key, value in asked.items() if key != member}
        again = self._facts.registry.find(call.service, bound.notes.get("again", ""))
        return await self._tokens.once(
            idempotency.TokenRequest(call, token, without),
            lambda marked: bound.handler(marked, asked),
            None if again is None else lambda first: again.handler(first, without),
        )


def _region(scope: sigv4.Scope) -> str:
    """Where a request is for: SDKs name services without regions `aws-global`, which is us-east-1's."""
    return GLOBAL_IN if scope.region == GLOBAL and scope.service in WITHOUT_REGIONS else scope.region


def _failed(outcome: Outcome) -> exchange.Fault:
    if outcome.service is None:
        return table.unserved(outcome.protocol, "failed", "Roadstead failed. Its log tells why.")
    known = outcome.operation in outcome.service.operation_names
    return faults.internal(outcome.service, outcome.service.operation(outcome.operation) if known else None)


def _shown(access_key: str) -> str:
    """What may be written down: a secret that was sent in the place of its key may not."""
    return access_key if _ACCESS_KEY.fullmatch(access_key) else "malformed"


def _write_down(outcome: Outcome, seconds: float) -> None:
    log.info(
        "request",
        extra={
            logs.FIELDS: {
                "request_id": outcome.request_id,
                "service": outcome.service.name if outcome.service is not None else "-",
                "operation": outcome.operation,
                "region": outcome.region,
                "caller": outcome.caller,
                "key": outcome.key,
                "peer": outcome.peer,
                "status": outcome.response.status,
                "code": outcome.code,
                "ms": round(seconds * 1000, 3),
            }
        },
    )
