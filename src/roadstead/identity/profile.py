"""The text of AWS's config and credentials files with one profile set. Pure; nothing else in them is touched.

The files' form is botocore's (configparser with nested values by indentation): `[profile NAME]` in config, `[NAME]` in
credentials; a section goes on to the next header; comments begin with # or ;.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from roadstead.contract import programs
from roadstead.core.files import left

NAME = programs.PROFILE

_HEADER = re.compile(r"\[(?P<name>[^]]*)\]")
_SETTING = re.compile(r"(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]\s*(?P<value>.*)")


@dataclass(frozen=True)
class Profile:
    """What a caller needs. `ca_bundle`: path of the certificates to trust, None for plain HTTP or a public one."""

    endpoint: str
    region: str
    access_key: str
    secret: str = field(repr=False)
    ca_bundle: str | None = None

    def config(self) -> dict[str, str]:
        """The settings of its section in AWS's config file; without `ca_bundle` where there is none."""
        trust = {} if self.ca_bundle is None else {"ca_bundle": self.ca_bundle}
        return {"region": self.region, "endpoint_url": self.endpoint, **trust}

    def credentials(self) -> dict[str, str]:
        """The settings of its section in AWS's credentials file: the secret is among them."""
        return {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret}


def config_section(name: str = NAME) -> str:
    """The header of a profile's section in the config file: `default`, else `profile NAME`."""
    return name if name == "default" else f"profile {name}"


def settings(text: str, section: str) -> dict[str, str]:
    """The settings of a section; empty when there is none."""
    lines = text.splitlines()
    place = _section(lines, section)
    if place is None:
        return {}
    found = (_SETTING.fullmatch(line.rstrip()) for line in lines[slice(*place)] if not line[:1].isspace())
    return {match["key"].strip().lower(): match["value"] for match in found if match}


def with_settings(text: str, section: str, wanted: Mapping[str, str], gone: tuple[str, ...] = ()) -> str:
    """The text with these settings in that section, and without those named in `gone`.

    A new section is added at the end. Settings of the section that are not named, every other line, and the way in
    which lines end stay as they are. Raises Invalid for a value that is more than a line: AWS's tools run commands that
    they find here (`credential_process`).
    """
    for key, value in wanted.items():
        left.line(value, key)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    place = _section(lines, section)
    if place is None:
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        blank = [end] if lines and lines[-1].strip() else []
        return "".join([*lines, *blank, f"[{section}]{end}", *(f"{key} = {wanted[key]}{end}" for key in wanted)])
    first, last = place
    kept: list[str] = []
    missing = dict(wanted)
    dropping = False
    for line in lines[first:last]:
        # An indented line belongs to the setting above it.
        if dropping and line[:1].isspace() and line.strip():
            continue
        found = None if line[:1].isspace() else _SETTING.fullmatch(line.strip())
        key = found["key"].strip().lower() if found else ""
        dropping = key in wanted or key in gone
        if key in missing:
            value = missing.pop(key)
            kept.append(line if found and found["value"] == value else f"{key} = {value}{end}")
        elif not dropping:
            kept.append(line)
    header = lines[first - 1] if lines[first - 1].endswith(("\n", "\r")) else lines[first - 1] + end
    added = [f"{key} = {value}{end}" for key, value in missing.items()]
    return "".join([*lines[: first - 1], header, *added, *kept, *lines[last:]])


def _section(lines: list[str], section: str) -> tuple[int, int] | None:
    """The lines behind a section's header, up to the next header."""
    first = None
    for index, line in enumerate(lines):
        header = _HEADER.match(line)
        if header is None:
            continue
        if first is not None:
            return first, index
        if _plain(header["name"]) == section:
            first = index + 1
    return None if first is None else (first, len(lines))


def _plain(name: str) -> str:
    """A header's name without the quotes and the spaces that one may put there."""
    return " ".join(part.strip("\"'") for part in name.split())
