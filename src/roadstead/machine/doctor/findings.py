"""A finding: one judgement of the doctor, with what it means and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["ok", "warning", "blocks"]
Group = Literal["machine", "kernel", "rights", "cgroups", "programs", "settings", "firewall", "engines"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Package:
    """Mended by installing this package of the machine's distribution."""

    name: str


@dataclass(frozen=True)
class Setting:
    """Mended by setting this sysctl."""

    name: str
    value: int


@dataclass(frozen=True)
class Finding:
    """`id` is `GROUP/NAME` and stable. `meaning` and `remedy` are sentences; `remedy` is empty when all is ok."""

    id: str
    level: Level
    title: str
    meaning: str = ""
    remedy: str = ""
    mend: Package | Setting | None = None

    @property
    def group(self) -> str:
        """What findings are shown under: `kernel`."""
        return self.id.partition("/")[0]

    @property
    def mendable(self) -> bool:
        """Whether `--fix` can mend it."""
        return self.mend is not None


def blocks(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that keep Roadstead from starting."""
    return tuple(finding for finding in findings if finding.level == "blocks")
