"""Who is who in a cluster: its authorities, and every key and certificate that its components start with.

What for: to make a cluster's trust once (`created`), to keep it as bytes (`written`, `read`: the store seals them), and
to give each unit its files. Who may call it: the provider and the controllers. It does no I/O and knows no store and no
agent; time comes from the caller. No certificate here is of the group that no policy can refuse: serve is the user
`roadstead:serve`, whom API servers know by this very certificate (`credentials`, `credential_id`).

    created(id, now) -> Trust      files(plane, trust, now), reissued(...), completed(...)  of a control plane's units
    written(trust), read(bytes)    admin, webhook, node_bootstrap, bootstrap_kubeconfig ...  of serve, porter and nodes
"""

from __future__ import annotations

from roadstead.clusters.components.control.files import secret
from roadstead.clusters.trust.authorities import Authority, Credential, credential_id
from roadstead.clusters.trust.guests import (
    WebhookIdentity,
    admin,
    bootstrap_kubeconfig,
    kube_proxy_kubeconfig,
    node_bootstrap,
    webhook,
)
from roadstead.clusters.trust.members import completed, credentials, files, reissued
from roadstead.clusters.trust.roots import KeyPair, Trust, created, read, written

__all__ = [
    "Authority",
    "Credential",
    "KeyPair",
    "Trust",
    "WebhookIdentity",
    "admin",
    "bootstrap_kubeconfig",
    "completed",
    "created",
    "credential_id",
    "credentials",
    "files",
    "kube_proxy_kubeconfig",
    "node_bootstrap",
    "read",
    "reissued",
    "secret",
    "webhook",
    "written",
]
