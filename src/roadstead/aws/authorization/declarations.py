"""What a declaration says that its operation's model lacks. Each problem is a clause without a full stop."""

from __future__ import annotations

import re
from collections.abc import Iterator

from roadstead.aws import calls
from roadstead.aws.authorization import inputs
from roadstead.wire import shapes

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")


def problems(declared: calls.Authorization | None, operation: shapes.Operation) -> Iterator[str]:
    """None of a declaration that fits."""
    if declared is None:
        yield "declares nothing that its caller has to be allowed"
        return
    if not _ACTION.fullmatch(declared.action):
        yield f"{declared.action!r} is no action"
    by_resources = [member for resource in declared.resources for member in resource.members]
    by_context = [member for key in declared.context for member in key.members]
    for path in dict.fromkeys((*by_resources, *by_context)):
        if not inputs.has(operation.input, path):
            yield f"its caller's permission depends on {path}, which the model's input lacks"
