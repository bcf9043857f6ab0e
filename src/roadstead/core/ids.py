"""Ids that follow from a text, so that nothing has to be kept to find them again."""

from __future__ import annotations

import hashlib
import uuid


def uuid_of(text: str) -> str:
    """In the form of a random UUID (version 4), always the same for a text, and of no other one."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
