"""Names, labels and taints that a nodegroup cannot have, though the model lets them pass. Pure.

A kubelet that is started with one of them ends at once, or it would say of a node what is not so: they are refused.
Source: EKS API Reference, Nodegroup (63 characters, begins with a letter or digit); Kubernetes' documentation, "Labels
and Selectors"; what EKS is known to answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from roadstead.clusters.components import kubelet
from roadstead.core import errors

RESERVED = "eks.amazonaws.com"
"""The domain of labels that EKS gives nodes itself."""
MOST_TAINTS = 50
"""Of a nodegroup. Source: EKS User Guide, "Node taints on managed node groups"."""
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,62}")
_WORD = re.compile(r"[0-9A-Za-z]([0-9A-Za-z._-]{0,61}[0-9A-Za-z])?")
_DOMAIN = re.compile(r"[0-9a-z]([0-9a-z-]*[0-9a-z])?(\.[0-9a-z]([0-9a-z-]*[0-9a-z])?)*")
_LONGEST_DOMAIN = 253


def check_name(name: str) -> None:
    """Raises Invalid."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid(
            f"nodegroupName {name!r}: it has 1 to 63 letters, digits, '-' and '_', and begins with a letter or digit",
            name=name,
        )


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises Invalid."""
    for key, value in labels.items():
        _check(key, value, "label")
        domain = key.rpartition("/")[0]
        if domain == RESERVED or domain.endswith(f".{RESERVED}"):
            raise errors.Invalid(f"Label cannot contain reserved prefixes [{RESERVED}/]: {key}", key=key)
        if key in kubelet.OWN_LABELS:
            raise errors.Invalid(f"Label {key} is reserved: each node has it of its own", key=key)


def check_taints(taints: Iterable[Mapping[str, str]]) -> None:
    """Raises Invalid. Two of the same key and effect are no Node that Kubernetes takes."""
    seen: set[tuple[str, str]] = set()
    for taint in taints:
        key, effect = taint.get("key", ""), taint.get("effect", "")
        _check(key, taint.get("value", ""), "taint")
        if (key, effect) in seen:
            raise errors.Invalid(f"taint {key} with the effect {effect} is given twice", key=key)
        seen.add((key, effect))


def check_change(tagged: Mapping[str, Iterable[str]], taints: Mapping[str, Iterable[Mapping[str, str]]]) -> None:
    """Raises Invalid for what is to be set and removed at once."""
    both = sorted(set(tagged.get("addOrUpdateLabels", ())) & set(tagged.get("removeLabels", ())))
    if both:
        raise errors.Invalid(f"labels {', '.join(both)} are both to be set and to be removed")
    put, gone = (
        {(taint.get("key", ""), taint.get("effect", "")) for taint in taints.get(member, ())}
        for member in ("addOrUpdateTaints", "removeTaints")
    )
    if put & gone:
        said = ", ".join(sorted(key for key, _ in put & gone))
        raise errors.Invalid(f"taints {said} are both to be set and to be removed")


def check_count(count: int) -> None:
    """Raises Invalid for more taints than a nodegroup may have."""
    if count > MOST_TAINTS:
        raise errors.Invalid(f"{count} taints: a nodegroup has at most {MOST_TAINTS}")


def _check(key: str, value: str, what: str) -> None:
    domain, slash, name = key.rpartition("/")
    good = not slash or (len(domain) <= _LONGEST_DOMAIN and _DOMAIN.fullmatch(domain))
    if not good or not _WORD.fullmatch(name):
        raise errors.Invalid(
            f"{key!r} is no key of a {what}: it is NAME or DOMAIN/NAME, and NAME 1 to 63 letters, digits, '-', '_' and "
            "'.', beginning and ending with a letter or digit",
            key=key,
        )
    if value and not _WORD.fullmatch(value):
        raise errors.Invalid(
            f"{value!r} is no value of a {what}: it has up to 63 letters, digits, '-', '_' and '.', beginning and "
            "ending with a letter or digit",
            key=key,
        )
