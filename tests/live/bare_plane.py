"""The smallest control plane: one etcd, one API server and one controller-manager on loopback, and its credentials."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import oid

from roadstead import engine
from roadstead.kube import connection

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def name(common: str, *groups: str) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(oid.NameOID.COMMON_NAME, common),
        ]
    )


def pem(key: Key) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


class Authority:
    """A CA for an hour."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name("test")
        self.certificate = self._signed(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, subject: x509.Name, *addresses: str) -> tuple[bytes, bytes]:
        """Certificate and key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        extension = x509.SubjectAlternativeName(names) if names else x509.BasicConstraints(ca=False, path_length=None)
        return self._signed(subject, key, extension).public_bytes(serialization.Encoding.PEM), pem(key)

    def _signed(self, subject: x509.Name, key: Key, extension: x509.ExtensionType) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(extension, critical=False)
            .sign(self.key, hashes.SHA256())
        )


@dataclass
class Plane:
    """One that runs. `stop` and `start` are of the API server."""

    server: str
    authority: Authority
    commands: Mapping[str, list[str]]
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]

    def credentials(self, user: str, *groups: str) -> connection.Credentials:
        certificate, key = self.authority.issue(name(user, *groups))
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


def _policy_file(folder: Path, _: Authority) -> Mapping[str, str]:
    """serve may do everything, with nobody to be asked."""
    rule = {"user": "roadstead:serve", "namespace": "*", "resource": "*", "apiGroup": "*", "nonResourcePath": "*"}
    policy = {"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": rule}
    (folder / "abac.jsonl").write_text(json.dumps(policy) + "\n")
    return {"authorization-mode": "Node,RBAC,ABAC", "authorization-policy-file": f"{folder}/abac.jsonl"}


@contextlib.contextmanager
def running(folder: Path, authorized: Callable[[Path, Authority], Mapping[str, str]] = _policy_file) -> Iterator[Plane]:
    """All three at work: the API server is well, and the default namespace has its service account.

    authorized: writes what decides who may do what, and gives the flags for it.
    """
    client, peer, secure = _ports(3)
    authority = Authority()
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


def _write_files(folder: Path, authority: Authority, server: str) -> None:
    serving, serving_key = authority.issue(name("kube-apiserver"), "127.0.0.1", "10.100.0.1")
    manager, manager_key = authority.issue(name("system:kube-controller-manager"))
    tokens = rsa.generate_private_key(public_exponent=65537, key_size=2048)
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
        "ca.key": pem(authority.key),
        "serving.pem": serving,
        "serving.key": serving_key,
        "manager.pem": manager,
        "manager.key": manager_key,
        "tokens.key": pem(tokens),
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
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{url} after {seconds:g} s") from error
            time.sleep(0.02)
