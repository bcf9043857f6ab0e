"""When the machine's address for endpoints changes: the calling person's kubeconfig follows.

Only the URLs of clusters of this machine are changed, as text, so that everything else of the file stays as it is:
certificates' authorities, users and contexts are the same as before. Other people's files are theirs to write anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ruamel.yaml
import ruamel.yaml.error

from roadstead.cli.kubeconfig import files, owner
from roadstead.core import errors

_OURS = re.compile(r"[^.]+\.[a-z0-9-]+\.eksctl\.io|arn:aws:eks:[a-z0-9-]+:\d{12}:cluster/.+")
"""Names of clusters as `create cluster` and as `aws eks update-kubeconfig` write them."""


@dataclass(frozen=True)
class KubeconfigChange:
    """`paths`: what was written; `warning`: why nothing could be."""

    paths: tuple[str, ...] = ()
    warning: str = ""


def follow(environment: Mapping[str, str], before: str, now: str) -> KubeconfigChange:
    """Endpoints at the address `before` are at `now`, with the same ports."""
    whose = owner.owner(environment)
    found = files.where(environment, whose.home, None)
    changed: list[str] = []

    def moved(texts: Mapping[str, str]) -> Mapping[str, str]:
        after = {path: readdressed(text, before, now) for path, text in texts.items()}
        changed.extend(path for path, text in after.items() if text != texts[path])
        return after

    try:
        with owner.acting(whose):
            if any(path.exists() for path in found.all):
                files.change(found, moved)
    except errors.Error as error:
        return KubeconfigChange(warning=error.message)
    return KubeconfigChange(tuple(changed))


def readdressed(text: str, before: str, now: str) -> str:
    """A kubeconfig with its own clusters' URLs at another address. Pure; what cannot be read stays as it is."""
    for server in sorted(_servers(text)):
        found = re.fullmatch(rf"https://{re.escape(before)}:(\d+)", server)
        if found is not None:
            text = re.sub(rf"{re.escape(server)}(?!\d)", f"https://{now}:{found[1]}", text)
    return text


def _servers(text: str) -> set[str]:
    try:
        document: Any = ruamel.yaml.YAML(typ="safe", pure=True).load(text)
        listed = document["clusters"]
        return {
            str(one["cluster"]["server"])
            for one in listed
            if _OURS.fullmatch(str(one["name"])) and "server" in one["cluster"]
        }
    except (ruamel.yaml.error.YAMLError, KeyError, TypeError):
        return set()
