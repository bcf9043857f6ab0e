"""Tokens: those of the AWS CLI and of our own command let in; everything else is refused with a short sentence."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import urllib.parse
from collections.abc import Callable

import botocore.session  # type: ignore[import-untyped]
import msgspec
import pytest
from awscli.customizations.eks import get_token  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from roadstead.cli import profile
from roadstead.cli import token as command
from roadstead.contract import logins
from roadstead.contract.messages.sections import access, principals, webhooks
from roadstead.porter import tokens
from roadstead.wire import exchange, sigv4

ACCOUNT = "123456789012"
ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
KEYS = sigv4.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MINUTE = dt.timedelta(minutes=1)
QUERY = "Action=GetCallerIdentity&Version=2011-06-15"
REGIONS = ("eu-central-1", "us-east-1")


def known_at(now: dt.datetime) -> tokens.Known:
    dates = [f"{now + dt.timedelta(days=day):%Y%m%d}" for day in (-1, 0, 1)]
    keys = {date: {r: sigv4.signing_key(KEYS.secret, sigv4.Scope(date, r, "sts")) for r in REGIONS} for date in dates}
    entry = access.Entry(
        principal_id="AIDA1",
        username="ann",
        groups=("devs",),
        policies=(access.Policy(name="Admin"), access.Policy(name="Edit", namespaces=("x",))),
    )
    cluster = webhooks.Cluster(name="shop", account=ACCOUNT, region="eu-central-1", certificate="", key="", bearer="b")
    principal = principals.Principal(arn=ARN, id="AIDA1", account=ACCOUNT, keys=keys)
    return tokens.Known(cluster, {ARN: entry}, {KEYS.access_key: principal})


NOW = dt.datetime(2026, 3, 1, 23, 59, 30, tzinfo=dt.UTC)
KNOWN = known_at(NOW)


def made(
    url: str = "https://sts.eu-central-1.amazonaws.com/",
    query: str = QUERY,
    cluster: str = "shop",
    *,
    credentials: sigv4.Credentials = KEYS,
    region: str = "eu-central-1",
    service: str = "sts",
    expires: int | None = 60,
    now: dt.datetime = NOW,
) -> str:
    """A token as some client makes it."""
    parts = urllib.parse.urlsplit(url)
    headers = {"host": parts.netloc, **({logins.CLUSTER_HEADER: cluster} if cluster else {})}
    request = exchange.Request("GET", parts.path or "/", query, headers)
    signed = sigv4.presign(request, credentials, region, service, now, expires=expires)
    return encoded(f"{parts.scheme}://{parts.netloc}{parts.path}?{signed.query}")


def encoded(url: str) -> str:
    return logins.PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def decoded(token: str) -> str:
    text = token.removeprefix(logins.PREFIX)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def user(token: str, now: dt.datetime = NOW, known: tokens.Known = KNOWN) -> tokens.TokenUser:
    return tokens.user(token, known, now)


def refused(token: str, now: dt.datetime = NOW, known: tokens.Known = KNOWN) -> str:
    with pytest.raises(tokens.TokenRefused) as error:
        user(token, now, known)
    assert len(error.value.message) < 120
    assert KEYS.access_key not in error.value.message
    return error.value.message


def test_who_comes_in_is_told_as_eks_tells_it() -> None:
    assert user(made()) == tokens.TokenUser(
        name="ann",
        uid=f"aws-iam-authenticator:{ACCOUNT}:AIDA1",
        groups=("devs", "eks:access-policy:Admin"),
        extra={
            "accessKeyId": (KEYS.access_key,),
            "arn": (ARN,),
            "canonicalArn": (ARN,),
            "principalId": ("AIDA1",),
            "sessionName": ("",),
        },
    )


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "http://127.0.0.1:4566",
        "https://localhost",
        "http://localhost:80",
        "https://sts.amazonaws.com:443/",
        "https://[::1]:4566",
    ],
)
def test_tokens_of_the_aws_cli_let_in_whatever_sts_they_name(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, region: str
) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", KEYS.access_key),
        ("AWS_SECRET_ACCESS_KEY", KEYS.secret),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(name, value)
    now = dt.datetime.now(dt.UTC)
    client = get_token.STSClientFactory(botocore.session.Session()).get_sts_client(region_name=region)
    token = get_token.TokenGenerator(client).get_token("shop")
    assert user(token, now, known_at(now)).name == "ann"
    assert "another cluster" in refused(get_token.TokenGenerator(client).get_token("other"), now, known_at(now))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "https://roadstead.example"])
def test_tokens_of_our_own_command_let_in(endpoint: str) -> None:
    access = profile.ApiAccess("eu-central-1", endpoint, KEYS)
    assert user(command.token("shop", access, NOW)).name == "ann"
    whole = command.credential("t", NOW, {"KUBERNETES_EXEC_INFO": '{"apiVersion": "client.authentication.k8s.io/v1"}'})
    assert whole["apiVersion"] == "client.authentication.k8s.io/v1"
    assert whole["status"] == {"expirationTimestamp": "2026-03-02T00:13:30Z", "token": "t"}
    for other in ("", "[]", "{", '{"apiVersion": "v9"}'):
        made = command.credential("t", NOW, {"KUBERNETES_EXEC_INFO": other})
        assert made["apiVersion"] == "client.authentication.k8s.io/v1beta1"


def test_the_cluster_may_be_named_by_its_arn() -> None:
    assert user(made(cluster=f"arn:aws:eks:eu-central-1:{ACCOUNT}:cluster/shop")).name == "ann"


@pytest.mark.parametrize("expires", [60, 0, 900, None])
def test_a_token_lives_for_fifteen_minutes_also_over_midnight(expires: int | None) -> None:
    """Whatever it says: Go's SDK presigns GetCallerIdentity without X-Amz-Expires."""
    token = made(expires=expires)
    assert ("X-Amz-Expires" in decoded(token)) == (expires is not None)
    assert user(token, NOW + 15 * MINUTE).name == "ann"
    assert "expired" in refused(token, NOW + 15 * MINUTE + dt.timedelta(seconds=1))
    assert user(token, NOW - MINUTE).name == "ann"
    assert "not valid yet" in refused(token, NOW - MINUTE - dt.timedelta(seconds=1))


