"""One cluster's entries of a kubeconfig, named as eksctl names them. Pure.

Source: eksctl's pkg/utils/kubeconfig; Kubernetes, "Client authentication: exec credential plugins".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from roadstead.core import errors

Kind = Literal["clusters", "contexts", "users"]
KINDS: tuple[Kind, ...] = ("clusters", "contexts", "users")
SINGULAR: Mapping[Kind, str] = {"clusters": "cluster", "contexts": "context", "users": "user"}
API = "client.authentication.k8s.io/v1beta1"
ROOT = "iam-root-account"

_SERVER = re.compile(r"https://[0-9A-Za-z.:\[\]-]{1,300}(/[0-9A-Za-z._~/-]{0,300})?")
_AUTHORITY = re.compile(r"[0-9A-Za-z+/=]{1,131072}")
_CALLER = re.compile(r"arn:[!-~]{1,2048}")


@dataclass(frozen=True)
class ExecProgram:
    """What kubectl runs for a token."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KubeconfigEntry:
    """What is to be known of a cluster for kubectl. `server`: `https://ADDRESS:PORT`."""

    cluster: str
    region: str
    server: str
    authority: str
    """The certificate authority in PEM, base 64."""
    caller: str
    """The ARN of who will log in."""
    program: ExecProgram

    @property
    def cluster_name(self) -> str:
        return cluster_name(self.cluster, self.region)

    @property
    def context_name(self) -> str:
        """Of the context and of the user."""
        return f"{username(self.caller)}@{self.cluster_name}"

    def named(self) -> Mapping[Kind, str]:
        """By the lists of a kubeconfig the name of the entry in each."""
        return {"clusters": self.cluster_name, "contexts": self.context_name, "users": self.context_name}

    def bodies(self) -> Mapping[Kind, dict[str, Any]]:
        """By the lists of a kubeconfig what stands beside the name in each."""
        program: dict[str, Any] = {
            "apiVersion": API,
            "args": list(self.program.arguments),
            "command": self.program.command,
        }
        if self.program.environment:
            program["env"] = [{"name": name, "value": text} for name, text in self.program.environment.items()]
        program |= {"interactiveMode": "Never", "provideClusterInfo": False}
        return {
            "clusters": {"certificate-authority-data": self.authority, "server": self.server},
            "contexts": {"cluster": self.cluster_name, "user": self.context_name},
            "users": {"exec": program},
        }


def check(entry: KubeconfigEntry) -> None:
    """Raises Invalid for what no service should have answered: it would go into the caller's kubeconfig."""
    for what, text, form in (
        ("endpoint", entry.server, _SERVER),
        ("certificate authority", entry.authority, _AUTHORITY),
        ("caller", entry.caller, _CALLER),
    ):
        if not form.fullmatch(text):
            raise errors.Invalid(f"cluster {entry.cluster}: the service told a {what} of a form that there is not")


def cluster_name(cluster: str, region: str) -> str:
    """eksctl's: `shop.eu-central-1.eksctl.io`."""
    return f"{cluster}.{region}.eksctl.io"


def username(arn: str) -> str:
    """The last part of an ARN: the name of a user or of a session; root has none."""
    return arn.rpartition("/")[2] if "/" in arn else ROOT


def ours(program: Any, cluster: str) -> bool:
    """Whether a user's exec entry, as it stands in a kubeconfig, asks for tokens of this cluster from Roadstead."""
    if not isinstance(program, Mapping):
        return False
    words = [str(word) for word in program.get("args") or ()]
    marked = {
        str(one.get("name")): str(one.get("value")) for one in program.get("env") or () if isinstance(one, Mapping)
    }
    return cluster in words and (str(program.get("command", "")).rpartition("/")[2] == "roadstead" or MARK in marked)


MARK = "ROADSTEAD_ENDPOINT"
"""In the environment of a program that is not ours, so that its entry is known for one of ours."""
