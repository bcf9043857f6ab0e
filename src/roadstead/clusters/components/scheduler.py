"""kube-scheduler: facts to a unit. Source of the flags: its `--help`, 1.35 to 1.37."""

from __future__ import annotations

from roadstead.clusters.components import apiserver, facts
from roadstead.clusters.components.control import files, leaders
from roadstead.messages import desired

UNIT = "kube-scheduler"
PORT = 10259


def unit(plane: facts.ControlPlane, letter: str, digests: facts.Digests) -> desired.Unit:
    """One of three, on the host of the API server that it talks to."""
    assert any(each.letter == letter for each in plane.members)
    return desired.Unit(
        engine=plane.engines.kubernetes,
        component=UNIT,
        flags={**leaders.flags(UNIT), "kube-api-qps": "200", "kube-api-burst": "400"},
        environment=leaders.ENVIRONMENT,
        files=files.files(digests, {}, {}),
        ready=leaders.probe(PORT),
        # Six more processes that start beside the API servers would take the processors from them, and only wait.
        after=apiserver.UNIT,
        group=f"{plane.id}.scheduler",
        stop_timeout=5.0,
    )
