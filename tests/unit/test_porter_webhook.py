"""Token reviews, as API servers send them; and which sockets the sections ask for."""

from __future__ import annotations

import json
import os
import socket

import msgspec
import pytest
from tests.unit import test_porter_tokens as made

from roadstead.contract.messages.sections import names, webhooks
from roadstead.porter import listeners, webhook


def reviewed(token: str, version: str = "v1") -> tuple[bool, dict[str, object]]:
    whole = {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "metadata": {"creationTimestamp": None},
        "spec": {"token": token, "audiences": ["https://kubernetes.default.svc"]},
        "status": {"user": {}},
    }
    asked = msgspec.json.decode(json.dumps(whole).encode(), type=webhook.TokenReview)
    good, answer = webhook.answered(asked, made.KNOWN, made.NOW)
    return good, json.loads(msgspec.json.encode(answer))


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_review_is_answered_in_the_version_that_asked(version: str) -> None:
    good, answer = reviewed(made.made(), version)
    assert good
    assert answer == {
        "apiVersion": f"authentication.k8s.io/{version}",
        "kind": "TokenReview",
        "status": {
            "authenticated": True,
            "user": {
                "username": "ann",
                "uid": f"aws-iam-authenticator:{made.ACCOUNT}:AIDA1",
                "groups": ["devs", "eks:access-policy:Admin"],
                "extra": {
                    "accessKeyId": [made.KEYS.access_key],
                    "arn": [made.ARN],
                    "canonicalArn": [made.ARN],
                    "principalId": ["AIDA1"],
                    "sessionName": [""],
                },
            },
        },
    }


@pytest.mark.parametrize("token", ["", "eyJhbGciOi.J9.x", made.made(cluster="other")])
def test_who_does_not_come_in_is_told_why_without_the_token(token: str) -> None:
    good, answer = reviewed(token)
    assert not good
    status = answer["status"]
    assert isinstance(status, dict)
    assert status["authenticated"] is False
    assert status["error"]
    assert not token or token not in str(status)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"apiVersion": "authentication.k8s.io/v2", "kind": "TokenReview"}']
)
def test_what_is_no_review(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=webhook.TokenReview)


def test_sections_ask_for_a_webhook_for_each_cluster_and_two_sockets_for_each_subnet() -> None:
    vpc = names.Vpc(region="eu-central-1", cidr="10.0.0.0/16", resolvers={"subnet-1": "10.0.0.2"})
    hooks = webhooks.Webhooks(format=1, revision=1, clusters={"c-1": made.KNOWN.cluster})
    assert listeners.wanted(hooks, names.Names(format=1, revision=1, vpcs={"vpc-1": vpc})) == {
        "c-1.doors": listeners.WebhookRole("c-1"),
        "subnet-1.dns-udp": listeners.ResolverRole("vpc-1"),
        "subnet-1.dns-tcp": listeners.ResolverRole("vpc-1"),
    }


def test_a_socket_that_others_have_too_is_blocking_at_no_moment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        with listeners.taken(os.dup(other.fileno())) as given, given.dup() as copy:
            # One flag for all who have it: what it is here it is there.
            assert not os.get_blocking(other.fileno())
            assert copy.gettimeout() == 0
