"""`python -m roadstead.engine.seeds.main KUBE-APISERVER ETCD ETCDCTL FILE`: makes a seed in the working directory.

A program of its own, so that all that it starts ends with who asked for it (`engine.process`). etcd listens on sockets
in the working directory, which is for its owner alone: nobody else on the machine can put anything into a seed. The
API server listens on loopback, and knows nobody.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from roadstead.core import errors, terminal

KEPT = (
    "/registry/apiregistration.k8s.io/apiservices/",
    "/registry/clusterrolebindings/",
    "/registry/clusterroles/",
    "/registry/flowschemas/",
    "/registry/priorityclasses/",
    "/registry/prioritylevelconfigurations/",
    "/registry/rolebindings/",
    "/registry/roles/",
)
"""What an API server makes of its own, the same in every cluster of its release and flags."""

_READY = 60.0
"""Seconds for etcd and the API server to become ready."""
_PAUSE = 0.1
"""Between two looks at a server that starts: neither tells anyone."""
_AT_ONCE = 100
"""Keys in one transaction; etcd takes 128."""
_KEY = "service-account.key"


def main(apiserver: str, etcd: str, etcdctl: str, file: str) -> None:
    """Raises Failed when a server ends or is not ready in time, after its last words, or when etcdctl fails."""
    here = Path.cwd()
    endpoint = f"unix://{here}/etcd"
    (here / _KEY).touch(mode=0o600)
    (here / _KEY).write_bytes(_key())
    with running(etcd_command(etcd, here, endpoint), "etcd") as storing:
        _until(lambda: _ctl(etcdctl, endpoint, "endpoint", "health") is not None, "etcd", storing)
        port = free_port()
        with running(apiserver_command(apiserver, here, endpoint, port), "kube-apiserver") as serving:
            _until(lambda: ready(port), "kube-apiserver", serving)
        _reduce(etcdctl, endpoint)
        _must(etcdctl, endpoint, "snapshot", "save", file)


def etcd_command(program: str, here: Path, endpoint: str) -> list[str]:
    """One member without peers, on a socket in `here`; without fsync, as nothing is lost with it but the work."""
    return [
        program,
        f"--data-dir={here}/data",
        f"--listen-client-urls={endpoint}",
        f"--listen-peer-urls=unix://{here}/peer",
        # Told to nobody, but they must have a port.
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=default=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
    ]


def apiserver_command(program: str, here: Path, endpoint: str, port: int) -> list[str]:
    """With the flags of clusters that decide which objects there are: the rest does not matter."""
    return [
        program,
        f"--etcd-servers={endpoint}",
        "--bind-address=127.0.0.1",
        # Loopback may not be advertised; of the documentation's own network (RFC 5737), and deleted afterwards.
        "--advertise-address=198.51.100.1",
        f"--secure-port={port}",
        f"--cert-dir={here}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={here}/{_KEY}",
        f"--service-account-signing-key-file={here}/{_KEY}",
        "--service-cluster-ip-range=10.100.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--profiling=false",
    ]


@contextlib.contextmanager
def running(command: list[str], name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Ends with the block. What it says goes to a file of its name."""
    with Path(f"{name}.log").open("wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def ready(port: int) -> bool:
    """Its own certificate is made as it starts, so there is none to compare with; nothing is told to it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    ask = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    try:
        ask.request("GET", "/readyz")
        return ask.getresponse().status == 200
    except OSError:
        return False
    finally:
        ask.close()


def others(keys: list[str]) -> list[str]:
    """The keys that are no part of a seed. Pure."""
    return [key for key in keys if not key.startswith(KEPT)]


def transaction(keys: list[str]) -> str:
    """A transaction that deletes these keys, as `etcdctl txn` reads it: comparisons, then what to do. Pure."""
    return "\n" + "".join(f"del {json.dumps(key)}\n" for key in keys) + "\n\n"


def free_port() -> int:
    """One that is free now; somebody else may take it meanwhile."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _reduce(etcdctl: str, endpoint: str) -> None:
    """To what is kept, without history and without leases."""
    keys = _must(etcdctl, endpoint, "get", "", "--prefix", "--keys-only").split()
    going = others(keys)
    if len(going) == len(keys):
        raise errors.Failed(f"the API server made none of the objects that a seed is for: {', '.join(keys[:5])}")
    for start in range(0, len(going), _AT_ONCE):
        _must(etcdctl, endpoint, "txn", given=transaction(going[start : start + _AT_ONCE]))
    for lease in json.loads(_must(etcdctl, endpoint, "lease", "list", "--write-out=json")).get("leases") or ():
        _must(etcdctl, endpoint, "lease", "revoke", f"{lease['id']:x}")
    left = others(_must(etcdctl, endpoint, "get", "", "--prefix", "--keys-only").split())
    if left:
        raise errors.Failed(f"what is no part of a seed was not deleted: {', '.join(left[:5])}")
    status = json.loads(_must(etcdctl, endpoint, "endpoint", "status", "--write-out=json"))
    _must(etcdctl, endpoint, "compact", "--physical", str(status[0]["Status"]["header"]["revision"]))
    _must(etcdctl, endpoint, "defrag")
    terminal.out(f"{len(keys) - len(going)} of {len(keys)} objects are kept")


def _must(etcdctl: str, endpoint: str, *words: str, given: str = "") -> str:
    answer = _ctl(etcdctl, endpoint, *words, given=given)
    if answer is None:
        raise errors.Failed(f"etcdctl {' '.join(words)} failed")
    return answer


def _ctl(etcdctl: str, endpoint: str, *words: str, given: str = "") -> str | None:
    """Its output; None when it failed."""
    command = [etcdctl, f"--endpoints={endpoint}", "--command-timeout=5s", *words]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout if done.returncode == 0 else None


def _until(what: Callable[[], bool], name: str, child: subprocess.Popen[bytes]) -> None:
    """Raises Failed with its last words when it ended, or was not ready in time."""
    deadline = time.monotonic() + _READY
    while not what():
        ended, late = child.poll() is not None, time.monotonic() > deadline
        if ended or late:
            terminal.out(Path(f"{name}.log").read_text(errors="replace").strip()[-4000:])
            how = f"ended with exit code {child.returncode}" if ended else f"was not ready within {_READY:.0f} s"
            raise errors.Failed(f"{name} {how}: see what it said before this line")
        time.sleep(_PAUSE)
    terminal.out(f"{name} is ready")


def _key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except errors.Error as error:
        sys.exit(error.message)
