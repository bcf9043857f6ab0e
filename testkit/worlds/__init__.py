"""Simulated worlds: a store in memory, a machine behind the agent's client, parts behind the reconcilers' protocol."""
