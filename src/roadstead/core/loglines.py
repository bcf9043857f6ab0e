"""How a log of lines is written that may repeat what others wrote: a record is one line, but for its trace."""

from __future__ import annotations

import logging
from typing import Any

from roadstead.core import foreign

LONGEST = 8192
"""Characters of a record in a log; a trace may have as many again."""


class Lines(logging.Formatter):
    """Of a handler: bounded and escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return foreign.line(foreign.bounded(super().formatMessage(record), LONGEST))

    def formatException(self, ei: Any) -> str:
        return foreign.page(foreign.bounded(super().formatException(ei), LONGEST))
