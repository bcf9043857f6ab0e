"""etcd: facts to a unit. Source of the flags: etcd 3.6, server/embed/config.go and server/features."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.clusters.components import facts
from roadstead.clusters.components.control import files
from roadstead.contract import layout
from roadstead.contract.messages import desired

UNIT = "etcd"
SEED = "seed.db"
"""The file with the snapshot that the first start begins with (engine.seeds)."""
_DATA = "data"
QUOTA = 8 * 1024**3
"""Bytes of the database: the most that etcd's authors suggest."""


def host(letter: str) -> str:
    """The host's name without the cluster's id."""
    return f"etcd-{letter}"


def unit(plane: facts.ControlPlane, letter: str, digests: facts.Digests) -> desired.Unit:
    """One member. It listens in the control-plane network and on loopback, for holders of etcd's own certificates.

    With a seed among its files it begins with that, and not with nothing.
    """
    member = next(each for each in plane.members if each.letter == letter)
    flags = _flags(plane, member)
    return desired.Unit(
        engine=plane.engines.etcd,
        component="etcd",
        flags=flags,
        environment=plane.share,
        files=files.files(digests, {}, {SEED: "nothing"}),
        folders=(_DATA,),
        first=_first(flags) if SEED in digests else None,
        # A linearized read: a member that has no leader is not ready.
        ready=desired.HttpsProbe(
            port=facts.ETCD_PORT, path="/health", ca="ca.pem", certificate="server.pem", key="server.key"
        ),
        group=f"{plane.id}.etcd",
        stop_timeout=10.0,
    )


def _first(flags: Mapping[str, str | tuple[str, ...]]) -> desired.First:
    """All members begin with the same data, and as one cluster of that name; none of them has to find the others."""
    same = ("name", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls")
    return desired.First(
        component="etcdutl",
        arguments=("snapshot", "restore", files.at(UNIT, SEED)),
        flags={name: str(flags[name]) for name in same},
        folder=_DATA,
    )


def _flags(plane: facts.ControlPlane, member: facts.Member) -> dict[str, str | tuple[str, ...]]:
    def peer(address: str) -> str:
        return f"https://{address}:{facts.PEER_PORT}"

    def client(address: str) -> str:
        return f"https://{address}:{facts.ETCD_PORT}"

    def file(name: str) -> str:
        return files.at(UNIT, name)

    return {
        "name": host(member.letter),
        "data-dir": f"{layout.state(UNIT)}/{_DATA}",
        "listen-client-urls": f"{client(member.etcd)},{client('127.0.0.1')}",
        "advertise-client-urls": client(member.etcd),
        "listen-peer-urls": peer(member.etcd),
        "initial-advertise-peer-urls": peer(member.etcd),
        "initial-cluster": ",".join(f"{host(each.letter)}={peer(each.etcd)}" for each in plane.members),
        "initial-cluster-token": plane.id,
        "initial-cluster-state": "new",
        "client-cert-auth": "true",
        "trusted-ca-file": file("ca.pem"),
        "cert-file": file("server.pem"),
        "key-file": file("server.key"),
        "peer-client-cert-auth": "true",
        "peer-trusted-ca-file": file("ca.pem"),
        "peer-cert-file": file("peer.pem"),
        "peer-key-file": file("peer.key"),
        # An API server's certificate is of the same authority, and no peer's.
        "peer-cert-allowed-cn": "etcd-peer",
        "tls-min-version": "TLS1.2",
        "enable-grpc-gateway": "false",
        # A dead leader is replaced within a second; with 6 hogs on 2 cores there was no false alarm. Twice as many
        # heartbeats would not shorten that, and be a fifth of what idle members cost.
        "heartbeat-interval": str(100 * plane.patience),
        "election-timeout": str(500 * plane.patience),
        "quota-backend-bytes": str(QUOTA),
        # Not the check before a member serves (InitialCorruptCheck, alpha): members that start side by side ask each
        # other then, none answers before its own check is over, and all wait 6 s, as after each start of the machine.
        "feature-gates": "CompactHashCheck=true",
        "compact-hash-check-time": "1m",
        "corrupt-check-time": "5m",
        "max-request-bytes": str(3 * 1024**2 // 2),
    }
