"""AWS Signature Version 4: read, verify, sign; by header and by presigned URL.

Source: IAM User Guide, "Create a signed AWS API request". All services but S3: the path is encoded once more than it
stands on the wire, and normalized. A verifier needs no secret: `verify` takes the signing key, which is derived from
the secret for one day, region and service, so that those who must check signatures can be given no more than that.

    claim = read(request)              what the request says of itself; nothing of it is believed yet
    key = signing_key(secret, claim.scope)   by whoever knows `claim.access_key`, or a key derived before
    verify(request, claim, key, now)   in constant time; or refusals.Refusal
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, replace

from roadstead.core import errors
from roadstead.wire import exchange, refusals
from roadstead.wire.codec import rest, times

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
LONGEST_PRESIGNED = 7 * 86_400
"""Seconds: the longest X-Amz-Expires."""
PRESIGNED = dt.timedelta(minutes=15)
"""How long a URL lives that has no X-Amz-Expires, as those of Go's SDK: as long as STS gives to all of them."""

_STAMP = "%Y%m%dT%H%M%SZ"
_EMPTY = hashlib.sha256(b"").hexdigest()
_AUTHORIZATION = re.compile(rf"{ALGORITHM}[ \t]+(.*)", re.DOTALL)
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_STAMPED = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_EXPIRES = re.compile(r"[0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signing key is good for. `date` is yyyymmdd."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs. `token`: of a session, None for the keys of a user."""

    access_key: str
    secret: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its signature."""

    access_key: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    stamp: str
    """As signed, `20260101T000000Z`."""
    time: dt.datetime
    token: str | None
    expires: int | None
    """Seconds a presigned URL asks to live; None where it asks for nothing, and for a signature by header."""
    presigned: bool = False
    """Whether the signature is in the query."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How strict a verifier is."""

    skew: dt.timedelta = dt.timedelta(minutes=5)
    """How far a signature's time may be off, either way; AWS allows some services 15 minutes."""
    presigned: dt.timedelta | None = None
    """How long presigned URLs live whatever they ask for: STS gives them 15 minutes."""
    unsigned_payload: bool = False
    """Whether a body may be left out of the signature: to be allowed over TLS only."""


RULES = Rules()


def signing_key(secret: str, scope: Scope) -> bytes:
    """The key of one day, region and service. The secret cannot be computed from it."""
    key = f"AWS4{secret}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def read(request: exchange.Request) -> Claim:
    """What a request says of its signature. Raises Refusal when it says nothing, or not all."""
    if header := request.headers.get("authorization"):
        return _read_header(request, header)
    if "X-Amz-Signature=" in request.query or "X-Amz-Algorithm=" in request.query:
        return _read_presigned(request)
    raise refusals.Refusal("MissingAuthenticationToken", "Request is missing Authentication Token")


def _read_header(request: exchange.Request, header: str) -> Claim:
    found = _AUTHORIZATION.fullmatch(header.strip())
    if found is None:
        raise refusals.Refusal("IncompleteSignature", f"The Authorization header must begin with {ALGORITHM}.")
    parts: dict[str, str] = {}
    for part in found[1].split(","):
        name, _, value = part.strip().partition("=")
        if name in parts:
            raise refusals.Refusal("IncompleteSignature", f"Authorization header has {name[:40]!r} more than once.")
        parts[name] = value
    if missing := [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)]:
        said = " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        raise refusals.Refusal("IncompleteSignature", said)
    name = "x-amz-date" if "x-amz-date" in request.headers else "date"
    if name not in request.headers:
        raise refusals.Refusal("IncompleteSignature", "The request must have an 'X-Amz-Date' or a 'Date' header.")
    claim = _claim(parts["Credential"], parts["SignedHeaders"], parts["Signature"], _stamp(request.headers[name]))
    _check_headers(request, claim, name)
    return replace(claim, token=request.headers.get("x-amz-security-token"))


