"""`serve` with the reconciler and a simulated machine, which makes everything at once: clusters become ACTIVE.

python -m tests.peer.api_at_work --state DIR --port 0 --profile-of HOME:UID:GID
"""

from __future__ import annotations

import sys

from testkit.worlds import parts

from roadstead.core import clock as clocks
from roadstead.serve import main

if __name__ == "__main__":
    sys.exit(main.main(agent=parts.World(clocks.FakeClock())))
