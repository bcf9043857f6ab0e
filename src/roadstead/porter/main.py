"""The composition root of `porter`: what answers running clusters, also while serve is down.

    python -m roadstead.porter.main --instance ID --sections FOLDER [--resolver ADDRESS[:PORT]]...

It reads what serve has left in one folder, asks the agent for its sockets, and answers there: token reviews of API
servers, and the resolvers of VPCs. Where nothing is there yet it waits for it. SIGTERM and SIGINT end it; API servers
keep what they were told for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from roadstead.aws.http import logs
from roadstead.core import concurrency, errors, instance, program, structs
from roadstead.porter import listeners, sections, upstream

log = logging.getLogger("roadstead.porter")

_DESCRIPTORS = 8192
_TELLING = 60.0
"""Seconds between two lines of counts, when there is something to tell."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    places: instance.Instance
    sections: Path
    resolvers: tuple[upstream.UpstreamServer, ...]
    """In place of the machine's own; empty: the machine's."""


async def run(options: Options) -> None:
    """Answer until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    counts: Counter[str] = Counter()
    configured = upstream.Configured()
    servers = (lambda: options.resolvers) if options.resolvers else configured
    known = sections.Sections(options.sections)
    listening = listeners.Listeners(known, listeners.ListenerSettings(options.places.passing_socket, servers, counts))
    known.look()
    await listening.step()
    async with asyncio.TaskGroup() as group:
        working = [
            group.create_task(known.follow()),
            group.create_task(listening.run()),
            group.create_task(_tell(counts)),
        ]
        log.info("answering")
        program.say_ready()
        await stop.wait()
        log.info("stopping")
        await concurrency.end(*working)
    await listening.close()


async def _tell(counts: Counter[str]) -> None:
    """What was answered, as numbers."""
    while True:
        await asyncio.sleep(_TELLING)
        if counts:
            log.info("answered", extra={logs.FIELDS: {key.replace(" ", "_"): counts[key] for key in sorted(counts)}})
            counts.clear()


def _options(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="roadstead-porter", description="Answers the clusters of one Roadstead.")
    parser.add_argument("--instance", default="main", help="the name of this Roadstead on its machine")
    parser.add_argument("--sections", type=Path, required=True, help="the folder that serve writes to")
    parser.add_argument("--resolver", action="append", default=[], help="ADDRESS[:PORT], in place of the machine's")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    read = parser.parse_args(arguments)
    logs.start(read.log_level)
    try:
        places = instance.Instance.named(read.instance)
        resolvers = tuple(upstream.server(text) for text in read.resolver)
    except errors.Invalid as error:
        parser.error(error.message)
    return Options(places, read.sections, resolvers)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    program.keep_private()
    program.raise_descriptors(_DESCRIPTORS)
    structs.prepare()
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