def _read_presigned(request: exchange.Request) -> Claim:
    try:
        sent = rest.parameters(request.query)
    except exchange.Malformed as error:
        raise refusals.Refusal("IncompleteSignature", error.message) from error
    parts: dict[str, str] = {}
    for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"):
        values = sent.get(f"X-Amz-{name}", [])
        if name == "Expires" and not values:
            continue
        if len(values) != 1 or not values[0]:
            raise refusals.Refusal("IncompleteSignature", f"A presigned URL requires one 'X-Amz-{name}'.")
        parts[name] = values[0]
    expires = parts.get("Expires")
    if parts["Algorithm"] != ALGORITHM:
        raise refusals.Refusal("IncompleteSignature", f"X-Amz-Algorithm must be {ALGORITHM}.")
    if expires is not None and not (_EXPIRES.fullmatch(expires) and int(expires) <= LONGEST_PRESIGNED):
        raise refusals.Refusal("IncompleteSignature", f"X-Amz-Expires must be from 0 to {LONGEST_PRESIGNED} seconds.")
    if not _STAMPED.fullmatch(parts["Date"]):
        raise refusals.Refusal("IncompleteSignature", "X-Amz-Date must be of the form 20260101T000000Z.")
    claim = _claim(parts["Credential"], parts["SignedHeaders"], parts["Signature"], _stamp(parts["Date"]))
    _check_headers(request, claim, None)
    token = sent.get("X-Amz-Security-Token", [request.headers.get("x-amz-security-token")])
    if len(token) != 1:
        raise refusals.Refusal("IncompleteSignature", "A presigned URL has at most one 'X-Amz-Security-Token'.")
    return replace(claim, token=token[0], expires=None if expires is None else int(expires), presigned=True)


def _stamp(text: str) -> dt.datetime:
    try:
        stamp = text.strip()
        if _STAMPED.fullmatch(stamp):
            # By hand: strptime is a tenth of the whole check.
            day = int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8])
            return dt.datetime(*day, int(stamp[9:11]), int(stamp[11:13]), int(stamp[13:15]), tzinfo=dt.UTC)
        return times.from_text(text, "rfc822")
    except (ValueError, exchange.Malformed) as error:
        raise refusals.Refusal("IncompleteSignature", "Date must be in ISO-8601 'basic format' or RFC 822.") from error


def _claim(credential: str, signed: str, signature: str, moment: dt.datetime) -> Claim:
    # An access key may hold slashes nowhere; region and service neither.
    parts = credential.split("/")
    if len(parts) != 5 or not all(parts) or not credential.isascii():
        raise refusals.Refusal(
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
        )
    access_key, date, region, service, end = parts
    stamp = moment.strftime(_STAMP)
    if end != "aws4_request":
        raise refusals.Refusal("SignatureDoesNotMatch", "Credential must be scoped to the terminator 'aws4_request'.")
    if date != stamp[:8]:
        raise refusals.Refusal("SignatureDoesNotMatch", "Date in Credential scope is not that of the request.")
    if not _SIGNATURE.fullmatch(signature):
        raise refusals.Refusal("IncompleteSignature", "The signature must be 64 hexadecimal digits in lower case.")
    return Claim(
        access_key=access_key,
        scope=Scope(date, region, service),
        signed_headers=tuple(signed.split(";")),
        signature=signature,
        stamp=stamp,
        time=moment,
        token=None,
        expires=None,
    )


def _check_headers(request: exchange.Request, claim: Claim, date_header: str | None) -> None:
    """What decides where a request goes and what it asks must be signed: Host, the date, every X-Amz-*."""
    signed = set(claim.signed_headers)
    if list(claim.signed_headers) != sorted(signed):
        raise refusals.Refusal("IncompleteSignature", "SignedHeaders must be sorted and name each header once.")
    needed = {"host"} | {name for name in request.headers if name.startswith("x-amz-")}
    if date_header is not None:
        needed.add(date_header)
    if unsigned := sorted(needed - signed):
        raise refusals.Refusal(
            "SignatureDoesNotMatch", f"There were headers present in the request which were not signed: {unsigned}"
        )
    if absent := sorted(signed - set(request.headers)):
        raise refusals.Refusal("SignatureDoesNotMatch", f"SignedHeaders names headers that were not sent: {absent}")


def check_scope(claim: Claim, *, services: Iterable[str], regions: Iterable[str]) -> None:
    """Refuse a signature that was made for other services or regions than these."""
    if claim.scope.service not in services:
        raise refusals.Refusal("SignatureDoesNotMatch", "Credential should be scoped to correct service.")
    if claim.scope.region not in regions:
        raise refusals.Refusal("SignatureDoesNotMatch", "Credential should be scoped to a valid region.")


def verify(request: exchange.Request, claim: Claim, key: bytes, now: dt.datetime, rules: Rules = RULES) -> None:
    """Raises Refusal unless the request was signed with that key, and at a time that is good now."""
    _check_time(claim, now, rules)
    payload = _payload_hash(request, rules)
    canonical = canonical_request(request, claim.signed_headers, payload)
    expected = _signature(key, claim.stamp, claim.scope, canonical)
    if not hmac.compare_digest(expected, claim.signature):
        raise refusals.Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _check_time(claim: Claim, now: dt.datetime, rules: Rules) -> None:
    lives = rules.skew
    if claim.presigned:
        asked = PRESIGNED if claim.expires is None else dt.timedelta(seconds=claim.expires)
        lives = asked if rules.presigned is None else rules.presigned
    at = f"{now.astimezone(dt.UTC):{_STAMP}}"
    if now - claim.time > lives:
        raise refusals.Refusal("RequestExpired", f"Signature expired: {claim.stamp} is more than {lives} before {at}")
    if claim.time - now > rules.skew:
        raise refusals.Refusal("RequestExpired", f"Signature not yet current: {claim.stamp} is still later than {at}")


