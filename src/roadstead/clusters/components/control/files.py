"""The files of a unit: which of them are secret, and how those that come as digests and as text become one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from roadstead.clusters.components import facts
from roadstead.contract import layout
from roadstead.contract.messages import desired

OnChange = Literal["nothing", "signal", "restart"]


def secret(name: str) -> bool:
    """Whether a file's bytes are secret: keys, kubeconfigs (tokens, keys) and the key that encrypts Secrets."""
    return name.endswith(".key") or name.endswith("kubeconfig") or name == "encryption.yaml"


def files(
    digests: facts.Digests, contents: Mapping[str, str], on_change: Mapping[str, OnChange]
) -> dict[str, desired.UnitFile]:
    """Files known by digest and files known by content; `on_change` names those that do not restart the unit."""
    blobs = {
        name: desired.UnitFile(blob=digest, secret=secret(name), on_change=on_change.get(name, "restart"))
        for name, digest in digests.items()
    }
    texts = {
        name: desired.UnitFile(content=content, on_change=on_change.get(name, "restart"))
        for name, content in contents.items()
    }
    return blobs | texts


def at(unit: str, name: str) -> str:
    """The path of a unit's file in its host."""
    return f"{layout.files(unit)}/{name}"
