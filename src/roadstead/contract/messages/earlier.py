"""Desired states as earlier releases wrote them, read as what is written now.

An agent has them on its disk, and a serve of an earlier release still sends them while an update goes on. What both
mean is equal, so nothing of what runs is touched.

Of a host one field said what it is for and what it may do: `kind`, of `control` (an etcd or an API server), `edge` and
`node`. Which of the two a control host was, its id says: `c-1a2b3c4d.etcd-a`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from roadstead.contract.messages import desired

M = TypeVar("M", bound=desired.Message)

_CONTROL = "control"
_ETCD = "etcd"


def read(of: type[M], id: str, text: str | bytes) -> M:
    """The desired state of that id. Raises msgspec.DecodeError."""
    try:
        return msgspec.json.decode(text, type=of)
    except msgspec.ValidationError:
        raw = msgspec.json.decode(text) if of is desired.Host else None
        if not isinstance(raw, dict) or not _is_host(raw):
            raise
    return msgspec.json.decode(msgspec.json.encode(_host(id, raw)), type=of)


def kind(role: desired.Role) -> str:
    """The word that hosts of this role were made under: they run on, and are compared by it."""
    return role if role in ("edge", "node") else _CONTROL


def _is_host(raw: dict[str, Any]) -> bool:
    return raw.get("kind") in (_CONTROL, "edge", "node") and not raw.keys() & {"role", "privilege"}


def _host(id: str, raw: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in raw.items() if name != "kind"}
    role = raw["kind"]
    if role == _CONTROL:
        role = _ETCD if id.rpartition(".")[2].startswith(_ETCD) else "api"
    return {"role": role, "privilege": "privileged" if role == "node" else "unprivileged", **said}
