"""From what the agent has and sees to what the office is shown: a host and its units as one part. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.clusters import observed
from roadstead.clusters.hands import mirror as mirrors
from roadstead.clusters.hands import names, reports
from roadstead.messages import desired

Phase = observed.Phase
Wanted = Mapping[mirrors.Place, mirrors.Kept]


def part(name: str, host: str, known: mirrors.Mirror, release: str) -> observed.Part:
    """A host with all its units. Absent when the agent is not asked for it (any more)."""
    kept = known.wanted.get(("hosts", host))
    if kept is None:
        return observed.Part(name)
    generation, incarnation = names.generation(kept.generation)
    there = known.seen.get(("hosts", host))
    reason = "is being taken away" if kept.deleting else _trouble(host, known)
    return observed.Part(
        name,
        Phase.READY if not reason else Phase.MAKING,
        generation,
        release,
        incarnation,
        reason,
        _address(kept.spec),
        there.since if there is not None else None,
    )


def release(host: str, unit: str, wanted: Wanted) -> str | None:
    """The version of what a unit runs, by its engine: `kubernetes-1.37.2`."""
    kept = wanted.get(("units", f"{host}/{unit}"))
    if kept is None or not isinstance(kept.spec, desired.Unit):
        return None
    return kept.spec.engine.rpartition("-")[2]


def joined(part: observed.Part, word: reports.Word) -> observed.Part:
    """A part that is ready only when the embassy says so, too."""
    if part.phase is not Phase.READY or word.ready:
        return part
    return observed.Part(
        part.name,
        Phase.MAKING,
        part.generation,
        part.release,
        part.incarnation,
        word.reason,
        part.address,
        part.since,
    )


def _trouble(host: str, known: mirrors.Mirror) -> str:
    """What of it is not yet as it is wanted; empty when all is.

    A newer generation that says the same as the one that was seen changes nothing.
    """
    for place in (("hosts", host), *known.units(host)):
        there, kept = known.seen.get(place), known.wanted[place]
        name = "host" if place[0] == "hosts" else place[1].partition("/")[2]
        if there is None or there.generation < kept.since:
            return f"{name} is not made yet"
        if there.phase != "ready":
            return f"{name} is {there.phase}{': ' if there.reason else ''}{there.reason}"
    return ""


def _address(spec: desired.Message) -> str | None:
    return spec.legs[0].address if isinstance(spec, desired.Host) else None
