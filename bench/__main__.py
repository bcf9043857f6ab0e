"""All benchmarks, one after another."""

from __future__ import annotations

import sys

from bench import agent

sys.exit(agent.main())
