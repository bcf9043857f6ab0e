"""All benchmarks, one after another."""

from __future__ import annotations

import sys

from bench import agent, store

sys.exit(agent.main() or store.main())