def _payload_hash(request: exchange.Request, rules: Rules) -> str:
    said = request.headers.get("x-amz-content-sha256")
    if said == UNSIGNED_PAYLOAD and rules.unsigned_payload:
        return said
    actual = hashlib.sha256(request.body).hexdigest() if request.body else _EMPTY
    if said is not None and not hmac.compare_digest(said.encode("utf-8", "surrogateescape"), actual.encode()):
        why = (
            "leaves out the body, which is taken over TLS only"
            if said == UNSIGNED_PAYLOAD
            else "does not match the body"
        )
        raise refusals.Refusal("SignatureDoesNotMatch", f"The 'x-amz-content-sha256' header {why}.")
    return actual


def canonical_request(request: exchange.Request, signed_headers: Iterable[str], payload_hash: str) -> str:
    """The text that is hashed for the signature: "Create a canonical request" in the IAM user guide."""
    signed = list(signed_headers)
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed)
    path = urllib.parse.quote(exchange.normalized(request.path), safe="/-._~", errors="surrogateescape")
    return "\n".join(
        (request.method.upper(), path, _canonical_query(request.query), headers, ";".join(signed), payload_hash)
    )


def _canonical_query(query: str) -> str:
    """Sorted and encoded in one way. What is signed is what `rest.parameters` reads: there `+` is a space, too."""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if name != "X-Amz-Signature":
            pairs.append((_reencoded(name), _reencoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _reencoded(text: str) -> str:
    return urllib.parse.quote(
        urllib.parse.unquote_to_bytes(text.replace("+", "%20").encode("utf-8", "surrogateescape")), safe="-._~"
    )


def _signature(key: bytes, stamp: str, scope: Scope, canonical: str) -> str:
    hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashed}"
    return hmac.digest(key, text.encode(), "sha256").hex()


def sign(
    request: exchange.Request, credentials: Credentials, region: str, service: str, now: dt.datetime
) -> exchange.Request:
    """The request with an Authorization header. It must have its Host; every header it has is signed."""
    stamp = now.astimezone(dt.UTC).strftime(_STAMP)
    scope = Scope(stamp[:8], region, service)
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    headers["x-amz-date"] = stamp
    if credentials.token is not None:
        headers["x-amz-security-token"] = credentials.token
    bare = replace(request, headers=headers)
    names = _signable(bare)
    payload = _payload_hash(bare, Rules(unsigned_payload=True))
    key = signing_key(credentials.secret, scope)
    signature = _signature(key, stamp, scope, canonical_request(bare, names, payload))
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return replace(request, headers=headers)


def presign(
    request: exchange.Request,
    credentials: Credentials,
    region: str,
    service: str,
    now: dt.datetime,
    *,
    expires: int | None,
) -> exchange.Request:
    """The request with its signature in the query, good for `expires` seconds if it says so. It must have its Host."""
    stamp = now.astimezone(dt.UTC).strftime(_STAMP)
    scope = Scope(stamp[:8], region, service)
    names = _signable(request)
    added = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": stamp,
        **({} if expires is None else {"X-Amz-Expires": str(expires)}),
        "X-Amz-SignedHeaders": ";".join(names),
    }
    if credentials.token is not None:
        added["X-Amz-Security-Token"] = credentials.token
    query = urllib.parse.urlencode(added, quote_via=urllib.parse.quote, safe="-._~")
    bare = replace(request, query=f"{request.query}&{query}" if request.query else query)
    payload = _payload_hash(bare, Rules(unsigned_payload=True))
    key = signing_key(credentials.secret, scope)
    signature = _signature(key, stamp, scope, canonical_request(bare, names, payload))
    return replace(bare, query=f"{bare.query}&X-Amz-Signature={signature}")


_NEVER_SIGNED = frozenset(
    ("authorization", "connection", "content-length", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id")
)


def _signable(request: exchange.Request) -> list[str]:
    if "host" not in request.headers:
        raise errors.Failed("a request is signed with its Host header, which this one lacks")
    return sorted(name for name in request.headers if name not in _NEVER_SIGNED)
