"""Budgets that let no pod go: a node whose pods they hold cannot be drained, and so not be replaced."""

from __future__ import annotations

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status


def find(seen: facts.InCluster, _: facts.Around) -> finding.Finding:
    """Each budget. Where there are no nodes none is in the way of one."""
    if not seen.nodes:
        return finding.Finding(Status.PASSING, "the cluster has no nodes to be replaced")
    resources = []
    for budget in seen.budgets:
        status, reason = judge(budget)
        uri = f"/apis/policy/v1/namespaces/{budget.namespace}/poddisruptionbudgets/{budget.name}"
        resources.append(finding.ResourceFinding(status, reason, uri=uri))
    return finding.of_resources(
        resources,
        "every disruption budget lets a pod go",
        "disruption budgets that let no pod go now, or cannot tell: {}",
    )


def judge(budget: facts.Budget) -> tuple[Status, str]:
    """Of one budget. A control plane is upgraded whatever it says; its nodes' pods would be held."""
    if not budget.current:
        return Status.UNKNOWN, "it was changed, and its numbers are not counted anew yet"
    if budget.pods == 0:
        return Status.PASSING, "it is about no pods now"
    if budget.allowed > 0:
        return Status.PASSING, f"{budget.allowed} of its {budget.pods} pods may go now"
    said = f"none of its {budget.pods} pods may go now: {budget.healthy} are healthy and {budget.wanted} have to be"
    if budget.wanted >= budget.pods:
        said += ", which no number of pods that become healthy changes"
    return Status.WARNING, said
