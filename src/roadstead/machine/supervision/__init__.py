"""The root s6 tree of an instance: what keeps agent, serve and the two porters running.

`settings` is what an instance was started with. `tree` and `systemd` are pure: they say which files there are. `see`
reads what runs, `make` writes, starts and stops. `boot` is the program that systemd runs. Called by `start`, `stop`,
`status` and `uninstall`; it knows nothing of hosts, which keep running whatever happens to this tree.
"""
