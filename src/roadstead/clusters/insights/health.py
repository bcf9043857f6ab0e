"""The control plane: only one that is well is upgraded."""

from __future__ import annotations

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status

_FAILING = frozenset({"failing", "refused"})


def find(around: facts.Around) -> finding.Finding:
    """The cluster's status, its members, and what is near its end."""
    judged = [
        _status(around.status),
        *(found for member in around.members if (found := judge(member)) is not None),
        *((Status.WARNING, said) for said in around.warnings),
    ]
    resources = [finding.ResourceFinding(status, reason, arn=around.arn) for status, reason in judged]
    return finding.of_resources(
        resources, "the cluster is ACTIVE, and every part of its control plane is ready", "things that are not well: {}"
    )


def judge(member: facts.Member) -> tuple[Status, str] | None:
    """None: it is well."""
    if member.phase in _FAILING or (member.phase != "ready" and member.lasts):
        return Status.ERROR, f"{member.name} is {member.phase}: {member.reason or 'no reason is known'}"
    if member.phase != "ready":
        return Status.WARNING, f"{member.name} is {member.phase}: {member.reason or 'no reason is known'}"
    if member.warnings:
        return Status.WARNING, f"{member.name} {'; '.join(member.warnings)}"
    return None


def _status(status: str) -> tuple[Status, str]:
    if status == "ACTIVE":
        return Status.PASSING, "the cluster is ACTIVE"
    return Status.WARNING if status == "UPDATING" else Status.ERROR, f"the cluster is {status}"
