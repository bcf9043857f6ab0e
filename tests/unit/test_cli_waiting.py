"""What is told while somebody waits: warnings, what hinders it, how it goes on; and a watch that outlives a restart."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.unit import cloud_for_cli
from tests.unit.test_cli_create import HEAD, from_file, work
from tests.unit.test_cli_served import Said, cloud, said

from roadstead.core import errors

__all__ = ["cloud", "said"]
"""Fixtures."""

ARN = "arn:aws:eks:eu-central-1:000000000000:cluster/dev"
HIDDEN = "nodes and pods cannot reach hosts of the machine's network 192.168.1.0/24 (eth0)"


def event(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "time": cloud_for_cli.CREATED,
        "resourceArn": ARN,
        "severity": "WARNING",
        "reason": "NetworkHidden",
        "message": HIDDEN,
        **changes,
    }


def test_each_warning_is_told_once(cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.cli.live.warnings._PAUSE", 0.0)
    cloud.looks = 4
    before = cloud_for_cli.CREATED.replace(year=2025)
    cloud.events += [
        event(1, message="its namesake was unwell", time=before),
        event(2, message="another is unwell", resourceArn=f"{ARN}2"),
        event(3, message="etcd-a is ready", severity="NORMAL"),
        event(4),
    ]
    made = cloud.CreateNodegroup

    def unwell(asked: dict[str, Any]) -> dict[str, Any]:
        cloud.events.append(event(5, reason="PartNotReady", message="api-a is not ready: gone"))
        return made(asked)

    cloud.CreateNodegroup = unwell  # type: ignore[method-assign]
    code, out, err = said("create cluster dev --nodegroup-name ng")
    assert (code, err) == (0, "")
    warned = [line.partition("[!]  ")[2] for line in out.splitlines() if "[!]" in line]
    assert warned == [HIDDEN, "api-a is not ready: gone"]
    # What was there before is not of the nodegroups that come now.
    code, out, _ = said("create nodegroup --cluster dev other")
    assert code == 0
    assert HIDDEN not in out


def test_a_warning_waits_for_nothing(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    """One that comes with the cluster is told also when all is quick."""
    cloud.events.append(event(1))
    _, out, _ = said("create cluster dev --without-nodegroup")
    assert out.count(HIDDEN) == 1
    assert out.index(HIDDEN) < out.index("is ready")


@pytest.mark.parametrize("line", ["create cluster dev --nodegroup-name ng", "create nodegroup --cluster dev ng"])
def test_when_the_time_is_over_it_says_what_hinders_it_and_how_it_goes_on(
    cloud: cloud_for_cli.Cloud, said: Said, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if line.startswith("create nodegroup"):
        said("create cluster dev --without-nodegroup")
    cloud.hindered["node-2"] = "containerd is failed:\n no space left"
    # Over in the middle of a look, which is then cut off.
    clock = cloud_for_cli.clock(lambda: cloud.calls.count("DescribeNodegroup") >= 3)
    monkeypatch.setattr("roadstead.cli.live.follow.time", clock)
    monkeypatch.setattr("roadstead.cli.service.time", clock)
    code, _, err = said(f"{line} --timeout 60s")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(
        "Error: timed out waiting for nodegroup(s) ng: node-2: containerd is failed: no space left; the work goes on: "
        "watch it by 'roadstead get events -w --cluster=dev --region=eu-central-1'"
    )
    assert ("the same command with --name=dev goes on" in err) is line.startswith("create cluster")


def test_a_member_that_hinders_the_control_plane_is_named_when_the_time_is_over() -> None:
    cloud = cloud_for_cli.Cloud()
    cloud.looks, cloud.hindered = 1000, {"api-b": "kube-apiserver is starting"}
    building = work(cloud, from_file(HEAD))
    building.begin()
    building.stage.deadline = time.monotonic() + 0.3
    with pytest.raises(errors.Busy, match='for cluster "dev": api-b: kube-apiserver is starting; the work goes on'):
        building.until_active()


def test_a_watch_goes_on_when_serve_is_restarted(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.events.append(event(1))
    listed = cloud.ListEvents
    looks: list[int] = []
    monkeypatch.setattr("roadstead.cli.actions.events.time", cloud_for_cli.clock(lambda: len(looks) > 3))

    def restarted(asked: dict[str, Any]) -> dict[str, Any]:
        looks.append(1)
        if len(looks) == 2:
            raise cloud_for_cli.Refusal("ServerException", "starting")
        if len(looks) == 3:
            cloud.events.append(event(2, message="it is back"))
        return listed(asked)

    cloud.ListEvents = restarted  # type: ignore[method-assign]
    code, out, err = said("get events --cluster dev -w --timeout 60s")
    assert (code, err) == (0, "")
    assert "it is back" in out


def test_a_watch_ends_with_what_asking_again_does_not_mend(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.events.append(event(1))
    listed = cloud.ListEvents

    def denied(asked: dict[str, Any]) -> dict[str, Any]:
        if "startTime" in asked:
            raise cloud_for_cli.Refusal("AccessDeniedException", "no")
        return listed(asked)

    cloud.ListEvents = denied  # type: ignore[method-assign]
    code, _, err = said("get events --cluster dev -w --timeout 60s")
    assert code == 1
    assert "AccessDeniedException" in err
