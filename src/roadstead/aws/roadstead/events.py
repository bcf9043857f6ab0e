"""What happened to an account's resources."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.authorization import resources
from roadstead.clusters import events, views
from roadstead.store import keys

_SUBJECT = resources.template("cluster nodegroup", "{resourceArn}", when="resourceArn")


def concerns(arn: str, of: str) -> bool:
    """Whether an event of `of` is one of the resource `arn`: its own, or of a nodegroup of that cluster.

    Events name a nodegroup without the last part of its ARN, which tells namesakes from each other: people who ask
    for a nodegroup want to see what became of its namesake before it.
    """
    return of == arn or arn.startswith(f"{of}/") or of.startswith(f"{arn.replace(':cluster/', ':nodegroup/')}/")


@calls.operation("roadstead", "ListEvents", on=_SUBJECT)
async def list_events(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Oldest first: those of a resource and of what belongs to it, or all of the region."""
    since, until = asked.get("startTime"), asked.get("endTime")
    arn = asked.get("resourceArn")
    shown = []
    for record in await store_access.records(call.store, keys.Prefix(call.account, call.region, events.KIND)):
        event = events.read(record.body)
        at, of = (
            views.moment(record.at),
            call.kinds.shared_arn(keys.Key(record.key.account, record.key.region, *record.key.names)),
        )
        if (
            (arn is None or concerns(arn, of))
            and asked.get("severity") in (None, event.severity)
            and (since is None or at >= since)
            and (until is None or at < until)
        ):
            shown.append(
                {
                    "id": f"{record.number:020d}",
                    "time": at,
                    "resourceArn": of,
                    "severity": event.severity,
                    "reason": event.reason,
                    "message": event.message,
                    "facts": dict(event.facts),
                }
            )
    return {"events": shown}
