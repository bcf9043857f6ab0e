"""Kubeconfigs of components, as JSON, which is YAML. Source: client-go, tools/clientcmd/api/v1."""

from __future__ import annotations

import base64
import json

from roadstead.clusters.trust import authorities


def of_certificate(server: str, credential: authorities.Credential) -> bytes:
    """For a client that shows a certificate."""
    user = {
        "client-certificate-data": _base64(credential.certificate),
        "client-key-data": _base64(credential.key),
    }
    return _kubeconfig(server, credential.authority, user)


def of_token(server: str, authority: bytes, token: str) -> bytes:
    """For a client that shows a bearer token."""
    return _kubeconfig(server, authority, {"token": token})


def _kubeconfig(server: str, authority: bytes, user: dict[str, str]) -> bytes:
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "context", "context": {"cluster": "cluster", "user": "user"}}],
        "current-context": "context",
    }
    return json.dumps(document, indent=1).encode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
