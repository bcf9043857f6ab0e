"""The paths of the agent's API. With `{name}` for an argument they are the patterns of its routes.

A kind's objects are at `/v1/KIND/ID`; see agent.api.server.
"""

from __future__ import annotations

STATUS = "/v1/status"
MACHINE = "/v1/machine"
DESIRED = "/v1/desired"
OBSERVATIONS = "/v1/observations"
WATCH = "/v1/watch"


def blob(digest: str) -> str:
    """`sha256:HEX`."""
    return f"/v1/blobs/{digest}"


def job(id: str) -> str:
    """`id`: whoever starts the job chooses it."""
    return f"/v1/jobs/{id}"


def logs(host: str, unit: str) -> str:
    """`unit`: its own word, without the host's: the id of the whole is `HOST/UNIT`."""
    return f"/v1/logs/{host}/{unit}"


def shell(host: str) -> str:
    """`host`: the id of a host, `c-1a2b3c4d.api-a`."""
    return f"/v1/shell/{host}"
