"""DescribeClusterVersions on days of one's choice: what is told by default, and what each filter leaves."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from roadstead.aws import calls
from roadstead.aws.authorization import administrators, requests
from roadstead.aws.eks import versions
from roadstead.store.sqlite import local

ROOT = requests.Caller("012345678901", "arn:aws:iam::012345678901:root", "012345678901", "AKIA")
NOW = dt.datetime(2026, 12, 5, tzinfo=dt.UTC)
"""1.34 is in extended support."""
LATER = dt.datetime(2027, 12, 5, tzinfo=dt.UTC)
"""1.34 has no support, 1.35 to 1.37 are in extended support."""
ALL = ["1.37", "1.36", "1.35", "1.34"]


def told(folder: Path, now: dt.datetime, **asked: Any) -> list[str]:
    async def ask() -> list[str]:
        async with local.opened(local.Places(folder)) as store:
            call = calls.Call(
                "eks", "DescribeClusterVersions", "eu-central-1", ROOT, "r", now, store, administrators.Administrators()
            )
            answer = await versions.describe_cluster_versions(call, asked)
            return [each["clusterVersion"] for each in answer["clusterVersions"]]

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("now", "asked", "found"),
    [
        (NOW, {}, ALL),
        (NOW, {"versionStatus": "STANDARD_SUPPORT"}, ["1.37", "1.36", "1.35"]),
        (NOW, {"status": "standard-support"}, ["1.37", "1.36", "1.35"]),
        (NOW, {"versionStatus": "EXTENDED_SUPPORT"}, ["1.34"]),
        (NOW, {"status": "extended-support", "versionStatus": "EXTENDED_SUPPORT"}, ["1.34"]),
        (NOW, {"status": "extended-support", "versionStatus": "STANDARD_SUPPORT"}, []),
        (NOW, {"versionStatus": "UNSUPPORTED"}, []),
        (NOW, {"defaultOnly": True}, ["1.37"]),
        (NOW, {"defaultOnly": True, "versionStatus": "EXTENDED_SUPPORT"}, []),
        (NOW, {"clusterVersions": ["1.34", "1.36", "1.20"]}, ["1.36", "1.34"]),
        (NOW, {"clusterType": ""}, ALL),
        (NOW, {"clusterType": "eks-local-outposts"}, []),
        (LATER, {}, ["1.37", "1.36", "1.35"]),
        (LATER, {"includeAll": True}, ALL),
        (LATER, {"versionStatus": "UNSUPPORTED"}, ["1.34"]),
        (LATER, {"clusterVersions": ["1.34"]}, ["1.34"]),
    ],
)
def test_versions_are_told_by_the_date_and_the_filters(
    tmp_path: Path, now: dt.datetime, asked: dict[str, Any], found: list[str]
) -> None:
    assert told(tmp_path, now, **asked) == found
