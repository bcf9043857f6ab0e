"""Asking again until something is so: what an API without watches leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from roadstead.cli import service
from roadstead.core import errors

Seen = TypeVar("Seen")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


def until(look: Callable[[], Seen | None], what: str, deadline: float) -> Seen:
    """What `look` finds, asked with growing pauses. Raises Busy when the deadline (time.monotonic) has come."""
    pause = _FIRST_PAUSE
    while (found := look()) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise errors.Busy(f"timed out waiting for {what}")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return found


def updated(api: service.Api, cluster: str, nodegroup: str, update: str) -> bool | None:
    """True when an update has succeeded; None while it goes on. Raises Failed when it did not."""
    found = api.call("eks", "DescribeUpdate", name=cluster, nodegroupName=nodegroup, updateId=update)["update"]
    match found.get("status"):
        case "Successful":
            return True
        case "Failed" | "Cancelled" as status:
            said = "; ".join(each.get("errorMessage", "") for each in found.get("errors", []))
            raise errors.Failed(f"update {update} is {status}: {said or 'no reason given'}", update=update)
        case _:
            return None
