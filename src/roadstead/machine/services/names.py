"""The agent's ids of all clusters, as serve keeps them in a file of its state."""

from __future__ import annotations

import msgspec

from roadstead.core import errors, instance
from roadstead.machine.supervision import tree

FILE = "names.json"
"""In serve's state: `{"REGION/NAME": "c-1a2b3c4d"}`, of all clusters that there are."""


def ids(places: instance.Instance) -> dict[str, str]:
    """By `REGION/NAME`. Raises NotFound when serve never wrote them."""
    try:
        return msgspec.json.decode((tree.serve_state(places) / FILE).read_bytes(), type=dict[str, str])
    except FileNotFoundError as error:
        raise errors.NotFound(
            "there are no clusters on this machine yet: `roadstead create cluster` makes one"
        ) from error
