"""Who is who in a cluster: its authorities, and every key and certificate that its components start with.

What for: to make a cluster's trust once (`created`), to keep it as bytes (`written`, `read`: the store seals them), and
to give each unit its files. Who may call it: the hands and the embassy. It does no I/O and knows no store and no
agent; time comes from the caller. No certificate here is of the group that no policy can refuse: serve is the user
`roadstead:serve`, allowed by a policy file of the API servers.

    created(id, now) -> Trust      files(plane, trust, now), reissued(plane, trust, now)   of the control plane's units
    written(trust), read(bytes)    admin, doors, node_bootstrap, bootstrap_kubeconfig ...  of serve, porter and nodes
"""

from __future__ import annotations

from roadstead.clusters.components.control.files import secret
from roadstead.clusters.trust.authorities import Authority, Credential
from roadstead.clusters.trust.guests import (
    Doors,
    admin,
    bootstrap_kubeconfig,
    doors,
    kube_proxy_kubeconfig,
    node_bootstrap,
)
from roadstead.clusters.trust.members import files, reissued
from roadstead.clusters.trust.roots import KeyPair, Trust, created, read, written

__all__ = [
    "Authority",
    "Credential",
    "Doors",
    "KeyPair",
    "Trust",
    "admin",
    "bootstrap_kubeconfig",
    "created",
    "doors",
    "files",
    "kube_proxy_kubeconfig",
    "node_bootstrap",
    "read",
    "reissued",
    "secret",
    "written",
]
