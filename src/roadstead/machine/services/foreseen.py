"""What `create cluster` would be refused for, found before Roadstead is installed and started for it.

By the checks that the command itself makes, and by what the Roadstead of this checkout offers. What only a running
service knows (names that are taken, room on the machine) is left to it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from roadstead.cli import asked, config, defaults
from roadstead.cli.actions import access, create, reach
from roadstead.cli.infrastructure import lookups, refusals
from roadstead.clusters import versions
from roadstead.core import errors
from roadstead.network import regions, sizes


def check(call: asked.FlagValues) -> None:
    """Raises Invalid in the words of the later refusal, and Denied for a kubeconfig that cannot be written.

    It asks nobody, and begins nothing.
    """
    region = reach.region(call)
    wanted = create.filled(call, defaults.made_up_names(region))
    check_region(region)
    refusals.check(wanted, offers(region, dt.datetime.now(dt.UTC).date()))
    if call.truth("write-kubeconfig") and not call.truth("dry-run"):
        access.asks(call, (wanted.metadata or config.Metadata()).name or "")


def check_region(region: str) -> None:
    """Raises Invalid for one that there is not."""
    if region not in regions.CODES:
        raise errors.Invalid(f"there is no region {region!r}; Roadstead has those of AWS")


def offers(region: str, day: dt.date) -> lookups.Offers:
    """What this Roadstead has to offer in a region on a day. Raises Invalid for what is none."""
    return lookups.Offers(
        tuple(zone.name for zone in regions.zones(region)),
        {version.minor: _told(version, day) for version in versions.OFFERED},
        {size.name: size.architecture for size in sizes.every().values()},
    )


def _told(version: versions.Version, day: dt.date) -> dict[str, Any]:
    """As DescribeClusterVersions does, as far as it is asked for."""
    return {
        "versionStatus": version.support(day).value,
        "endOfStandardSupportDate": version.standard_until,
        "endOfExtendedSupportDate": version.extended_until,
    }
