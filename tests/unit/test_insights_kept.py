"""What is kept of insights from look to look, how refreshes end, and what is shown when nobody looks."""

from __future__ import annotations

from dataclasses import replace

from roadstead.clusters import nodegroups
from roadstead.clusters.insights import around, checks, facts, kept, views
from roadstead.clusters.insights.finding import Status

AROUND = facts.Around(arn="arn:shop", status="ACTIVE", version="1.36")
SUBJECT = views.Subject("shop@1", "1.36", 10.0)
NODE = facts.NodeVersion("n1", "1.36.0", "1.36.0")
SEEN = facts.InCluster(at=1000.0, refresh="r1", servers=(), nodes=(NODE,))
OLD = replace(SEEN, at=1300.0, refresh="", nodes=(replace(NODE, kubelet="1.32.0"),))
ASKED = kept.Request("r1", 990.0)
INSIDE = {check.word for check in checks.CHECKS if check.inside is not None}


def look(at: float, seen: facts.InCluster | None = None, **more: object) -> kept.Look:
    return kept.Look(at=at, around=AROUND, seen=seen, **more)  # type: ignore[arg-type]  # fields of a look


def result(report: kept.Report, word: str) -> kept.Result:
    return next(each for each in report.results if each.check == word)


def shown(report: kept.Report | None, now: float, of: views.Subject = SUBJECT) -> dict[str, str]:
    found = views.insights(of, report, now)
    return {each.check.word: views.summary(each)["insightStatus"]["status"] for each in found}


def test_a_look_says_all_and_a_status_has_its_time_until_it_changes() -> None:
    first = kept.after(None, look(1001.0, SEEN), ASKED)
    assert {each.finding.status for each in first.results} == {Status.PASSING}
    assert result(first, "kubelet-skew").refreshed == 1000.0
    again = kept.after(first, look(1200.0, replace(SEEN, at=1200.0, nodes=(replace(NODE, kubelet="1.35.0"),))), ASKED)
    assert result(again, "kubelet-skew").finding != result(first, "kubelet-skew").finding
    assert (result(again, "kubelet-skew").since, result(again, "kubelet-skew").refreshed) == (1001.0, 1200.0)
    worse = kept.after(again, look(1301.0, OLD), ASKED)
    assert (result(worse, "kubelet-skew").since, result(worse, "budgets").since) == (1301.0, 1001.0)
    assert result(worse, "kubelet-skew").finding.status is Status.ERROR


def test_while_a_cluster_is_away_what_is_inside_is_unknown_and_the_rest_is_not() -> None:
    first = kept.after(None, look(1001.0, SEEN), ASKED)
    away = kept.after(first, look(1100.0, SEEN, away="its API does not answer"), kept.Request())
    for each in away.results:
        unknown = each.finding.status is Status.UNKNOWN
        assert unknown == (each.check in INSIDE)
        if unknown:
            assert each.finding.reason == "its API does not answer; it was looked at last at 1970-01-01T00:16:40Z"
            assert each.refreshed == 1000.0
    old = kept.after(first, look(1001.0 + kept.STALE, SEEN), kept.Request())
    assert result(old, "webhooks").finding.status is Status.UNKNOWN


def test_a_refresh_ends_with_its_look_and_only_once() -> None:
    assert kept.refresh(kept.Request(), None, 0.0) is None
    going = kept.refresh(ASKED, None, 991.0)
    assert going is not None
    assert (going.status, going.started, going.ended) == ("IN_PROGRESS", 990.0, None)
    other = kept.after(None, look(991.0, replace(SEEN, refresh="r0")), ASKED)
    assert kept.open_refresh(ASKED, other) == "r1"
    done = kept.after(other, look(1001.0, SEEN), ASKED)
    ended = kept.refresh(ASKED, done, 5000.0)
    assert ended is not None
    assert (ended.status, ended.ended, kept.open_refresh(ASKED, done)) == ("COMPLETED", 1000.0, "")
    failing = facts.LookFailed(at=1002.0, refresh="r1", reason="it broke")
    assert kept.after(done, look(1003.0, SEEN, failed=failing), ASKED).problem == ""


