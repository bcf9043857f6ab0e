"""The bare floor: the same binaries started by a minimal script, all at once, with no flag that is not needed.

    python -m bench.floor        (as root; about a minute)

Three etcd, three API servers, each on its own etcd, one controller-manager and one scheduler, on loopback of a network
namespace of their own. Certificates and kubeconfigs are there before the clock starts, which favours the floor.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testkit import authorities, kube, waiting
from tests.live import conftest

from roadstead import engine
from roadstead.agent.links import namespaces

MEMBERS = (1, 2, 3)
API_PORT = 6443
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    """Seconds from the start of the first process."""

    first: float
    """Until the first API server is ready."""
    ready: float
    """Until all three are, and so all three etcd."""
    account: float
    """Until the namespace `default` has its service account: the controllers work."""


@dataclass
class Floor:
    """A bare control plane that runs."""

    folder: Path
    authority: authorities.Authority
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def api(self, member: int = 1) -> kube.Api:
        return kube.Api(address(member), API_PORT, self.authority.client("admin", self.folder, "system:masters"))

    def cpu(self) -> float:
        """Seconds that all of it has used."""
        return sum(_cpu(process.pid) for process in self.processes.values())


def address(member: int) -> str:
    return f"127.0.1.{member}"


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextlib.contextmanager
def namespace() -> Iterator[None]:
    """The calling thread in a network namespace of its own with loopback up."""
    path = conftest.machine_namespace(f"t-floor-{secrets.token_hex(3)}")
    namespaces.create(path)
    try:
        with namespaces.opened(path) as descriptor, namespaces.entered(descriptor):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
    finally:
        namespaces.delete(path)
        if not any(path.parent.iterdir()):
            namespaces.unshare_folder(path.parent)


@contextlib.contextmanager
def running() -> Iterator[tuple[Floor, Start]]:
    """The control plane from nothing to its first service account; it ends with the block."""
    with namespace(), tempfile.TemporaryDirectory(prefix="roadstead-floor-") as name:
        floor = Floor(Path(name), authorities.Authority("bench"))
        _files(floor)
        commands = _commands(floor.folder)
        try:
            began = time.monotonic()
            for process, command in commands.items():
                with (floor.folder / f"{process}.log").open("wb") as log:
                    floor.processes[process] = subprocess.Popen(
                        ["setpriv", "--pdeathsig", "KILL", *command],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
            yield floor, _waited(floor, began)
        finally:
            for one in floor.processes.values():
                one.kill()
            for one in floor.processes.values():
                one.wait(10)


def _waited(floor: Floor, began: float) -> Start:
    ready: dict[int, float] = {}

    def all_ready() -> bool:
        for member in MEMBERS:
            if member not in ready and kube.healthy(address(member), API_PORT):
                ready[member] = time.monotonic()
        return len(ready) == len(MEMBERS)

    api = floor.api()
    account: list[float] = []

    def has_account() -> bool:
        if not account and ready and api.get("/api/v1/namespaces/default/serviceaccounts/default"):
            account.append(time.monotonic())
        return bool(account)

    waiting.until("the bare control plane", lambda: all_ready() & has_account(), 120)
    return Start(min(ready.values()) - began, max(ready.values()) - began, account[0] - began)


def _files(floor: Floor) -> None:
    folder, authority = floor.folder, floor.authority
    serving, serving_key = authority.issue(
        "server", addresses=["127.0.0.1", "10.100.0.1", *(address(member) for member in MEMBERS)]
    )
    client, client_key = authority.issue("client", groups=["system:masters"])
    files = {
        "ca.pem": authority.pem,
        "ca.key": authority.key,
        "serving.pem": serving,
        "serving.key": serving_key,
        "client.pem": client,
        "client.key": client_key,
    }
    for user in ("system:kube-controller-manager", "system:kube-scheduler"):
        files[user.partition(":")[2]] = kubeconfig(authority, user)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def kubeconfig(authority: authorities.Authority, user: str, group: str = "", server: str = "") -> bytes:
    """Of a user by certificate, to the first API server of the floor, or to another."""
    certificate, key = authority.issue(user, groups=[group] if group else [])

    def coded(content: bytes) -> str:
        return base64.b64encode(content).decode()

    server = server or f"https://{address(1)}:{API_PORT}"
    cluster = {"server": server, "certificate-authority-data": coded(authority.pem)}
    who = {"client-certificate-data": coded(certificate), "client-key-data": coded(key)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": who}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    ).encode()


def _commands(at: Path) -> dict[str, list[str]]:
    """Every process with its words, in the order in which they are started."""
    programs = {**engine.get("etcd").components, **engine.get("1.37").components}
    flags = {f"etcd-{member}": _etcd(at, member) for member in MEMBERS}
    flags |= {f"kube-apiserver-{member}": _apiserver(at, member) for member in MEMBERS}
    flags |= {"kube-controller-manager": _controller_manager(at), "kube-scheduler": _scheduler(at)}
    return {
        name: [
            str(programs["etcd" if name.startswith("etcd") else name.rstrip("-123")]),
            *(f"--{flag}={value}" for flag, value in more.items()),
        ]
        for name, more in flags.items()
    }


def _etcd(at: Path, member: int) -> dict[str, str]:
    here = address(member)
    return {
        "name": f"etcd-{member}",
        "data-dir": f"{at}/etcd-{member}",
        "listen-client-urls": f"https://{here}:2379",
        "advertise-client-urls": f"https://{here}:2379",
        "listen-peer-urls": f"https://{here}:2380",
        "initial-advertise-peer-urls": f"https://{here}:2380",
        "initial-cluster": ",".join(f"etcd-{each}=https://{address(each)}:2380" for each in MEMBERS),
        "client-cert-auth": "true",
        "trusted-ca-file": f"{at}/ca.pem",
        "cert-file": f"{at}/serving.pem",
        "key-file": f"{at}/serving.key",
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": f"{at}/ca.pem",
        "peer-cert-file": f"{at}/serving.pem",
        "peer-key-file": f"{at}/serving.key",
    }


def _apiserver(at: Path, member: int) -> dict[str, str]:
    return {
        "etcd-servers": f"https://{address(member)}:2379",
        "etcd-cafile": f"{at}/ca.pem",
        "etcd-certfile": f"{at}/client.pem",
        "etcd-keyfile": f"{at}/client.key",
        "bind-address": address(member),
        # Of the documentation's own network (RFC 5737): loopback may not be advertised, and nobody uses it.
        "advertise-address": f"198.51.100.{member}",
        "secure-port": str(API_PORT),
        "client-ca-file": f"{at}/ca.pem",
        "tls-cert-file": f"{at}/serving.pem",
        "tls-private-key-file": f"{at}/serving.key",
        "kubelet-client-certificate": f"{at}/client.pem",
        "kubelet-client-key": f"{at}/client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-key-file": f"{at}/serving.key",
        "service-account-signing-key-file": f"{at}/serving.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": "10.100.0.0/16",
        "authorization-mode": "Node,RBAC",
        "enable-bootstrap-token-auth": "true",
        "allow-privileged": "true",
    }


def _controller_manager(at: Path) -> dict[str, str]:
    return {
        "kubeconfig": f"{at}/kube-controller-manager",
        "authentication-kubeconfig": f"{at}/kube-controller-manager",
        "authorization-kubeconfig": f"{at}/kube-controller-manager",
        "authentication-skip-lookup": "true",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": f"{at}/serving.key",
        "cluster-signing-cert-file": f"{at}/ca.pem",
        "cluster-signing-key-file": f"{at}/ca.key",
        "root-ca-file": f"{at}/ca.pem",
        "bind-address": "127.0.0.1",
    }


def _scheduler(at: Path) -> dict[str, str]:
    kubeconfig = f"{at}/kube-scheduler"
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "authentication-skip-lookup": "true",
        "bind-address": "127.0.0.1",
    }


def main() -> int:
    with running() as (floor, start):
        print(f"first {start.first:.2f} s, all ready {start.ready:.2f} s, service account {start.account:.2f} s")
        print(f"CPU seconds {floor.cpu():.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
