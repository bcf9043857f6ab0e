"""What tests and bench have in common: waiting, certificates of tests, an API server's plain client, `serve` as
a process, simulated worlds.

It imports nothing of them, and nothing of it is in what is installed.
"""
