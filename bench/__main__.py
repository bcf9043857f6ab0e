"""All benchmarks, one after another."""

from __future__ import annotations

import sys

from bench import agent, api, cluster, store

sys.exit(agent.main() or store.main() or api.main() or cluster.main())
