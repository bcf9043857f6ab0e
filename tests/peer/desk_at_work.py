"""`serve` with the office and a simulated machine, which makes everything at once: clusters become ACTIVE.

python -m tests.peer.desk_at_work --state DIR --port 0 --profile-of HOME:UID:GID
"""

from __future__ import annotations

import sys

from testkit.worlds import parts

from roadstead import serve
from roadstead.core import clock as clocks

if __name__ == "__main__":
    sys.exit(serve.main(agent=parts.World(clocks.FakeClock())))
