"""Which controllers serve runs in every cluster: one line for each."""

from __future__ import annotations

from roadstead.controllers import system
from roadstead.controllers.insights import look
from roadstead.controllers.nodes import certificates, drain, lifecycle, states, tokens
from roadstead.controllers.runtime import controller
from roadstead.controllers.system import applying, budget


def controllers(
    objects: applying.Objects = system.objects, times: drain.DrainTimes | None = None
) -> tuple[controller.Controller, ...]:
    """objects: what every cluster is to have. times: what drains are given."""
    return (
        applying.controller_of(objects),
        budget.CONTROLLER,
        tokens.CONTROLLER,
        certificates.CONTROLLER,
        lifecycle.CONTROLLER,
        states.CONTROLLER,
        look.CONTROLLER,
        drain.controller_of(times or drain.DrainTimes()),
    )
