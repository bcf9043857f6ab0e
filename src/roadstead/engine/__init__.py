"""Engines: the binaries of releases of Kubernetes, etcd, containerd, CoreDNS, Envoy; and images made of them.

What for: to have a release on this machine, whole and verified, and to say how it was verified. Who may call it:
`machine` (the `roadstead engine` commands) and whoever starts clusters. It never talks to the agent or to AWS, and
never installs anything outside its cache.

    get(spec) -> Installed         find(spec) -> Installed | None
    catalog    what there is       settings   places and limits         images   OCI archives, bit by bit the same
"""

from __future__ import annotations

from roadstead.engine.install import Choice, Installed, find, get
from roadstead.engine.progress import Progress

__all__ = ["Choice", "Installed", "Progress", "find", "get"]
