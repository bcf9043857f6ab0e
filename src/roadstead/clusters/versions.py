"""The versions of Kubernetes that are offered: data, and what may follow what. Dates are of upstream and of EKS.

Source of the rules: EKS User Guide, "Kubernetes versions" and "Update existing cluster": one minor at a time.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from roadstead.core import errors


@dataclass(frozen=True)
class Version:
    """A minor as it is offered now: the patch that it runs and the platform version (`eks.N`)."""

    minor: str
    patch: str
    platform: str
    released: dt.date
    standard_until: dt.date
    extended_until: dt.date
    """Standard support ends 14 months after the release, extended support 12 months later."""

    @property
    def node_release(self) -> str:
        """What nodes of this version run, in the form of EKS's releases: patch and date."""
        return f"{self.patch}-{self.released:%Y%m%d}"


OFFERED = (
    Version("1.35", "1.35.4", "eks.3", dt.date(2026, 1, 27), dt.date(2027, 3, 27), dt.date(2028, 3, 27)),
    Version("1.36", "1.36.3", "eks.2", dt.date(2026, 6, 2), dt.date(2027, 8, 2), dt.date(2028, 8, 2)),
    Version("1.37", "1.37.2", "eks.1", dt.date(2026, 10, 1), dt.date(2027, 12, 1), dt.date(2028, 12, 1)),
)
"""Oldest first. The one place that says which patch and platform version a minor is; the engines of each patch are in
the catalog of engines."""

DEFAULT = OFFERED[-1].minor


def find(minor: str) -> Version:
    """Raises Invalid for a version that is not offered."""
    for version in OFFERED:
        if version.minor == minor:
            return version
    raise errors.Invalid(
        f"unsupported Kubernetes version {minor}: this Roadstead offers {', '.join(v.minor for v in OFFERED)}",
        version=minor,
    )


def check_next(current: str, wanted: str) -> None:
    """Whether a cluster of one minor may become one of another. Raises Invalid."""
    minors = [version.minor for version in OFFERED]
    at, to = minors.index(find(current).minor), minors.index(find(wanted).minor)
    if to == at:
        raise errors.Invalid(f"the cluster is already at version {wanted}", version=wanted)
    if to < at:
        raise errors.Invalid(
            f"the cluster is at version {current}, newer than {wanted}: going back is not offered", version=wanted
        )
    if to > at + 1:
        raise errors.Invalid(
            f"from version {current} a cluster is updated to {minors[at + 1]} first, then further: one minor at a time",
            version=wanted,
        )
