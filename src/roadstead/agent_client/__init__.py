"""Asks the agent, over its unix socket: for the local commands, the tests, and serve.

It holds no state but one connection. It never decides anything.
"""

from __future__ import annotations

from roadstead.agent_client.client import Client

__all__ = ["Client"]
