"""The secrets of a cluster that all others come from, and their form at rest."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from roadstead.clusters.trust import authorities

ENCRYPTION_BYTES = 32
"""Of a secretbox key. Source: EncryptionConfiguration of Kubernetes."""


@dataclass(frozen=True)
class KeyPair:
    """PEM, PKCS#8 and SubjectPublicKeyInfo."""

    private: bytes
    public: bytes


@dataclass(frozen=True, kw_only=True)
class Trust:
    """All of a cluster's roots of trust. Never leaves serve but for the single files that units need."""

    cluster_id: str
    etcd: authorities.Authority
    cluster: authorities.Authority
    front_proxy: authorities.Authority
    service_account: KeyPair
    """RSA 2048: tokens are signed RS256, which every consumer of OIDC tokens accepts."""
    encryption_key: bytes
    """What API servers encrypt Secrets in etcd with."""
    master: bytes
    """What single secrets (of nodes, of webhooks) are derived from."""


def created(cluster_id: str, now: dt.datetime) -> Trust:
    """New roots for a cluster."""
    signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = signing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Trust(
        cluster_id=cluster_id,
        etcd=authorities.authority(f"{cluster_id}-etcd", now),
        cluster=authorities.authority(f"{cluster_id}-kubernetes", now),
        front_proxy=authorities.authority(f"{cluster_id}-front-proxy", now),
        service_account=KeyPair(authorities.private_pem(signing), public),
        encryption_key=secrets.token_bytes(ENCRYPTION_BYTES),
        master=secrets.token_bytes(32),
    )


def written(trust: Trust) -> bytes:
    """The form at rest. Whoever keeps it seals it."""
    return msgspec.json.encode(trust)


def read(content: bytes) -> Trust:
    """What `written` gave. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(content, type=Trust)
