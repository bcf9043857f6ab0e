"""What is shown of insights, in the shapes of EKS's model: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roadstead.clusters import views
from roadstead.clusters.insights import checks, facts, finding, kept
from roadstead.core import ids

CATEGORY = "UPGRADE_READINESS"
_NEVER = "nobody has looked at the cluster yet: StartInsightsRefresh has it looked at"


@dataclass(frozen=True)
class Subject:
    """Whose insights they are. own_name: as views.own_name; version: the minor that it runs now."""

    own_name: str
    version: str
    created_at: float


@dataclass(frozen=True)
class Insight:
    """A check with what is known of it now."""

    id: str
    check: checks.Check
    version: str
    """The next minor."""
    result: kept.Result


def insights(of: Subject, report: kept.Report | None, now: float) -> tuple[Insight, ...]:
    """All of a cluster. What is too old, or was found for another version, is not known any more."""
    known = {each.check: each for each in report.results} if report else {}
    following = facts.following(of.version)
    found = []
    for check in checks.CHECKS:
        result = known.get(check.word) or kept.Result(
            check.word, finding.Finding(finding.Status.UNKNOWN, _NEVER), of.created_at
        )
        if report is not None and (gone := _gone(report, of, now)) is not None:
            since, why = gone
            before = result.since if result.finding.status is finding.Status.UNKNOWN else since
            unknown = finding.Finding(finding.Status.UNKNOWN, why)
            result = kept.Result(check.word, unknown, before, result.refreshed)
        found.append(Insight(_id(of, check), check, following, result))
    return tuple(found)


def fits(insight: Insight, wanted: Mapping[str, Any]) -> bool:
    """Whether an insight is one of a filter of the model: of each of its lists, where there is one."""
    mine = {
        "categories": CATEGORY,
        "kubernetesVersions": insight.version,
        "statuses": insight.result.finding.status.value,
    }
    return all(mine[member] in values for member, values in wanted.items() if values)


def summary(insight: Insight) -> dict[str, Any]:
    """The model's InsightSummary."""
    check, result = insight.check, insight.result
    return {
        "id": insight.id,
        "name": _said(check.name, insight),
        "category": CATEGORY,
        "kubernetesVersion": insight.version,
        **({"lastRefreshTime": views.moment(result.refreshed)} if result.refreshed is not None else {}),
        "lastTransitionTime": views.moment(result.since),
        "description": _said(check.description, insight),
        "insightStatus": _status(result.finding),
    }


def whole(insight: Insight) -> dict[str, Any]:
    """The model's Insight."""
    found = insight.result.finding
    return {
        **summary(insight),
        "recommendation": _said(insight.check.recommendation, insight),
        "additionalInfo": dict(insight.check.links),
        "resources": [_resource(each) for each in found.resources],
        "categorySpecificSummary": {
            "deprecationDetails": _deprecations(found.deprecations),
            "addonCompatibilityDetails": [],
        },
    }


def _gone(report: kept.Report, of: Subject, now: float) -> tuple[float, str] | None:
    """Since when a report says nothing any more, and why."""
    if report.version != of.version:
        said = f"the cluster has version {of.version} now, and was not looked at since: it had {report.version}"
        return report.at, said
    if now - report.at > kept.STALE:
        said = f"its controllers are not at work: it was looked at last at {kept.moment(report.looked_at or report.at)}"
        return report.at + kept.STALE, said
    return None


def _id(of: Subject, check: checks.Check) -> str:
    return ids.uuid_of(f"insight/{check.word}/{of.own_name}")


def _said(words: str, insight: Insight) -> str:
    return words.replace("{next}", insight.version)


def _status(found: finding.Finding | finding.ResourceFinding) -> dict[str, str]:
    return {"status": found.status.value, "reason": found.reason}


def _resource(each: finding.ResourceFinding) -> dict[str, Any]:
    return {
        "insightStatus": _status(each),
        **({"kubernetesResourceUri": each.uri} if each.uri else {}),
        **({"arn": each.arn} if each.arn else {}),
    }


def _deprecations(found: Iterable[finding.Deprecation]) -> list[dict[str, Any]]:
    """How often somebody asked in 30 days is not known, and not said."""
    return [
        {
            "usage": each.usage,
            "stopServingVersion": each.stops,
            **({"replacedWith": each.replacement} if each.replacement else {}),
            "clientStats": [
                {"userAgent": client.agent, "lastRequestTime": views.moment(client.at)} for client in each.clients
            ],
        }
        for each in found
    ]
