"""Whose a token `k8s-aws-v1.` is: a presigned request to STS, checked here and never sent.

Source: aws-iam-authenticator, "API Authorization from Outside a Cluster" and its verifier; SigV4 (wire.sigv4). STS is
not asked, so its host may be any: it is signed, and what counts is the signature by a key derived for STS, over the
header x-k8s-aws-id with the cluster's name, so that a token for one cluster is no good at another.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

from roadstead.contract import kubernetes, logins
from roadstead.contract.messages.sections import access, principals, webhooks
from roadstead.core import errors
from roadstead.wire import exchange, refusals, sigv4
from roadstead.wire.codec import rest

LONGEST = 8192
"""Characters of a token."""
LIFE = dt.timedelta(minutes=15)
"""From X-Amz-Date, whatever X-Amz-Expires says: clients keep tokens for 14 minutes, and sign them for 60 seconds or for
nothing that they say (Go's SDK), which is as good at STS."""

_ALLOWED = frozenset(
    (
        *("Action", "Version", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"),
        *("X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-SignedHeaders"),
    )
)
AHEAD = dt.timedelta(minutes=1)
"""That X-Amz-Date may be in the future, as clocks differ: what is made ahead of time lives no longer than that more."""
_RULES = sigv4.Rules(skew=AHEAD, presigned=LIFE)
_PORTS = {"http": ":80", "https": ":443"}


class TokenRefused(errors.Denied):
    """A token that lets nobody in. The sentence is short and has nothing of the token."""


@dataclass(frozen=True)
class TokenUser:
    """Who came in, as Kubernetes is told."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Known:
    """What tokens for a cluster are checked with."""

    cluster: webhooks.Cluster
    entries: Mapping[str, access.Entry]
    """Of the cluster, by the ARN of the principal."""
    principals: Mapping[str, principals.Principal]
    """By access key."""


def user(token: str, known: Known, now: dt.datetime) -> TokenUser:
    """Who shows a token at a cluster's webhook. Raises TokenRefused."""
    request = _request(token, known.cluster.name)
    try:
        claim = sigv4.read(request)
    except refusals.Refusal as error:
        raise TokenRefused(f"the token's signature is incomplete ({error.kind})") from error
    principal = _signer(request, claim, known, now)
    entry = known.entries.get(principal.arn)
    if entry is None or entry.principal_id != principal.id:
        raise TokenRefused(f"{principal.arn} has no access entry in cluster {known.cluster.name}")
    _check_names(entry)
    return TokenUser(
        name=entry.username,
        uid=f"aws-iam-authenticator:{principal.account}:{principal.id}",
        groups=(
            *entry.groups,
            *(kubernetes.policy_group(policy.name) for policy in entry.policies if not policy.namespaces),
        ),
        extra={
            "accessKeyId": (claim.access_key,),
            "arn": (principal.arn,),
            "canonicalArn": (principal.arn,),
            "principalId": (principal.id,),
            "sessionName": ("",),
        },
    )


def _check_names(entry: access.Entry) -> None:
    """No name that is not a customer's to give, whatever an earlier release took. Raises Refused."""
    for name in (entry.username, *entry.groups):
        for prefix in kubernetes.RESERVED:
            if name.lower().startswith(prefix):
                raise TokenRefused(f"the access entry has a name that begins with {prefix}, which is reserved")


def _request(token: str, id: str) -> exchange.Request:
    """The request that a token stands for, with the header that is signed and not in it. Raises Refused."""
    if len(token) > LONGEST:
        raise TokenRefused("the token is too long")
    if not token.startswith(logins.PREFIX):
        raise TokenRefused(f"the token does not begin with {logins.PREFIX}")
    text = token[len(logins.PREFIX) :]
    try:
        url = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except (binascii.Error, ValueError) as error:
        raise TokenRefused("the token is no URL in base64url") from error
    if any(character <= " " or character == "\x7f" for character in url):
        raise TokenRefused("the token's URL has characters that no URL has")
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise TokenRefused("the token's URL is none of STS")
    if "@" in parts.netloc or "#" in url:
        raise TokenRefused("the token's URL has parts that no request to STS has")
    _check_query(parts.query)
    # Signed is the Host header as clients send it: without a port that goes without saying.
    host = parts.netloc.removesuffix(_PORTS[parts.scheme]) if port is not None else parts.netloc
    return exchange.Request("GET", "/", parts.query, {"host": host, logins.CLUSTER_HEADER: id})


def _check_query(query: str) -> None:
    """GetCallerIdentity, and nothing besides its signature. Raises Refused."""
    try:
        sent = rest.parameters(query)
    except exchange.Malformed as error:
        raise TokenRefused("the token's URL has a damaged query") from error
    if sent.keys() - _ALLOWED or any(len(values) != 1 for values in sent.values()):
        raise TokenRefused("the token's URL has a parameter that is not expected, or one twice")
    if sent.get("Action") != ["GetCallerIdentity"] or sent.get("Version") != ["2011-06-15"]:
        raise TokenRefused("the token is for another action than GetCallerIdentity")


def _signer(request: exchange.Request, claim: sigv4.Claim, known: Known, now: dt.datetime) -> principals.Principal:
    """Whose key the token was signed with, for this cluster and not too long ago. Raises Refused."""
    if logins.CLUSTER_HEADER not in claim.signed_headers:
        raise TokenRefused(f"the token's signature is not over {logins.CLUSTER_HEADER}")
    if claim.expires is not None and claim.expires > LIFE.total_seconds():
        raise TokenRefused("the token's X-Amz-Expires is more than 900 seconds")
    if claim.scope.service != "sts":
        raise TokenRefused("the token is signed for another service than sts")
    principal = known.principals.get(claim.access_key)
    if principal is None or claim.token is not None:
        raise TokenRefused("the token is signed with an access key that is not known")
    key = principal.keys.get(claim.scope.date, {}).get(claim.scope.region)
    if key is None:
        raise TokenRefused("the token is signed for a day or a region that is not served")
    refused: refusals.Refusal | None = None
    for id in (known.cluster.name, known.cluster.arn):
        whole = exchange.Request("GET", request.path, request.query, {**request.headers, logins.CLUSTER_HEADER: id})
        try:
            sigv4.verify(whole, claim, key, now, _RULES)
        except refusals.Refusal as error:
            refused = error
        else:
            return principal
    assert refused is not None
    if refused.kind == "RequestExpired":
        raise TokenRefused("the token has expired, or is not valid yet") from refused
    raise TokenRefused("the token's signature does not match, or is for another cluster") from refused
