"""Digests of what was asked, to tell the same request from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(asked: Mapping[str, Any], *where: str) -> bytes:
    """SHA-256 over an input and where it was sent. The order of members makes no difference, that of lists does.

    JSON in ASCII, since inputs may hold text that is no Unicode; bytes and times are told from text by their wrapping.
    """
    text = json.dumps([where, asked], sort_keys=True, separators=(",", ":"), default=lambda value: {"": repr(value)})
    return hashlib.sha256(text.encode("ascii")).digest()