def test_a_refresh_fails_with_its_reason() -> None:
    failing = facts.LookFailed(at=992.0, refresh="r1", reason="it broke")
    for said, report in (
        ("it broke", kept.after(None, look(993.0, failed=failing), ASKED)),
        ("it is away", kept.after(None, look(993.0, away="it is away"), ASKED)),
        ("nobody has looked at the cluster within 60 s: its controllers are not at work", None),
    ):
        ended = kept.refresh(ASKED, report, 990.0 + kept.LONGEST)
        assert ended is not None
        assert (ended.status, ended.message) == ("FAILED", said)
    late = kept.after(None, look(1100.0, replace(SEEN, at=1100.0)), ASKED)
    ended = kept.refresh(ASKED, late, 1101.0)
    assert ended is not None
    assert (ended.status, ended.ended) == ("FAILED", 990.0 + kept.LONGEST)


def test_a_report_is_read_as_it_was_written() -> None:
    api = facts.ApiName("policy", "v1beta1", "poddisruptionbudgets")
    servers = (facts.ApiServer("a", 1.0, (facts.ApiUse(api, "1.37", 3),)),)
    report = kept.after(None, look(1001.0, replace(SEEN, servers=servers)), ASKED)
    assert result(report, "deprecated-apis").finding.deprecations
    assert kept.read(kept.written(report)) == report


def test_what_nobody_has_looked_at_lately_is_unknown_and_says_since_when() -> None:
    assert set(shown(None, 20.0).values()) == {"UNKNOWN"}
    report = kept.after(None, look(1001.0, SEEN), ASKED)
    assert set(shown(report, 1001.0 + kept.STALE).values()) == {"PASSING"}
    assert set(shown(report, 1002.0 + kept.STALE).values()) == {"UNKNOWN"}
    (first, *_) = views.insights(SUBJECT, report, 1002.0 + kept.STALE)
    summary = views.summary(first)
    assert summary["lastTransitionTime"].timestamp() == 1001.0 + kept.STALE
    assert summary["lastRefreshTime"].timestamp() == 1000.0
    assert "it was looked at last at 1970-01-01T00:16:40Z" in summary["insightStatus"]["reason"]


def test_what_was_found_for_another_version_is_unknown() -> None:
    report = kept.after(None, look(1001.0, SEEN), ASKED)
    assert set(shown(report, 1002.0, replace(SUBJECT, version="1.37")).values()) == {"UNKNOWN"}


def test_ids_are_a_clusters_and_a_checks_own_and_stay() -> None:
    mine = [each.id for each in views.insights(SUBJECT, None, 1.0)]
    report = kept.after(None, look(1001.0, SEEN), ASKED)
    assert mine == [each.id for each in views.insights(replace(SUBJECT, version="1.37"), report, 9e9)]
    others = [each.id for each in views.insights(replace(SUBJECT, own_name="shop@2"), None, 1.0)]
    assert len({*mine, *others}) == 2 * len(checks.CHECKS)


def test_filters_are_all_of_their_lists() -> None:
    report = kept.after(None, look(1301.0, OLD), ASKED)
    found = views.insights(SUBJECT, report, 1302.0)

    def fitting(**wanted: list[str]) -> list[str]:
        return [each.check.word for each in found if views.fits(each, wanted)]

    assert len(fitting()) == len(fitting(categories=["UPGRADE_READINESS"])) == len(checks.CHECKS)
    assert fitting(categories=["MISCONFIGURATION"]) == []
    assert fitting(statuses=["ERROR"]) == ["kubelet-skew"]
    assert fitting(statuses=["ERROR"], kubernetesVersions=["1.38"]) == []
    assert fitting(statuses=["ERROR"], kubernetesVersions=["1.37"]) == ["kubelet-skew"]


def test_resources_are_bounded_and_the_worst_come_first() -> None:
    nodes = tuple(facts.NodeVersion(f"n{number}", "1.36.0", "") for number in range(400))
    bad = facts.NodeVersion("bad", "1.30.0", "")
    report = kept.after(None, look(1001.0, replace(SEEN, nodes=(*nodes, bad))), ASKED)
    listed = result(report, "kubelet-skew").finding.resources
    assert (len(listed), listed[0].uri) == (100, "/api/v1/nodes/bad")


def test_new_nodes_of_an_update_are_counted_by_subnet() -> None:
    group = nodegroups.Nodegroup(
        cluster="shop",
        name="ng",
        role="r",
        version="1.36",
        subnets=("a", "b"),
        zones=("za", "zb"),
        vpc="v",
        scaling=nodegroups.Scaling(0, 20, 10),
        created_at=0.0,
        modified_at=0.0,
    )
    assert around.surge(group) == 1
    assert around.surge(replace(group, update_config={"maxUnavailable": 5})) == 3
    assert around.surge(replace(group, update_config={"maxUnavailablePercentage": 33})) == 2
    assert around.surge(replace(group, scaling=nodegroups.Scaling(0, 20, 0))) == 0
