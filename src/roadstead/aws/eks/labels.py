"""Names, labels and taints that a nodegroup cannot have, though the model lets them pass. Pure.

A kubelet that is started with one of them ends at once, so they are refused. Source: EKS API Reference, Nodegroup (63
characters, begins with a letter or digit); Kubernetes' documentation, "Labels and Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from roadstead.core import errors

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


def check_taints(taints: Iterable[Mapping[str, str]]) -> None:
    """Raises Invalid."""
    for taint in taints:
        _check(taint.get("key", ""), taint.get("value", ""), "taint")


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
