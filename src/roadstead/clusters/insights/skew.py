"""Versions of nodes against the control plane's next one.

Source: Kubernetes, "Version Skew Policy": kubelet and kube-proxy are not newer than the API servers, and at most three
minors older.
"""

from __future__ import annotations

from collections.abc import Callable

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status

OLDER = 3
"""Minors."""


def kubelet(seen: facts.InCluster, around: facts.Around) -> finding.Finding:
    """Each node by its kubelet."""
    return _of(seen, around, "kubelet", lambda node: node.kubelet)


def proxy(seen: facts.InCluster, around: facts.Around) -> finding.Finding:
    """Each node by its kube-proxy, where that is known."""
    return _of(seen, around, "kube-proxy", lambda node: node.proxy)


def _of(
    seen: facts.InCluster, around: facts.Around, what: str, version: Callable[[facts.NodeVersion], str]
) -> finding.Finding:
    following = facts.following(around.version)
    resources = []
    for node in seen.nodes:
        status, reason = judge(what, version(node), around.version, following)
        resources.append(finding.ResourceFinding(status, reason, uri=f"/api/v1/nodes/{node.name}"))
    return finding.of_resources(
        resources,
        f"the {what} of every node may run with a control plane of {following}"
        if seen.nodes
        else "the cluster has no nodes",
        f"of {{}} nodes the {what} does not fit, or is not known",
    )


def judge(what: str, version: str, now: str, following: str) -> tuple[Status, str]:
    """Of one node. now, following: the control plane's minor, and the next one."""
    there, control, after = facts.minor(version), facts.minor(now), facts.minor(following)
    if there is None or control is None or after is None:
        return Status.UNKNOWN, f"the version of its {what} is not known" + (f": {version!r}" if version else "")
    if there > control:
        return Status.ERROR, f"{what} {version} is newer than the control plane, {now}"
    if there < (after[0], after[1] - OLDER):
        return Status.ERROR, f"{what} {version} is more than {OLDER} minors older than {following}"
    return Status.PASSING, f"{what} {version}"
