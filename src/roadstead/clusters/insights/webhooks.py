"""Webhooks that fail closed: when nobody answers for them, what they would have looked at cannot be written."""

from __future__ import annotations

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status


def find(seen: facts.InCluster, _: facts.Around) -> finding.Finding:
    """Each webhook that fails closed."""
    resources = []
    for webhook in seen.webhooks:
        status, reason = judge(webhook)
        uri = f"/apis/admissionregistration.k8s.io/v1/{webhook.plural}/{webhook.configuration}"
        resources.append(finding.ResourceFinding(status, reason, uri=uri))
    return finding.of_resources(
        resources,
        "every webhook that fails closed has somebody who answers, and none stands before kube-system"
        if resources
        else "no webhook fails closed",
        "webhooks that fail closed and may keep the cluster from being written to: {}",
    )


def judge(webhook: facts.Webhook) -> tuple[Status, str]:
    """Of one webhook."""
    if webhook.missing:
        return Status.ERROR, f"webhook {webhook.name} fails closed, and there is no Service {webhook.service}"
    if webhook.service and webhook.endpoints == 0:
        return (
            Status.ERROR,
            f"webhook {webhook.name} fails closed, and its Service {webhook.service} has no ready endpoint",
        )
    if webhook.system_pods:
        return (
            Status.WARNING,
            f"webhook {webhook.name} fails closed, and is asked of pods of kube-system too: while it is not there, "
            "they cannot be made anew",
        )
    if webhook.endpoints is None:
        where = f"Service {webhook.service}" if webhook.service else "its URL"
        return Status.UNKNOWN, f"webhook {webhook.name} fails closed; whether {where} answers is not known"
    return Status.PASSING, f"webhook {webhook.name}: {webhook.endpoints} ready endpoints"
