"""`roadstead get-token`: a token for a cluster, made here and asked of nobody. kubectl runs it at every login.

Source: `aws eks get-token`; Kubernetes, "client-go credential plugins". A token is a presigned GetCallerIdentity that
names the cluster in a signed header; clusters take it for 15 minutes from its signing.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import urllib.parse
from collections.abc import Mapping

import click

from roadstead.cli import profile
from roadstead.cli.kubeconfig import owner
from roadstead.contract import logins
from roadstead.core import errors, terminal
from roadstead.wire import exchange, sigv4

_SIGNED = 60
"""Seconds of X-Amz-Expires, as `aws eks get-token` has it."""
_LIFE = dt.timedelta(minutes=14)
"""How long a client keeps a token: a minute less than clusters do."""
_APIS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


@click.command()
@click.option("--cluster-name", required=True, help="The cluster's name.")
@click.option("--region", help="The cluster's region; else that of the environment or the profile.")
@click.option("-p", "--profile", "profile_asked", help="An AWS profile.")
@click.option("--role-arn", help="A role to take first.")
@click.option("-o", "--output", type=click.Choice(["json"]), default="json", show_default=True)
def get_token(
    cluster_name: str, region: str | None, profile_asked: str | None, role_arn: str | None, output: str
) -> None:
    """Print a token for a cluster, as kubectl and other clients of Kubernetes read it."""
    assert output == "json"
    if role_arn:
        raise errors.Invalid("--role-arn is not built yet: log in as the user whose access key it is")
    environment = dict(os.environ)
    config, credentials = profile.files(environment, owner.owner(environment).home)
    access = profile.access(
        environment, profile.read(config), profile.read(credentials), profile=profile_asked, region_asked=region
    )
    now = dt.datetime.now(dt.UTC)
    terminal.out(json.dumps(credential(token(cluster_name, access, now), now, environment), indent=4))


def token(cluster: str, access: profile.ApiAccess, now: dt.datetime) -> str:
    """A token for the cluster of this name. It is signed for the region's STS wherever that may be."""
    url = urllib.parse.urlsplit(access.endpoints.get("sts") or access.endpoint)
    request = exchange.Request(
        "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", {"host": url.netloc, logins.CLUSTER_HEADER: cluster}
    )
    signed = sigv4.presign(request, access.credentials, access.region, "sts", now, expires=_SIGNED)
    whole = f"{url.scheme}://{url.netloc}{signed.target}"
    return logins.PREFIX + base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")


def credential(token: str, now: dt.datetime, environment: Mapping[str, str]) -> dict[str, object]:
    """The ExecCredential, of the version that the client asks for, v1beta1 when it does not say."""
    return {
        "kind": "ExecCredential",
        "apiVersion": _api(environment),
        "spec": {},
        "status": {"expirationTimestamp": f"{now + _LIFE:%Y-%m-%dT%H:%M:%SZ}", "token": token},
    }


def _api(environment: Mapping[str, str]) -> str:
    try:
        asked = json.loads(environment.get("KUBERNETES_EXEC_INFO") or "{}")["apiVersion"]
    except (ValueError, KeyError, TypeError):
        return _APIS[1]
    return asked if asked in _APIS else _APIS[1]
