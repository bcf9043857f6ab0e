"""The log of `serve`: one JSON object a line, for people with jq and for machines.

What is in a line is chosen field by field; bodies, signatures, secrets and queries never are.
"""

from __future__ import annotations

import datetime as dt
import logging

import msgspec

from roadstead.core import foreign, loglines

FIELDS = "roadstead_fields"
"""The attribute of a log record with the fields of its line: `log.info("request", extra={FIELDS: {...}})`."""


class Lines(logging.Formatter):
    """Records as JSON lines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        # A text from outside may be long, and have surrogates that are no Unicode.
        told = {key: _bounded(value) for key, value in line.items()}
        # JSON leaves what is no ASCII as it is: an escape in its texts says the same.
        return foreign.line(msgspec.json.encode(told, enc_hook=lambda value: _bounded(str(value))).decode())


def _bounded(value: object) -> object:
    return foreign.bounded(value, loglines.LONGEST) if isinstance(value, str) else value


def start(level: str) -> None:
    """Write the log to stderr from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Nobody reads these, and finding them out costs more than a request's signature.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # What callers send wrongly is answered, and the server logs what fails here.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