STRANGER = sigv4.Credentials("AKIDOTHER", KEYS.secret)
FORGER = sigv4.Credentials(KEYS.access_key, "guessed")
SESSION = sigv4.Credentials(KEYS.access_key, KEYS.secret, "session")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(cluster="other"), "for another cluster"),
        (lambda: made(cluster=""), "not over x-k8s-aws-id"),
        (lambda: made(cluster=f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/shop"), "for another cluster"),
        (lambda: made(credentials=STRANGER), "not known"),
        (lambda: made(credentials=FORGER), "does not match"),
        (lambda: made(credentials=SESSION), "not known"),
        (lambda: made(region="mars-1"), "a day or a region"),
        (lambda: made(now=NOW - dt.timedelta(days=2)), "a day or a region"),
        (lambda: made(service="eks"), "another service"),
        (lambda: made(expires=901), "more than 900"),
        (lambda: made(query="Action=GetSessionToken&Version=2011-06-15"), "another action"),
        (lambda: made(query="Action=GetCallerIdentity&Version=2012-01-01"), "another action"),
        (lambda: made(query=f"{QUERY}&Version=2011-06-15"), "one twice"),
        (lambda: made(query=f"{QUERY}&Extra=1"), "not expected"),
        (lambda: made("https://sts.amazonaws.com/path"), "none of STS"),
        (lambda: made("ftp://sts.amazonaws.com/"), "none of STS"),
        (lambda: made("https://a@sts.amazonaws.com/"), "no request to STS"),
        (lambda: encoded(decoded(made()) + "#x"), "no request to STS"),
        (lambda: encoded("https://sts.amazonaws.com\n/?" + QUERY), "no URL has"),
        (lambda: encoded("https://[sts/?" + QUERY), "no URL"),
        (lambda: encoded("https://sts.amazonaws.com:99999999/?" + QUERY), "no URL"),
        (lambda: encoded("https://sts.amazonaws.com/?" + QUERY), "incomplete"),
        (lambda: encoded("https://sts.ämazonaws.com/?" + QUERY), "no URL"),
        (lambda: made()[:-3], ""),
        (lambda: made() + "!", "no URL"),
        (lambda: made().replace(".", ". "), "no URL"),
        (lambda: made().removeprefix("k8s-"), "does not begin"),
        (lambda: "", "does not begin"),
        (lambda: logins.PREFIX + "a" * tokens.LONGEST, "too long"),
    ],
)
def test_every_other_token_is_refused(make: Callable[[], str], said: str) -> None:
    assert said in refused(make())


def test_who_has_no_entry_does_not_come_in_nor_another_of_the_same_name() -> None:
    assert "no access entry" in refused(made(), known=dataclasses.replace(KNOWN, entries={}))
    again = msgspec.structs.replace(KNOWN.principals[KEYS.access_key], id="AIDA2")
    assert "no access entry" in refused(made(), known=dataclasses.replace(KNOWN, principals={KEYS.access_key: again}))


@pytest.mark.parametrize(
    "names",
    [
        {"username": "roadstead:serve"},
        {"username": "system:admin"},
        {"groups": ("devs", "Roadstead:x")},
        {"groups": ("eks:access-policy:AmazonEKSClusterAdminPolicy",)},
    ],
)
def test_names_that_an_earlier_release_took_let_nobody_in(names: dict[str, object]) -> None:
    entry = msgspec.structs.replace(KNOWN.entries[ARN], **names)
    assert "is reserved" in refused(made(), known=dataclasses.replace(KNOWN, entries={ARN: entry}))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_garbage_is_refused_and_never_anything_else(text: str) -> None:
    for token in (text, logins.PREFIX + text, encoded(text.encode("utf-8", "replace").decode())):
        refused(token)


@given(st.data())
def test_no_single_changed_character_lets_anybody_in(data: st.DataObject) -> None:
    url = decoded(made())
    at = data.draw(st.integers(0, len(url) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda one: one != url[at]))
    changed = encoded(url[:at] + other + url[at + 1 :])
    if urllib.parse.unquote(decoded(changed)) == urllib.parse.unquote(url):
        return
    scheme = decoded(changed).partition("://")[0].lower()
    if scheme in ("http", "https") and at < url.index("://"):
        # What is not signed does not count: how STS would have been reached.
        return
    refused(changed)
