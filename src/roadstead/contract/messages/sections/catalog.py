"""Every section there is."""

from __future__ import annotations

from typing import Any

from roadstead.contract.messages.sections import access, names, principals, section, webhooks

SECTIONS: tuple[section.Section[Any], ...] = (
    webhooks.SECTION,
    access.SECTION,
    principals.SECTION,
    names.SECTION,
)
