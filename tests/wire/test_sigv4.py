"""Signatures: AWS's own examples, botocore's signer in both directions, and everything that must be refused."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire import peer

from roadstead.wire import exchange, refusals, server, sigv4

NOW = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
KEYS = sigv4.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SCOPE = sigv4.Scope("20150830", "us-east-1", "iam")
MINUTE = dt.timedelta(minutes=1)


def signed(**changes: object) -> exchange.Request:
    headers = {"host": "iam.amazonaws.com", "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    plain = exchange.Request("GET", "/", "Action=ListUsers&Version=2010-05-08", headers)
    return sigv4.sign(replace(plain, **changes), KEYS, "us-east-1", "iam", NOW)  # type: ignore[arg-type]


def check(request: exchange.Request, now: dt.datetime = NOW, rules: sigv4.Rules = sigv4.RULES) -> sigv4.Claim:
    claim = sigv4.read(request)
    sigv4.verify(request, claim, sigv4.signing_key(KEYS.secret, claim.scope), now, rules)
    return claim


def refused(request: exchange.Request, now: dt.datetime = NOW, rules: sigv4.Rules = sigv4.RULES) -> str:
    with pytest.raises(refusals.Refusal) as error:
        check(request, now, rules)
    return error.value.kind


def test_the_signing_key_of_the_documentation() -> None:
    scope = sigv4.Scope("20120215", "us-east-1", "iam")
    expected = "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    assert sigv4.signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope).hex() == expected


def test_the_request_of_the_documentation() -> None:
    request = signed()
    canonical = sigv4.canonical_request(request, sigv4.read(request).signed_headers, sigv4._EMPTY)
    assert canonical.startswith("GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form")
    assert request.headers["authorization"].endswith(
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    assert check(request).access_key == "AKIDEXAMPLE"


@pytest.mark.parametrize(
    ("method", "path", "query", "signature"),
    [
        ("GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ("GET", "/", "Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("GET", "/./example/..//", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ],
)
def test_vectors_of_the_test_suite(method: str, path: str, query: str, signature: str) -> None:
    request = exchange.Request(method, path, query, {"host": "example.amazonaws.com"})
    request = sigv4.sign(request, KEYS, "us-east-1", "service", NOW)
    assert request.headers["authorization"].endswith(f"Signature={signature}")
    check(request)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "//clusters", "ListClusters"),
        ("GET", "/clusters/./a", "DescribeCluster"),
        ("GET", "/./clusters//a", "DescribeCluster"),
        ("DELETE", "/clusters/a/node-groups/../../b", "DeleteCluster"),
        ("GET", "/tags/arn%3Aaws%3Aeks/..", None),
        ("GET", "/clusters/a/../..", None),
    ],
)
def test_a_path_leads_where_its_signature_says(method: str, path: str, operation: str | None) -> None:
    """Whoever sees a signed request could otherwise send another one by the same signature."""
    eks, request = peer.ours("eks"), exchange.Request(method, path)
    straight = exchange.Request(method, exchange.normalized(path))
    assert sigv4.canonical_request(request, (), "") == sigv4.canonical_request(straight, (), "")
    if operation is not None:
        assert server.match(eks, request) == server.match(eks, straight)
        assert server.match(eks, request).operation.name == operation
        return
    faults = []
    for each in (request, straight):
        with pytest.raises(exchange.RequestRefused) as error:
            server.match(eks, each)
        faults.append(error.value.fault)
    assert faults[0] == faults[1]


# Text of URLs: what an SDK encodes, and paths with names that hold slashes, dots and signs.
names = st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=1, max_size=12)
segments = st.one_of(names, st.sampled_from(["arn:aws:eks:x:1:cluster/a b", "..", ".", "a%2Fb", "~", "ä"]))
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(urllib.parse.quote(p, safe="~") for p in parts))
# What a signature in a URL brings itself is there once: hypothesis finds such names in our sources.
own_names = names.filter(lambda name: not name.startswith("X-Amz-"))
queries = st.lists(st.tuples(own_names, st.text(st.characters(codec="utf-8"), max_size=8)), max_size=4)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=10)
headers = st.dictionaries(
    st.sampled_from(["content-type", "x-amz-target", "x-k8s-aws-id", "accept"]),
    st.lists(header_values, min_size=1, max_size=3).map("  ".join),
)
tokens = st.one_of(st.none(), st.just("token/with+signs=="))
bodies = st.binary(max_size=40)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE"])


@settings(max_examples=400, deadline=None)
@given(methods, paths, queries, headers, bodies, tokens)
def test_what_botocore_signs_is_verified_and_the_same_as_ours(
    method: str, path: str, query: list[tuple[str, str]], sent: dict[str, str], body: bytes, token: str | None
) -> None:
    raw_query = urllib.parse.urlencode(query, quote_via=urllib.parse.quote, safe="-._~")
    plain = exchange.Request(method, path, raw_query, {**sent, "host": "host.example:4566"}, body)
    theirs = peer.sign(plain, replace(KEYS, token=token), "eu-central-1", "eks", NOW, None)
    assert check(theirs).token == token
    ours = sigv4.sign(plain, replace(KEYS, token=token), "eu-central-1", "eks", NOW)
    assert ours.headers == theirs.headers


@settings(max_examples=300, deadline=None)
@given(paths, queries, st.dictionaries(st.just("x-k8s-aws-id"), header_values), tokens)
def test_urls_that_botocore_presigns_are_verified(
    path: str, query: list[tuple[str, str]], sent: dict[str, str], token: str | None
) -> None:
    raw_query = urllib.parse.urlencode(dict(query), quote_via=urllib.parse.quote, safe="-._~")
    plain = exchange.Request("GET", path, raw_query, {**sent, "host": "host.example:4566"})
    theirs = peer.sign(plain, replace(KEYS, token=token), "eu-central-1", "eks", NOW, 60)
    claim = check(theirs)
    assert (claim.token, claim.expires) == (token, 60)
    assert refused(theirs, NOW + 2 * MINUTE) == "RequestExpired"
    ours = sigv4.presign(plain, replace(KEYS, token=token), "eu-central-1", "eks", NOW, expires=60)
    assert check(ours).signature == claim.signature


def test_a_token_of_eks_lives_fifteen_minutes_whatever_it_says() -> None:
    plain = exchange.Request(
        "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", {"host": "sts.x", "x-k8s-aws-id": "one"}
    )
    url = sigv4.presign(plain, KEYS, "us-east-1", "sts", NOW, expires=60)
    rules = sigv4.Rules(presigned=15 * MINUTE)
    check(url, NOW + 14 * MINUTE, rules)
    assert refused(url, NOW + 16 * MINUTE, rules) == "RequestExpired"
    assert refused(url, NOW + 14 * MINUTE) == "RequestExpired"
    assert refused(replace(url, headers={**url.headers, "x-k8s-aws-id": "two"})) == "SignatureDoesNotMatch"


def test_a_url_that_does_not_say_how_long_it_lives_lives_fifteen_minutes() -> None:
    plain = exchange.Request("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", {"host": "sts.x"})
    url = sigv4.presign(plain, KEYS, "us-east-1", "sts", NOW, expires=None)
    assert check(url, NOW + 15 * MINUTE).expires is None
    assert refused(url, NOW + 15 * MINUTE + dt.timedelta(seconds=1)) == "RequestExpired"
    assert refused(url, NOW - 6 * MINUTE) == "RequestExpired"
    # It is signed that it says nothing.
    assert refused(replace(url, query=f"{url.query}&X-Amz-Expires=60")) == "SignatureDoesNotMatch"
    for wrong in ("", "-1", "+60", "6.0", "60&X-Amz-Expires=60", "²", "604801", "9" * 5000):
        assert refused(replace(url, query=f"{url.query}&X-Amz-Expires={wrong}")) == "IncompleteSignature"


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "POST"},
        {"path": "/other"},
        {"query": "Action=DeleteUser&Version=2010-05-08"},
        {"query": "Action=ListUsers&Version=2010-05-08&Extra=1"},
        {"body": b"x"},
    ],
)
def test_nothing_that_is_signed_can_be_changed(changed: dict[str, object]) -> None:
    assert refused(replace(signed(), **changed)) == "SignatureDoesNotMatch"  # type: ignore[arg-type]


def with_headers(**changes: str | None) -> exchange.Request:
    request = signed()
    merged = {**request.headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return replace(request, headers={name: value for name, value in merged.items() if value is not None})


def test_headers_that_decide_must_be_signed() -> None:
    assert refused(with_headers(x_amz_target="Other.DeleteAll")) == "SignatureDoesNotMatch"
    assert refused(with_headers(host="other")) == "SignatureDoesNotMatch"
    assert refused(with_headers(x_amz_security_token="t")) == "SignatureDoesNotMatch"
    assert refused(with_headers(x_amz_date="20150830T123601Z")) == "SignatureDoesNotMatch"
    assert refused(with_headers(content_type=None)) == "SignatureDoesNotMatch"
    check(with_headers(user_agent="whatever", x_amzn_trace_id="1"))


def wilfully(names: list[str], scope: sigv4.Scope = SCOPE) -> exchange.Request:
    """A request that is signed rightly, over those headers and with that scope, whether or not that is allowed."""
    plain = exchange.Request("GET", "/", "", {"host": "h", "x-amz-date": "20150830T123600Z"})
    canonical = sigv4.canonical_request(plain, names, sigv4._EMPTY)
    signature = sigv4._signature(sigv4.signing_key(KEYS.secret, scope), "20150830T123600Z", scope, canonical)
    said = f"{sigv4.ALGORITHM} Credential=AKIDEXAMPLE/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return replace(plain, headers={**plain.headers, "authorization": said})


def test_a_right_signature_is_not_enough() -> None:
    check(wilfully(["host", "x-amz-date"]))
    assert refused(wilfully(["x-amz-date"])) == "SignatureDoesNotMatch"
    assert refused(wilfully(["host", "x-absent", "x-amz-date"])) == "SignatureDoesNotMatch"
    assert refused(wilfully(["x-amz-date", "host"])) == "IncompleteSignature"
    yesterday = replace(SCOPE, date="20150829")
    assert refused(wilfully(["host", "x-amz-date"], yesterday)) == "SignatureDoesNotMatch"
    plain = exchange.Request("GET", "/", "", {"host": "h"})
    week = sigv4.LONGEST_PRESIGNED
    check(sigv4.presign(plain, KEYS, "us-east-1", "iam", NOW, expires=week), NOW + dt.timedelta(days=6))
    assert refused(sigv4.presign(plain, KEYS, "us-east-1", "iam", NOW, expires=week + 1)) == "IncompleteSignature"


def test_another_key_day_region_or_service_is_refused() -> None:
    request = signed()
    claim = sigv4.read(request)
    other = sigv4.signing_key("another", claim.scope)
    with pytest.raises(refusals.Refusal):
        sigv4.verify(request, claim, other, NOW)
    for field, value in (("date", "20150831"), ("region", "eu-central-1"), ("service", "sts")):
        key = sigv4.signing_key(KEYS.secret, replace(claim.scope, **{field: value}))
        with pytest.raises(refusals.Refusal):
            sigv4.verify(request, claim, key, NOW)
    sigv4.check_scope(claim, services={"iam"}, regions={"us-east-1"})
    for services, regions in (({"sts"}, {"us-east-1"}), ({"iam"}, {"eu-central-1"})):
        with pytest.raises(refusals.Refusal) as error:
            sigv4.check_scope(claim, services=services, regions=regions)
        assert error.value.kind == "SignatureDoesNotMatch"


def test_the_clock_may_be_five_minutes_off() -> None:
    for minutes in (-5, 0, 5):
        check(signed(), NOW + minutes * MINUTE)
    for minutes in (-6, 6):
        assert refused(signed(), NOW + minutes * MINUTE) == "RequestExpired"
        check(signed(), NOW + minutes * MINUTE, sigv4.Rules(skew=15 * MINUTE))


def test_an_unsigned_payload_only_where_it_is_allowed() -> None:
    headers = {"host": "h", "x-amz-content-sha256": sigv4.UNSIGNED_PAYLOAD}
    request = signed(headers=headers, method="POST", body=b"anything")
    assert refused(request) == "SignatureDoesNotMatch"
    check(request, rules=sigv4.Rules(unsigned_payload=True))
    check(replace(request, body=b"other"), rules=sigv4.Rules(unsigned_payload=True))


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "MissingAuthenticationToken"),
        ("", "MissingAuthenticationToken"),
        ("Bearer abc", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host", "IncompleteSignature"),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00", "IncompleteSignature"),
        (
            "AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host;x-amz-date, Signature=zz",
            "IncompleteSignature",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential=a/20150831/r/s/aws4_request, SignedHeaders=host, Signature={'0' * 64}",
            "SignatureDoesNotMatch",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws5, SignedHeaders=host, Signature={'0' * 64}",
            "SignatureDoesNotMatch",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host, Signature={'0' * 64}",
            "SignatureDoesNotMatch",
        ),
    ],
)
def test_what_is_not_a_signature(header: str | None, kind: str) -> None:
    assert refused(with_headers(authorization=header)) == kind


def test_every_kind_has_words_in_every_protocol() -> None:
    refusal = refusals.Refusal("InvalidClientTokenId", "The security token included in the request is invalid.")
    assert refusal.fault("rest-json").code == "UnrecognizedClientException"
    assert refusal.fault("query").code == "InvalidClientTokenId"
    assert refusal.fault("ec2").status == 401


anything = st.text(max_size=60)


@settings(max_examples=500, deadline=None)
@given(
    method=anything,
    path=anything.map("/".__add__),
    query=st.one_of(anything, st.just("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=9")),
    authorization=st.one_of(
        anything,
        anything.map(lambda t: f"AWS4-HMAC-SHA256 Credential=a/20150830/r/{t}/aws4_request, SignedHeaders=host"),
        st.tuples(anything, anything).map(
            lambda t: (
                f"AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request,SignedHeaders={t[0]};host;x-amz-date,"
                f"Signature={'a' * 64}{t[1]}"
            )
        ),
    ),
    date=st.one_of(anything, st.just("20150830T123600Z"), st.just("Sun, 30 Aug 2015 12:36:00 GMT")),
    payload=st.one_of(anything, st.just("UNSIGNED-PAYLOAD")),
)
def test_only_refusals_come_out(
    method: str, path: str, query: str, authorization: str, date: str, payload: str
) -> None:
    headers = {"host": "h\udcff", "authorization": authorization, "x-amz-date": date, "x-amz-content-sha256": payload}
    for names in (headers, {"host": "h", "date": date, "authorization": authorization}, {"host": "h"}):
        refused(exchange.Request(method, path, query, names))
