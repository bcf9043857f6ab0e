"""Versions at the command line: without support they are refused before anything is made, and all of them are shown."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from tests.unit import cloud_for_cli
from tests.unit.test_cli_served import Said, cloud, said

from roadstead.cli import config
from roadstead.cli.infrastructure import refusals
from roadstead.core import errors
from roadstead.machine.services import foreseen

__all__ = ["cloud", "said"]
"""Fixtures."""


@pytest.mark.parametrize(
    ("day", "line", "says"),
    [
        (
            "2027-12-02",
            "--version 1.34",
            "invalid version, 1.34 is not supported: its extended support ended on 2027-12-02; this Roadstead offers "
            "1.35, 1.36, 1.37",
        ),
        (
            "2028-12-01",
            "--version 1.37",
            "invalid version, 1.37 is not supported: its extended support ended on 2028-12-01; a newer Roadstead has "
            "newer versions",
        ),
        (
            "2027-12-02",
            "--version 1.20",
            "invalid version, 1.20 is not supported: this Roadstead offers 1.35, 1.36, 1.37",
        ),
        (
            "2026-12-02",
            "--version 1.34 --support-type STANDARD",
            "supportType STANDARD: the standard support of version 1.34 ended on 2026-12-02; use a newer version, or "
            "EXTENDED",
        ),
    ],
)
def test_a_version_without_support_is_refused_with_its_date_and_nothing_is_made(
    cloud: cloud_for_cli.Cloud, said: Said, day: str, line: str, says: str
) -> None:
    cloud.day = dt.date.fromisoformat(day)
    code, _, err = said(f"create cluster dev {line}")
    assert (code, err) == (1, f"Error: {says}\n")
    assert (cloud.clusters, cloud.vpcs, cloud.roles) == ({}, {}, {})


@pytest.mark.parametrize(
    ("day", "version", "policy", "says"),
    [
        ("2027-12-02", "1.34", "", "1.34 is not supported: its extended support ended on 2027-12-02"),
        ("2026-12-02", "1.34", "STANDARD", "the standard support of version 1.34 ended on 2026-12-02"),
        ("2026-12-02", "1.34", "EXTENDED", ""),
    ],
)
def test_it_is_foreseen_before_anything_is_installed(day: str, version: str, policy: Any, says: str) -> None:
    wanted = config.ClusterConfig(
        metadata=config.Metadata(name="dev", version=version),
        upgrade_policy=config.UpgradePolicy(support_type=policy),
    )
    offered = foreseen.offers("eu-central-1", dt.date.fromisoformat(day))
    if not says:
        refusals.check(wanted, offered)
        return
    with pytest.raises(errors.Invalid, match=says):
        refusals.check(wanted, offered)


@pytest.mark.parametrize(
    ("day", "line"),
    [
        ("2026-12-01", "--version 1.34 --support-type STANDARD"),
        ("2026-12-02", "--version 1.34 --support-type EXTENDED"),
        ("2027-12-01", "--version 1.34"),
    ],
)
def test_one_with_support_is_made(cloud: cloud_for_cli.Cloud, said: Said, day: str, line: str) -> None:
    cloud.day = dt.date.fromisoformat(day)
    assert said(f"create cluster dev --without-nodegroup {line}")[0] == 0
    assert cloud.clusters["dev"]["version"] == "1.34"


def test_versions_are_shown_with_the_ends_of_their_support(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.day = dt.date(2027, 12, 2)

    def shown(line: str = "") -> list[dict[str, Any]]:
        code, out, err = said(f"utils describe-cluster-versions {line}")
        assert (code, err) == (0, "")
        found: list[dict[str, Any]] = json.loads(out)["clusterVersions"]
        return found

    assert [each["ClusterVersion"] for each in shown()] == ["1.37", "1.36", "1.35"]
    assert [each["ClusterVersion"] for each in shown("--status STANDARD_SUPPORT")] == []
    oldest = shown("--include-all")[-1]
    assert (oldest["ClusterVersion"], oldest["VersionStatus"]) == ("1.34", "UNSUPPORTED")
    assert oldest["EndOfStandardSupportDate"] == "2026-12-02T00:00:00Z"
    assert oldest["EndOfExtendedSupportDate"] == "2027-12-02T00:00:00Z"


@pytest.mark.parametrize(("policy", "day"), [("STANDARD", "2026-12-02"), ("EXTENDED", "2027-12-02")])
def test_a_cluster_is_shown_with_the_end_of_its_support(
    cloud: cloud_for_cli.Cloud, said: Said, policy: str, day: str
) -> None:
    said(f"create cluster dev --without-nodegroup --version 1.34 --support-type {policy}")
    cloud.clusters["dev"]["upgradePolicy"] = {"supportType": policy}
    code, out, err = said("get cluster dev")
    assert code == 0
    assert "support" not in out
    assert (
        "Kubernetes 1.34 has standard support until 2026-12-02, and extended support until 2027-12-02; by its "
        f"supportType {policy} the cluster is updated on {day} to the next version, if there is one"
    ) in err
    code, out, err = said("get cluster dev -o json")
    assert (json.loads(out)[0]["UpgradePolicy"], err) == ({"SupportType": policy}, "")
