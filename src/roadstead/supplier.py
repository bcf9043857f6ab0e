"""Gets or builds one engine that serve asks for, as a user of its own, and ends: one process for each question.

    python -m roadstead.supplier --engines DIR        (its standard input and output are the connection)

serve does not make what root runs: who takes serve is not to choose it. This program is started anew for each question
(by s6-ipcserver, see machine.supervision.tree), takes nothing but a name of the catalog, and alone writes to the cache,
whose manifests the agent believes. What it makes stays though serve has gone meanwhile. On SIGTERM it ends, and all
that it has started with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
import time
from pathlib import Path

import msgspec

from roadstead import engine
from roadstead.contract import programs
from roadstead.contract.messages import requests, supply
from roadstead.core import errors, loglines
from roadstead.engine import progress
from roadstead.engine import settings as engine_settings

log = logging.getLogger("roadstead.supplier")

_PATIENCE = 10.0
"""Seconds for the question to come."""


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="roadstead-supplier", description="Gets one engine for serve.")
    parser.add_argument("--engines", type=Path, required=True, help="the cache of the engines")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """One question from standard input, its answer on standard output, also where it is no. The exit code: 0."""
    options = _options(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(loglines.Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level="INFO", handlers=[handler])
    signal.signal(signal.SIGTERM, _end)
    # What it makes is for all to read, whatever its starter's umask is.
    os.umask(0o022)
    answer = supply.Supplied()
    try:
        wanted = _question(0)
        log.info("%s is asked for", wanted.engine)
        given = engine_settings.from_environment({**os.environ, programs.CACHE: str(options.engines)})
        engine.get(wanted.engine, listener=_tell, given=given)
    except (errors.Error, OSError) as error:
        known = error if isinstance(error, errors.Error) else errors.Failed(str(error))
        log.warning("%s", known.message)
        answer = supply.Supplied(problem=requests.Problem(code=known.code, message=known.message, facts=known.facts))
    try:
        os.write(1, msgspec.json.encode(answer) + b"\n")
    except BrokenPipeError:
        log.info("who asked has gone")
    return 0


def _question(descriptor: int) -> supply.Wanted:
    """Raises Invalid for anything but one short line of its form that comes soon."""
    line = b""
    deadline = time.monotonic() + _PATIENCE
    while not line.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise errors.Invalid("no question has come")
        read = os.read(descriptor, supply.LONGEST_LINE)
        line += read
        if not read or len(line) > supply.LONGEST_LINE:
            raise errors.Invalid("one line of JSON that names an engine was expected")
    try:
        return msgspec.json.decode(line, type=supply.Wanted)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"one line of JSON that names an engine was expected: {error}") from error


def _tell(news: progress.Progress) -> None:
    if not news.passing:
        log.info("%s: %s", news.engine, news.text)


def _end(number: int, frame: object) -> None:
    """By an exception, so that what is being made is taken away."""
    del frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
