"""The versions of Kubernetes that are offered: data, and what may follow what. Dates are of upstream and of EKS.

Source of the rules: EKS User Guide, "Understand the Kubernetes version lifecycle" and "Update existing cluster": one
minor at a time. Days are UTC's.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass

from roadstead.core import errors


class Support(enum.Enum):
    """The model's VersionStatus."""

    STANDARD = "STANDARD_SUPPORT"
    EXTENDED = "EXTENDED_SUPPORT"
    NONE = "UNSUPPORTED"

    @property
    def deprecated(self) -> str:
        """The same in the words of the model's older ClusterVersionStatus."""
        return self.value.lower().replace("_", "-")


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

    def support(self, day: dt.date) -> Support:
        """On a day; one that a support ends on belongs to what comes next."""
        if day < self.standard_until:
            return Support.STANDARD
        return Support.EXTENDED if day < self.extended_until else Support.NONE

    def ends(self, policy: str) -> dt.date:
        """The day on which the support ends that a cluster may have. policy: STANDARD or EXTENDED."""
        return self.standard_until if policy == "STANDARD" else self.extended_until


OFFERED = (
    Version("1.34", "1.34.4", "eks.4", dt.date(2025, 10, 2), dt.date(2026, 12, 2), dt.date(2027, 12, 2)),
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


def after(minor: str) -> Version | None:
    """The minor that a cluster of this one is updated to; None: this is the newest. Raises Invalid."""
    at = OFFERED.index(find(minor)) + 1
    return OFFERED[at] if at < len(OFFERED) else None


def to_create(minor: str, policy: str, day: dt.date) -> Version:
    """The version of a new cluster. policy: of its support when the standard one ends, STANDARD or EXTENDED.

    Raises Invalid for one that is not offered, that has no support any more, or that the policy does not allow.
    """
    found = find(minor)
    if found.support(day) is Support.NONE:
        still = [version.minor for version in OFFERED if version.support(day) is not Support.NONE]
        instead = f"this Roadstead offers {', '.join(still)}" if still else "a newer Roadstead has newer versions"
        raise errors.Invalid(
            f"unsupported Kubernetes version {minor}: its extended support ended on {found.extended_until}; {instead}",
            version=minor,
        )
    check_policy(minor, policy, day)
    return found


def check_policy(minor: str, policy: str, day: dt.date) -> None:
    """Whether a cluster of that minor may have that policy. Raises Invalid.

    STANDARD leaves a version at the end of its standard support, so one that is past it cannot have it (EKS User Guide,
    "Prevent increased cluster costs by disabling EKS extended support").
    """
    found = find(minor)
    if policy == "STANDARD" and found.support(day) is not Support.STANDARD:
        raise errors.Invalid(
            f"supportType STANDARD: the standard support of Kubernetes version {minor} ended on "
            f"{found.standard_until}; use a newer version, or EXTENDED",
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
