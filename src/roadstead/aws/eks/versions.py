"""Which versions of Kubernetes are offered."""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.aws.eks import resources
from roadstead.clusters import versions, views


@calls.operation("eks", "DescribeClusterVersions", on=resources.ANYTHING)
async def describe_cluster_versions(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Newest first. One whose support is over is told only to who asks for it: by its name, its status, or for all."""
    named = asked.get("clusterVersions")
    statuses = {asked[member] for member in ("status", "versionStatus") if asked.get(member)}
    day = call.now.date()

    def wanted(offered: versions.Version) -> bool:
        support = offered.support(day)
        return (
            (not named or offered.minor in named)
            and (not asked.get("defaultOnly") or offered.minor == versions.DEFAULT)
            and statuses <= {support.value, support.deprecated}
            and bool(support is not versions.Support.NONE or asked.get("includeAll") or named or statuses)
            and asked.get("clusterType") in (None, "", "eks")
        )

    return {"clusterVersions": [views.version(each, day) for each in reversed(versions.OFFERED) if wanted(each)]}
