"""Which versions of Kubernetes are offered."""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.clusters import versions, views

_STATUS = {"standard-support", "STANDARD_SUPPORT"}


@calls.operation("eks", "DescribeClusterVersions")
async def describe_cluster_versions(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Newest first. All that are offered are in standard support: asking for others answers none."""
    named = asked.get("clusterVersions")
    chosen = [
        offered
        for offered in reversed(versions.OFFERED)
        if (not named or offered.minor in named)
        and (not asked.get("defaultOnly") or offered.minor == versions.DEFAULT)
        and {asked.get("status"), asked.get("versionStatus")} <= {None, *_STATUS}
        and asked.get("clusterType") in (None, "", "eks")
    ]
    return {"clusterVersions": [views.version(offered) for offered in chosen]}
