"""Updates: the operations on clusters and nodegroups, in the words of EKS's model."""

from __future__ import annotations

from roadstead.clusters import lifecycles, nodegroups, spec, versions
from roadstead.store import kinds, operations

UPDATES = operations.Operations(kinds.Kinds((spec.CLUSTERS, nodegroups.NODEGROUPS)), lifecycles.UPDATE)


def asked(id: str, type: str, parameters: tuple[tuple[str, str], ...], created_at: float) -> operations.Operation:
    """An update as it begins. `type` and those of `parameters`: of the model's UpdateType and UpdateParamType."""
    return operations.Operation(
        id=id, type=type, parameters=parameters, created_at=created_at, status=lifecycles.UPDATE.initial
    )


def of_version(id: str, to: versions.Version, created_at: float) -> operations.Operation:
    """The update of a cluster to a minor, as it begins."""
    return asked(id, "VersionUpdate", (("Version", to.minor), ("PlatformVersion", to.platform)), created_at)
