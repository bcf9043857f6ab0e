"""The composition root of `porter`: what answers running clusters, also while serve is down.

    python -m roadstead.porter.main --instance ID --sections FOLDER
        [--health SOCKET --peer SOCKET] [--resolver ADDRESS[:PORT]]...

It reads what serve has left in one folder, asks the agent for its sockets, and answers there: token reviews of API
servers, and the resolvers of VPCs. Where nothing is there yet it waits for it. SIGTERM and SIGINT end it; API servers
keep what they were told for a while. Two of it answer on the same sockets (see `peer`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from roadstead.aws.http import logs
from roadstead.core import concurrency, errors, instance, program, structs
from roadstead.porter import listeners, peer, sections, upstream

log = logging.getLogger("roadstead.porter")

_DESCRIPTORS = 8192
_BEGINNING = 5.0
"""Seconds for the agent to pass all sockets, before it is said that this one is ready: it is restarted while the other
one answers, and that one after it."""
_TELLING = 60.0
"""Seconds between two lines of counts, when there is something to tell."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    places: instance.Instance
    sections: Path
    health: Path | None
    """Where it is asked whether it answers; None: nobody asks."""
    peer: Path | None
    """Where the other porter is; None: there is none."""
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
    await listening.begin(_BEGINNING)
    async with _health(options.health), asyncio.TaskGroup() as group:
        working = [
            group.create_task(known.follow()),
            group.create_task(listening.run()),
            group.create_task(_tell(counts)),
        ]
        if options.peer is not None:
            working.append(group.create_task(peer.Peer(options.peer).watch()))
        log.info("answering")
        program.say_ready()
        await stop.wait()
        log.info("stopping")
        await concurrency.end(*working)
    await listening.close()


def _health(path: Path | None) -> contextlib.AbstractAsyncContextManager[None]:
    return contextlib.nullcontext() if path is None else peer.answering(path)


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
    parser.add_argument("--health", type=Path, help="a socket, at which it says that it answers")
    parser.add_argument("--peer", type=Path, help="that of another porter, which is ended when it does not answer")
    parser.add_argument("--resolver", action="append", default=[], help="ADDRESS[:PORT], in place of the machine's")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    read = parser.parse_args(arguments)
    logs.start(read.log_level)
    try:
        places = instance.Instance.named(read.instance)
        resolvers = tuple(upstream.server(text) for text in read.resolver)
    except errors.Invalid as error:
        parser.error(error.message)
    return Options(places, read.sections, read.health, read.peer, resolvers)


def main(arguments: list[str] | None = None) -> int:
    """Until it is told to end; the exit code."""
    options = _options(arguments)
    program.keep_private()
    program.raise_descriptors(_DESCRIPTORS)
    structs.prepare()
    asyncio.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
