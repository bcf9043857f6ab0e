"""How Roadstead is doing, and what it has room for."""

from __future__ import annotations

from typing import Any

import msgspec

from roadstead.aws import calls
from roadstead.aws.authorization import resources
from roadstead.aws.eks.admission import capacity
from roadstead.aws.roadstead import about
from roadstead.clusters import views
from roadstead.clusters.capacity import sums
from roadstead.core import errors


@calls.operation("roadstead", "GetStatus", on=resources.ANYTHING)
async def get_status(call: calls.Call, _: calls.Asked) -> calls.Answer:
    state = await call.store.get(about.key(call.account))
    if state is None:
        raise errors.Failed("serve has not said yet what it is: ask again when it has started")
    program = msgspec.json.decode(state.desired.body, type=about.ServeProgram)
    return {
        "version": program.version,
        "instance": program.instance,
        "accountId": call.account,
        "region": call.region,
        "startedAt": views.moment(program.started),
        "healthy": all(part.healthy for part in program.parts),
        "revision": call.store.revision,
        "parts": [_shown(part) for part in program.parts],
    }


@calls.operation("roadstead", "CheckRoom", on=resources.ANYTHING)
async def check_room(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The sums of CreateCluster and CreateNodegroup taken together; what they would write is not written."""
    await capacity.on_machine(call, sums.Load(asked.get("controlPlanes", 0), asked.get("nodes", 0)))
    return {}


def _shown(part: about.ProgramPart) -> dict[str, Any]:
    return {"name": part.name, "healthy": part.healthy, **({"message": part.message} if part.message else {})}
