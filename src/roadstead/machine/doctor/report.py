"""Findings in three forms: a table for a terminal, lines for a pipe, JSON for programs. Pure."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import click

from roadstead.core import foreign
from roadstead.machine.doctor import findings

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADINGS: Mapping[findings.Group, str] = {
    "machine": "Machine",
    "kernel": "Kernel",
    "rights": "Rights",
    "cgroups": "Control groups",
    "programs": "Programs",
    "settings": "Settings of the kernel",
    "firewall": "Firewall",
    "engines": "Engines",
}
COLOURS: Mapping[findings.Level, str] = {"ok": "green", "warning": "yellow", "blocks": "red"}

_INDENT = " " * 11


def counts(found: tuple[findings.Finding, ...]) -> dict[str, int]:
    """How many findings of each level."""
    return {level: sum(1 for one in found if one.level == level) for level in get_args(findings.Level)}


def summary(found: tuple[findings.Finding, ...]) -> str:
    """One or two sentences: whether it can start, and what `--fix` would do."""
    number = counts(found)
    blocking, warnings = number["blocks"], number["warning"]
    things = "thing keeps" if blocking == 1 else "things keep"
    text = f"{blocking} {things} Roadstead from starting" if blocking else "Roadstead can run here"
    text += f", {warnings} warning{'' if warnings == 1 else 's'}." if warnings else "."
    mendable = sum(1 for one in found if one.mendable)
    if mendable:
        text += f" `sudo roadstead doctor --fix` mends {mendable} of them."
    return text


def table(found: tuple[findings.Finding, ...], *, width: int, colour: bool) -> str:
    """Grouped; what is fine is drawn together, what is not has a line of its own with meaning and remedy."""

    def styled(text: str, **style: object) -> str:
        return click.style(text, **style) if colour else text  # type: ignore[arg-type]

    lines: list[str] = []
    for group, heading in HEADINGS.items():
        members = [_escaped(one) for one in found if one.group == group]
        if not members:
            continue
        lines.append(styled(heading, bold=True))
        for one in (one for one in members if one.level != "ok"):
            lines.append(f"  {styled(f'{one.level:7}', fg=COLOURS[one.level], bold=True)}  {one.title}")
            lines += textwrap.wrap(one.meaning, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
            # Not wrapped: a command is to be copied whole.
            lines.append(f"{_INDENT}{styled('mend:', bold=True)} {one.remedy}")
        fine = [one.title for one in members if one.level == "ok"]
        if fine:
            wrapped = textwrap.wrap("; ".join(fine), width - len(_INDENT))
            lines.append(f"  {styled('ok     ', fg=COLOURS['ok'])}  {wrapped[0]}")
            lines += [_INDENT + line for line in wrapped[1:]]
    return "\n".join([*lines, "", summary(found)])


def _escaped(one: findings.Finding) -> findings.Finding:
    """For a terminal that is drawn on."""
    words = foreign.line(one.title), foreign.line(one.meaning), foreign.line(one.remedy)
    return replace(one, title=words[0], meaning=words[1], remedy=words[2])


def plain(found: tuple[findings.Finding, ...]) -> str:
    """One line a finding, its parts parted by tabs: level, id, title and, where not ok, meaning and remedy."""
    return "\n".join(
        "\t".join(part for part in (one.level, one.id, one.title, one.meaning, one.remedy) if part) for one in found
    )


def document(found: tuple[findings.Finding, ...], mended: tuple[str, ...] = (), failure: str = "") -> str:
    """JSON of a stable shape: fields may be added, and `version` grows when one changes or goes.

    `mended` is what was done, a line each; `failure` why it could not all be done, empty when it could.
    """
    return json.dumps(
        {
            "version": 1,
            "blocks": bool(findings.blocks(found)),
            "counts": counts(found),
            "findings": [
                {
                    "id": one.id,
                    "group": one.group,
                    "level": one.level,
                    "title": one.title,
                    "meaning": one.meaning,
                    "remedy": one.remedy,
                    "mendable": one.mendable,
                }
                for one in found
            ],
            "mended": list(mended),
            "failure": failure,
        },
        indent=2,
        ensure_ascii=False,
    )
