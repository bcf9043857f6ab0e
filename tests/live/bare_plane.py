"""The smallest control plane: one etcd, one API server and one controller-manager on loopback, and its credentials."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from testkit import authorities, waiting

from roadstead import engine
from roadstead.kube import connection


@dataclass
class Plane:
    """One that runs. `stop` and `start` are of the API server."""

    server: str
    authority: authorities.Authority
    commands: Mapping[str, list[str]]
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]

    def credentials(self, user: str, *groups: str) -> connection.Credentials:
        certificate, key = self.authority.issue(user, groups=groups)
        return connection.Credentials(ca=self.authority.pem, certificate=certificate, key=key)

    def start(self, which: str) -> None:
        with (self.folder / f"{which}.log").open("ab") as out:
            # No process outlives a test run that is killed.
            command = ["setpriv", "--pdeathsig", "KILL", *self.commands[which]]
            self.processes[which] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def stop(self, which: str) -> None:
        process = self.processes.pop(which)
        process.kill()
        process.wait(10)


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _policy_file(folder: Path, _: authorities.Authority) -> Mapping[str, str]:
    """serve may do everything, with nobody to be asked."""
    rule = {"user": "roadstead:serve", "namespace": "*", "resource": "*", "apiGroup": "*", "nonResourcePath": "*"}
    policy = {"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": rule}
    (folder / "abac.jsonl").write_text(json.dumps(policy) + "\n")
    return {"authorization-mode": "Node,RBAC,ABAC", "authorization-policy-file": f"{folder}/abac.jsonl"}


@contextlib.contextmanager
def running(
    folder: Path, authorized: Callable[[Path, authorities.Authority], Mapping[str, str]] = _policy_file
) -> Iterator[Plane]:
    """All three at work: the API server is well, and the default namespace has its service account.

    authorized: writes what decides who may do what, and gives the flags for it.
    """
    client, peer, secure = _ports(3)
    authority = authorities.Authority()
    server = f"https://127.0.0.1:{secure}"
    _write_files(folder, authority, server)
    commands = _commands(folder, client, peer, secure)
    commands["kube-apiserver"] += [f"--{flag}={value}" for flag, value in authorized(folder, authority).items()]
    plane = Plane(server, authority, commands, folder, {})
    try:
        plane.start("etcd")
        _until_answers(f"http://127.0.0.1:{client}/health", 20)
        plane.start("kube-apiserver")
        anyone = connection.tls(plane.credentials("test", "system:masters"))
        # A controller-manager ends when it finds no API server that is well for 10 s, and nobody starts it again.
        _until_answers(f"{server}/healthz", 60, anyone)
        plane.start("kube-controller-manager")
        _until_answers(f"{server}/api/v1/namespaces/default/serviceaccounts/default", 60, anyone)
        yield plane
    finally:
        for which in list(plane.processes):
            plane.stop(which)


def _write_files(folder: Path, authority: authorities.Authority, server: str) -> None:
    serving, serving_key = authority.issue("kube-apiserver", addresses=("127.0.0.1", "10.100.0.1"))
    manager, manager_key = authority.issue("system:kube-controller-manager")
    tokens = ec.generate_private_key(ec.SECP256R1())
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": f"{folder}/ca.pem"}}],
        "users": [
            {
                "name": "u",
                "user": {"client-certificate": f"{folder}/manager.pem", "client-key": f"{folder}/manager.key"},
            }
        ],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    files = {
        "ca.pem": authority.pem,
        "ca.key": authority.key,
        "serving.pem": serving,
        "serving.key": serving_key,
        "manager.pem": manager,
        "manager.key": manager_key,
        "tokens.key": authorities.key_pem(tokens),
        "kubeconfig": json.dumps(kubeconfig).encode(),
    }
    for file, content in files.items():
        (folder / file).write_bytes(content)


def _commands(folder: Path, client: int, peer: int, secure: int) -> dict[str, list[str]]:
    etcd = engine.get("etcd").components
    kubernetes = engine.get("1.37").components
    flags = {
        "etcd": {
            "data-dir": f"{folder}/etcd",
            "listen-client-urls": f"http://127.0.0.1:{client}",
            "advertise-client-urls": f"http://127.0.0.1:{client}",
            "listen-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-cluster": f"default=http://127.0.0.1:{peer}",
            "unsafe-no-fsync": "true",
        },
        "kube-apiserver": {
            "etcd-servers": f"http://127.0.0.1:{client}",
            "bind-address": "127.0.0.1",
            "secure-port": str(secure),
            "advertise-address": "198.51.100.1",
            "endpoint-reconciler-type": "none",
            "client-ca-file": f"{folder}/ca.pem",
            "tls-cert-file": f"{folder}/serving.pem",
            "tls-private-key-file": f"{folder}/serving.key",
            "service-account-key-file": f"{folder}/tokens.key",
            "service-account-signing-key-file": f"{folder}/tokens.key",
            "service-account-issuer": "https://test",
            "service-cluster-ip-range": "10.100.0.0/16",
            "enable-bootstrap-token-auth": "true",
            "enable-admission-plugins": "NodeRestriction",
        },
        "kube-controller-manager": {
            "kubeconfig": f"{folder}/kubeconfig",
            "cluster-signing-cert-file": f"{folder}/ca.pem",
            "cluster-signing-key-file": f"{folder}/ca.key",
            "root-ca-file": f"{folder}/ca.pem",
            "service-account-private-key-file": f"{folder}/tokens.key",
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            "secure-port": "0",
            "kube-api-qps": "500",
            "kube-api-burst": "1000",
        },
    }
    programs = {**etcd, **kubernetes}
    return {
        which: [str(programs[which]), *(f"--{flag}={value}" for flag, value in more.items())]
        for which, more in flags.items()
    }


def _until_answers(url: str, seconds: float, context: ssl.SSLContext | None = None) -> None:
    """Until it answers with a status that is no error."""

    def answers() -> bool:
        with urllib.request.urlopen(url, timeout=5, context=context):
            return True

    waiting.until(url, answers, seconds, every=0.02)
