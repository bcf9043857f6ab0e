"""From what the agent has and sees to what the reconciler is shown: a host and its units as one part. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from roadstead.clusters import observed
from roadstead.clusters.allocation import names
from roadstead.contract.messages import desired
from roadstead.provider import mirror as mirrors
from roadstead.provider import reports

_AGAIN = re.compile(r"; (starts|made) again .*")
"""When the agent tries again is another number each time, and no news."""

Phase = observed.Phase
Wanted = Mapping[mirrors.Place, mirrors.MirroredObject]


def part(name: str, host: str, known: mirrors.AgentMirror, release: str) -> observed.Part:
    """A host with all its units. Absent when the agent is not asked for it (any more)."""
    kept = known.wanted.get(("hosts", host))
    if kept is None:
        return observed.Part(name)
    generation, incarnation = names.generation(kept.generation)
    there = known.seen.get(("hosts", host))
    phase, reason = (Phase.MAKING, "is being taken away") if kept.deleting else _state(host, known)
    return observed.Part(
        name,
        phase,
        generation,
        release,
        incarnation,
        reason,
        _address(kept.spec),
        there.since if there is not None else None,
        warnings=() if there is None or kept.deleting else there.warnings,
    )


def release(host: str, unit: str, wanted: Wanted) -> str | None:
    """The version of what a unit runs, by its engine: `kubernetes-1.37.2`."""
    kept = wanted.get(("units", f"{host}/{unit}"))
    if kept is None or not isinstance(kept.spec, desired.Unit):
        return None
    return kept.spec.engine.rpartition("-")[2]


def joined(part: observed.Part, word: reports.PartReport) -> observed.Part:
    """A part that is ready only when the controllers say so, too."""
    if part.phase is not Phase.READY or word.ready:
        return part
    return replace(part, phase=Phase.MAKING, reason=word.reason)


def excused(parts: Mapping[str, observed.Part], excuse: str) -> dict[str, observed.Part]:
    """Parts that fail say first what is known to make them fail; `excuse` is empty where nothing is."""
    return {
        name: replace(part, reason=f"{excuse} ({part.reason})") if excuse and part.phase is Phase.FAILING else part
        for name, part in parts.items()
    }


def _state(host: str, known: mirrors.AgentMirror) -> tuple[observed.Phase, str]:
    """How it is as a whole, and what of it is not as it is wanted: before all else, what fails.

    In a zone that is down nothing is said to fail: whatever the processes there do, they are not why.
    """
    zone = _zone(host, known)
    waits = fails = ""
    for place in (("hosts", host), *known.units(host)):
        there, kept = known.seen.get(place), known.wanted[place]
        name = "host" if place[0] == "hosts" else place[1].partition("/")[2]
        # A newer generation that says the same as the one that was seen changes nothing.
        if there is None or there.generation < kept.since:
            waits = waits or f"{name} is not made yet"
        elif there.phase == "failing":
            fails = fails or f"{name} is failing: {_AGAIN.sub('', there.reason)}"
        elif there.phase != "ready":
            waits = waits or f"{name} is {there.phase}{': ' if there.reason else ''}{there.reason}"
    if zone and (fails or waits):
        return Phase.MAKING, zone
    if fails:
        return Phase.FAILING, fails
    return (Phase.MAKING, waits) if waits else (Phase.READY, "")


def _zone(host: str, known: mirrors.AgentMirror) -> str:
    """How the host's zone is down; empty when it is not."""
    spec = known.wanted["hosts", host].spec
    kept = known.wanted.get(("zones", spec.zone)) if isinstance(spec, desired.Host) else None
    if kept is None or kept.deleting or not isinstance(kept.spec, desired.Zone) or kept.spec.state == "up":
        return ""
    assert isinstance(spec, desired.Host)
    return f"the zone {spec.zone} is {'cut off' if kept.spec.state == 'black' else 'stopped'}"


def _address(spec: desired.Message) -> str | None:
    return spec.legs[0].address if isinstance(spec, desired.Host) else None
