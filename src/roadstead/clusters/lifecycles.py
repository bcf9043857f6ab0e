"""The life cycles of clusters, nodegroups and updates. The states are the model's, and GONE, which nobody is shown."""

from __future__ import annotations

from roadstead.core import lifecycle

GONE = "GONE"

CLUSTER = lifecycle.Lifecycle(
    states=frozenset({"CREATING", "ACTIVE", "UPDATING", "FAILED", "DELETING", GONE}),
    initial="CREATING",
    terminal=frozenset({GONE}),
    transitions={
        "CREATING": {"ready": "ACTIVE", "failed": "FAILED", "delete": "DELETING"},
        "ACTIVE": {"update": "UPDATING", "delete": "DELETING"},
        "UPDATING": {"ready": "ACTIVE", "failed": "ACTIVE", "delete": "DELETING"},
        "FAILED": {"delete": "DELETING"},
        "DELETING": {"gone": GONE},
    },
)
CLUSTER_UNUSED = frozenset({"PENDING"})
"""A state of clusters that are only registered."""

NODEGROUP = lifecycle.Lifecycle(
    states=frozenset({"CREATING", "ACTIVE", "UPDATING", "DEGRADED", "CREATE_FAILED", "DELETING", GONE}),
    initial="CREATING",
    terminal=frozenset({GONE}),
    transitions={
        "CREATING": {"ready": "ACTIVE", "failed": "CREATE_FAILED", "delete": "DELETING"},
        "ACTIVE": {"update": "UPDATING", "degraded": "DEGRADED", "delete": "DELETING"},
        "UPDATING": {"ready": "ACTIVE", "failed": "DEGRADED", "delete": "DELETING"},
        "DEGRADED": {"ready": "ACTIVE", "update": "UPDATING", "delete": "DELETING"},
        "CREATE_FAILED": {"delete": "DELETING"},
        "DELETING": {"gone": GONE},
    },
)
NODEGROUP_UNUSED = frozenset({"DELETE_FAILED"})
"""Deleting is tried again until it is done."""

UPDATE = lifecycle.Lifecycle(
    states=frozenset({"InProgress", "Successful", "Failed"}),
    initial="InProgress",
    terminal=frozenset({"Successful", "Failed"}),
    transitions={"InProgress": {"ready": "Successful", "failed": "Failed"}},
)
UPDATE_UNUSED = frozenset({"Cancelled"})
