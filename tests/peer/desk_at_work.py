"""`serve` with the office and a simulated agent, which makes everything at once: clusters become ACTIVE.

python -m tests.peer.desk_at_work --state DIR --port 0 --profile-of HOME:UID:GID
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import logging
import signal
import sys
import time
from pathlib import Path

from tests.world import parts

from roadstead import serve
from roadstead.aws import registry
from roadstead.aws.door import desk, journal, server
from roadstead.clusters import office
from roadstead.core import clock as clocks
from roadstead.identity import accounts, homes, profile
from roadstead.store import local

log = logging.getLogger("tests.peer")


async def run(state: Path, port: int, owner: homes.Owner) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    operations = registry.build(serve.MODULES, serve.STATES)
    async with local.opened(local.Places(state)) as store:
        account = await accounts.ensure(store, time.time())
        assert account.secret is not None
        facts = desk.Facts(operations, store, serve.REGIONS, account.cursors, now=lambda: dt.datetime.now(dt.UTC))
        door = server.Server(desk.Desk(facts), {}, server.Limits())
        tools = office.Tools(store, parts.World(clocks.FakeClock()), time.time, clocks.SystemClock())
        async with server.opened(door, "127.0.0.1", port, None) as (_, taken):
            endpoint = f"http://127.0.0.1:{taken}"
            wanted = profile.Profile(endpoint, "eu-central-1", account.account.access_key, account.secret)
            homes.write(owner, wanted)
            async with asyncio.TaskGroup() as group:
                working = group.create_task(office.Office(tools).run())
                log.info("serving", extra={journal.FIELDS: {"endpoint": endpoint}})
                await stop.wait()
                working.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(description="Roadstead with simulated machines.")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--profile-of", required=True)
    options = parser.parse_args()
    home, uid, gid = options.profile_of.rsplit(":", 2)
    journal.start("INFO")
    asyncio.run(run(options.state, options.port, homes.Owner(Path(home), int(uid), int(gid))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
