"""Access entries in the shapes of EKS's model. Pure."""

from __future__ import annotations

from typing import Any

from roadstead.clusters import views
from roadstead.clusters.access import entries, policies
from roadstead.store import facts


def entry(state: facts.State) -> dict[str, Any]:
    """The model's AccessEntry."""
    wanted = entries.read(state.desired.body)
    return {
        "clusterName": state.key.names[0],
        "principalArn": wanted.principal,
        "kubernetesGroups": list(wanted.groups),
        "accessEntryArn": entries.ENTRIES.arn_of(state.desired),
        "createdAt": views.moment(wanted.created_at),
        "modifiedAt": views.moment(wanted.modified_at),
        "tags": dict(wanted.tags),
        "username": wanted.username,
        "type": wanted.type,
    }


def associated(policy: entries.Associated) -> dict[str, Any]:
    """The model's AssociatedAccessPolicy."""
    return {
        "policyArn": policies.arn(policy.policy),
        "accessScope": {"type": "cluster", "namespaces": []},
        "associatedAt": views.moment(policy.associated_at),
        "modifiedAt": views.moment(policy.modified_at),
    }
